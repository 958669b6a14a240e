# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait air`: pictures from standard input, sent at a steady rate to a virtual camera or to NDI."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from contextlib import closing
from dataclasses import asdict
from typing import BinaryIO, Final

import numpy as np
from portrait_shared.errors import PortraitError
from portrait_shared.raw_frames import read_frame

from portrait_server.commands.camera import picture_rate, picture_size
from portrait_server.live import ndi, virtual_camera
from portrait_server.live.air_output import AirOutput, OutputState, fitted
from portrait_server.live.newest import Newest
from portrait_server.live.pacing import Pacer

_TELL_SECONDS: Final = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", choices=(virtual_camera.NAME, ndi.NAME), help="what the pictures are sent to")
    parser.add_argument("--size", type=even_size, metavar="WxH", default=(1280, 720),
                        help="size of the pictures that viewers see, even numbers; others are fitted in (default: 1280x720)")  # fmt: skip
    parser.add_argument("--fps", type=picture_rate, default=25.0, metavar="N", help="pictures per second (default: 25)")
    parser.add_argument("--name", default="", metavar="NAME",
                        help="NDI: what the source is called; “(AI-modified)” follows it")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="say which outputs are possible here, why not, and end")
    parser.add_argument("--json", action="store_true", help="--list: as JSON")


def even_size(text: str) -> tuple[int, int]:
    """A size on the command line whose sides are even, as cameras have them.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    width, height = picture_size(text)
    if width % 2 or height % 2:
        raise argparse.ArgumentTypeError("even sides are needed, such as 1280x720")
    return width, height


def run(args: argparse.Namespace) -> int:
    """Sends the newest picture of `portrait_shared.raw_frames` again and again until standard input ends.

    Prints a line of JSON when the output is open, and one a second: how many pictures were sent, and how many were new.

    Raises:
        PortraitError: LIVE_UNAVAILABLE, BAD_MESSAGE, VERSION_MISMATCH.
    """
    if args.list or args.to is None:
        return _tell([virtual_camera.state(), ndi.state()], args.json)
    output: AirOutput
    if args.to == ndi.NAME:
        output = ndi.NdiSource(args.size, args.fps, args.name)
    else:
        output = virtual_camera.VirtualCamera(args.size, args.fps)
    newest: Newest[np.ndarray] = Newest()
    stream = os.fdopen(os.dup(sys.__stdin__.fileno()), "rb", buffering=0)  # type: ignore[union-attr]
    threading.Thread(target=_read, args=(stream, newest), name="frames", daemon=True).start()
    with closing(output):
        _say({"on": output.where, "size": args.size, "fps": args.fps})
        send_all(newest, output, args.size, Pacer(args.fps))
    if newest.error is not None:
        raise newest.error
    return 0


def send_all(newest: Newest[np.ndarray], output: AirOutput, size: tuple[int, int], pacer: Pacer) -> None:
    """Sends the newest picture at each time that one is due, the same again where none has come, until there are no more.

    Raises:
        PortraitError: what the output raises.
    """
    told_at, sent, fresh = time.monotonic(), 0, 0
    coming: np.ndarray | None = None
    shown: np.ndarray | None = None
    while True:
        wait = pacer.wait_seconds()
        coming_now = newest.take(wait)
        coming = coming if coming_now is None else coming_now
        if newest.closed and coming is None:
            return
        if wait > 0 and not newest.closed and pacer.wait_seconds() > 0:
            continue
        if coming is not None:
            shown, coming, fresh = fitted(coming, size, output.keeps_alpha), None, fresh + 1
        if shown is not None:
            output.send(shown)
            sent += 1
        pacer.sent()
        if time.monotonic() - told_at >= _TELL_SECONDS:
            told_at = time.monotonic()
            _say({"sent": sent, "new": fresh})


def _read(stream: BinaryIO, newest: Newest[np.ndarray]) -> None:
    """A thread's body: keeps the newest picture."""
    try:
        while (pixels := read_frame(stream)) is not None:
            newest.put(pixels)
        newest.close()
    except (PortraitError, OSError) as error:
        newest.close(error)


def _say(said: dict[str, object]) -> None:
    print(json.dumps(said, ensure_ascii=False), flush=True)


def _tell(states: list[OutputState], as_json: bool) -> int:
    if as_json:
        print(json.dumps([asdict(state) for state in states], ensure_ascii=False))
        return 0
    for state in states:
        said = f"possible: {state.where}" if state.possible else f"not possible. {state.reason} {state.remedy}"
        print(f"{state.title} (--to {state.to}): {said}")
    return 0

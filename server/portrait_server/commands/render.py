# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait render`: frames from a photo, or from a filmed shot, and landmark tracks."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from portrait_shared.client.credentials import with_credentials
from portrait_shared.track import LandmarkTrack

from portrait_server.commands.arguments import tell_saved
from portrait_server.commands.credential_arguments import add_credential_arguments, said_of
from portrait_server.commands.frame_arguments import (
    add_drawing_arguments,
    add_frame_arguments,
    add_run_arguments,
    frame_request,
)
from portrait_server.commands.logs import tell_unsigned
from portrait_server.commands.recognised import add_recognised, find_and_tell
from portrait_server.farm.drawn_frames import drawn_frames
from portrait_server.farm.photo_frames import PhotoFrames
from portrait_server.farm.stating import signs

if TYPE_CHECKING:
    from portrait_server.farm.shot_frames import ShotFrames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_frame_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for 0001.png … or 0001.exr …")
    add_drawing_arguments(parser)
    add_credential_arguments(parser)
    add_run_arguments(parser)
    add_recognised(parser)


def run(asked: argparse.Namespace) -> int:
    """Writes the frames.

    Raises:
        PortraitError: as `drawn_frames`, and as what that gives; OUTPUT_NOT_WRITABLE, DISK_FULL; as `find_and_tell`.
    """
    request, said = frame_request(asked), said_of(asked)
    with drawn_frames(request, asked.device, asked.connect) as drawn:
        drawn.keep_sources(asked.output)
        stored = with_credentials(
            drawn.store(asked.output, again=asked.again), asked.output, "",
            None if said is None else signs(partial(drawn.statement, said)), partial(tell_unsigned, asked),
        )  # fmt: skip
        if not isinstance(drawn, PhotoFrames):
            _tell_shot(drawn)
        status = tell_saved((frame.path for frame in stored), len(drawn.frames), asked.progress)
        if status or asked.recognised is None:
            return status
        frames, points = drawn.frames, drawn.points
    return find_and_tell(
        asked, request, asked.output, frames, points=[points] if isinstance(points, LandmarkTrack) else points
    )


def _tell_shot(drawn: ShotFrames) -> None:
    """What the extension wants to know of a shot beside its frames."""
    for note in drawn.notes:
        print(f"Note: {note}")
    print(f"Engine: {' '.join(drawn.engine)}", flush=True)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of values on the command line, and what several commands share."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from portrait_shared.devices import parse_device
from tqdm import tqdm

from portrait_server.engines.registry import ENGINES

log = logging.getLogger(__name__)

_MOST_DIGITS: Final = 20


def whole_number(low: int, high: int, needed: str) -> Callable[[str], int]:
    """What argparse makes a number from `low` to `high` with.

    Args:
        needed: what to say of anything else, such as "a process's number".
    """

    def parse(text: str) -> int:
        if not text.strip().isdecimal() or not low <= (number := int(text[:_MOST_DIGITS])) <= high:
            raise argparse.ArgumentTypeError(f"{needed} is needed")
        return number

    return parse


def add_device(parser: argparse.ArgumentParser, does: str, *, several: bool = False) -> None:
    """Adds `--device`.

    Args:
        does: what is done there, such as "trains".
        several: whether it is done on several GPUs at once; else the first of them is taken.
    """
    more = ", or several GPUs (cuda:0,cuda:1; all: cuda:all)" if several else ""
    parser.add_argument(
        "--device", type=parse_device, default="auto", metavar="DEVICE",
        help=f"what {does}: the processor (cpu), or a GPU of NVIDIA (cuda), AMD (rocm), Intel (xpu) or Apple (mps), one of several by "
             f"its number (cuda:1){more}; auto takes the first GPU that can be used, else the processor (default: auto)",
    )  # fmt: skip


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Adds `--engine` of commands that start a server."""
    parser.add_argument("--engine", choices=sorted(ENGINES),
                        help="the one engine to load, with which it starts sooner (default: every one)")  # fmt: skip


def tell_progress(done: int, expected: int) -> None:
    """A line that a program which runs the command can read."""
    print(f"Progress: {done}/{expected}", flush=True)


def tell_saved(paths: Iterable[Path], total: int, progress: bool) -> int:
    """A line for each frame's file as soon as it is there; the exit status, 0 only if there are `total`.

    Args:
        progress: whether lines tell how many are there, for a program; else a bar does, for a person.
    """
    saved, begun = 0, time.monotonic()
    with tqdm(total=total, unit="frame", desc="Rendering", disable=True if progress else None) as bar:
        for path in paths:
            bar.update()
            saved += 1
            if progress:
                tell_progress(saved, total)
            print(f"Saved: {path}", flush=True)
    seconds = round(time.monotonic() - begun, 3)
    log.info("%d of %d frames are there", saved, total, extra={"frames": saved, "of": total, "seconds": seconds})
    return 0 if saved == total else 1

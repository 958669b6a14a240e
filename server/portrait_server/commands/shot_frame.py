# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait shot-frame`: one frame of a shot as a PNG file, and what the shot is."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import keep_sources, write_whole

from portrait_server.commands.arguments import whole_number
from portrait_server.shots.reader import ShotReader

_MOST_FRAMES = 10**7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shot", type=Path, metavar="SHOT|DIR", help="a movie, or a numbered sequence of pictures")
    parser.add_argument(
        "--index", type=whole_number(0, _MOST_FRAMES, "a frame's number"), default=0, metavar="I",
        help="which frame, counted from 0",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="FRAME.png", help="where it is written")


def run(asked: argparse.Namespace) -> int:
    """Raises: PortraitError: as `ShotReader`; BAD_TRACK where the shot is shorter; OUTPUT_NOT_WRITABLE, DISK_FULL."""
    with ShotReader(asked.shot) as shot:
        keep_sources([asked.output], shot.files)
        if asked.index >= shot.frame_count:
            raise PortraitError(
                ErrorCode.BAD_IMAGE, f"{asked.shot} has {shot.frame_count} frames; there is no frame {asked.index}.",
                "Count from 0, and check that the shot is whole.",
            )  # fmt: skip
        write_whole(asked.output, _png(shot.frame(asked.index)))
        width, height = shot.size
        print(f"Shot: {shot.frame_count} frames, {shot.fps:.6f} fps, {width}x{height}")
        for note in shot.notes:
            print(f"Note: {note}")
    print(f"Saved: {asked.output}")
    return 0


def _png(frame: np.ndarray) -> bytes:
    order = cv2.COLOR_RGB2BGR if frame.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    encoded: bytes = cv2.imencode(".png", cv2.cvtColor(frame, order), (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()
    return encoded

# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait recognise`: whether frames that are there show the person of their references."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from portrait_shared.track import LandmarkTrack

from portrait_server.commands.frame_arguments import add_frame_arguments, frame_request
from portrait_server.commands.recognised import add_recognised, find_and_tell

_NICENESS: Final = 10  # others may render meanwhile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the frames lie; identity.json is written there")
    add_frame_arguments(parser)
    parser.add_argument(
        "--prefix", default="", metavar="TEXT", help="what the frames' names begin with (default: nothing)"
    )
    parser.add_argument("--progress", action="store_true", help="print lines of the form `Progress: 3/100`")
    add_recognised(parser)


def run(asked: argparse.Namespace) -> int:
    """Writes the file, and says what was found.

    Raises:
        PortraitError: as `find_and_tell`; what keeps a track from being read.
    """
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    request = frame_request(asked)
    frames = request.frames or LandmarkTrack.load(request.tracks[0]).frame_numbers
    return find_and_tell(asked, request, asked.folder, frames, prefix=asked.prefix)

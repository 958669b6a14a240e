# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait otio`: rendered frames, or an edit, to OpenTimelineIO, and a timeline back to an edit."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from portrait_shared import __version__
from portrait_shared.edits import FRAMES, Clip, Edit, Media
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_whole
from portrait_shared.frames.frame_files import frame_path, frames_in
from portrait_shared.frames.frame_marks import glance

from portrait_server.commands.landmarks import check_writable
from portrait_server.commands.movie import SUFFIXES, no_frames, rate, suffix_of
from portrait_server.media.timelines import read_timeline, write_timeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="DIR|EDIT.json|FILE.otio",
                        help="a folder of rendered frames, an edit as Blender exports it, or a timeline")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.otio|EDIT.json",
                        help="a timeline of the frames or the edit; the edit of a timeline")  # fmt: skip
    parser.add_argument("--fps", type=rate, default=Fraction(25), metavar="N",
                        help="of a folder: frames per second, such as 25, 23.976 or 30000/1001 (default: 25)")  # fmt: skip
    parser.add_argument("--prefix", default="", help="of a folder: what stands before the number in the frames' names")
    parser.add_argument(
        "--format", choices=SUFFIXES, help="of a folder: which frames are meant (default: png, else exr)"
    )


def run(asked: argparse.Namespace) -> int:
    """Writes one as the other.

    Raises:
        PortraitError: FILE_MISSING, BAD_CONFIGURATION, OUTPUT_NOT_WRITABLE, DISK_FULL; nothing is written then.
    """
    check_writable(asked.output, asked.input)
    suffix = asked.output.suffix.lower()
    if suffix not in (".otio", ".json"):
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"{asked.output.name} is neither a timeline nor an edit.",
            "Give the output a name that ends in .otio or .json.",
        )  # fmt: skip
    if asked.input.is_dir():
        edit = edit_of_frames(asked.input, asked.fps, asked.prefix, asked.format)
    elif asked.input.suffix.lower() == ".json":
        edit = Edit.load(asked.input)
    elif not asked.input.is_file():
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {asked.input}.", "Check the path.")
    else:
        edit = read_timeline(asked.input)
    if suffix == ".otio":
        write_whole(asked.output, write_timeline(edit, asked.output).encode())
    else:
        edit.save(asked.output)
    for note in edit.notes:
        print(note)
    print(f"{len(edit.clips)} clips. Saved: {asked.output}")
    return 0


def edit_of_frames(folder: Path, fps: Fraction, prefix: str = "", form: str | None = None) -> Edit:
    """One clip of all frames in a folder, at their own numbers.

    Raises:
        PortraitError: FILE_MISSING for a folder without frames.
    """
    suffix = suffix_of(folder, prefix, form)
    numbers = frames_in(folder, prefix, suffix)
    if not numbers:
        raise no_frames(folder, prefix, suffix)
    first, count = numbers[0], numbers[-1] - numbers[0] + 1
    mark = glance(frame_path(folder, first, prefix, suffix))
    made = {"made_with": f"Talking Portraits {__version__}"}
    if mark is not None and mark.photo:
        made["photo"] = mark.photo
    media = Media(FRAMES, str(folder.absolute()), first, count, prefix, suffix)
    name = prefix.rstrip("._ ") or folder.name
    return Edit(name, fps, first, (Clip(name, media, 1, first, count, first, metadata=made),))

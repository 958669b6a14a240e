# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames on disk: their names, writing them whole or not at all, and which are missing.

A frame whose digest is the one asked for, and which nobody has altered since (`frame_marks`), need not be rendered again.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from portrait_shared.errors import PortraitError
from portrait_shared.files.private_folders import PrivateFolder, sweep_folders
from portrait_shared.files.whole_files import read_bounded, replace_file, sweep_partials, write_error
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES, glance, mark_of

_STAGE = ".portrait-stage-"
_MAX_PREFIX_CHARACTERS = 100
PICTURES, LAYERED = ".png", ".exr"
"""What names end with: of frames that are pictures, and of layered ones."""
_FRAME_FILE = re.compile(r"(.*?)(-?\d{4,})(\.png|\.exr)", re.ASCII)


def frame_path(folder: Path, number: int, prefix: str = "", suffix: str = PICTURES) -> Path:
    """``0001.png`` and so on, behind a prefix; a negative number keeps its sign in front of the four digits."""
    return folder / f"{prefix}{'-' if number < 0 else ''}{abs(number):04d}{suffix}"


def credentials_path(folder: Path, prefix: str = "") -> Path:
    """``frames.c2pa``, the signed credentials of a folder's frames with a prefix."""
    return folder / f"{prefix}frames.c2pa"


def whole_prefix(text: str) -> str:
    """What is put before a frame's number, made of a text: no part of a path, and nothing that reads as a number."""
    kept = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", text).lstrip(" .")[:_MAX_PREFIX_CHARACTERS]
    return f"{kept}_" if kept and (kept[-1].isdigit() or kept[-1] == "-") else kept


def frames_in(folder: Path, prefix: str = "", suffix: str = PICTURES) -> list[int]:
    """Numbers of the frame files with a prefix and a suffix that lie in a folder, in order."""
    return sorted(number for before, number, after in _names_in(folder) if (before, after) == (prefix, suffix))


def frame_names(folder: Path, prefix: str = "") -> list[str]:
    """Names of the frame files with a prefix, of every kind, that lie in a folder."""
    return [
        frame_path(folder, number, prefix, suffix).name
        for before, number, suffix in _names_in(folder)
        if before == prefix
    ]


def has_frames(folder: Path) -> bool:
    """Whether frame files lie in a folder, whatever their prefix."""
    return any(True for _ in _names_in(folder))


def is_frame(name: str) -> bool:
    """Whether a frame's file is called so."""
    return _FRAME_FILE.fullmatch(name) is not None


def prefix_of(name: str) -> str:
    """What is before the number in the name of a frame file; empty where it is none."""
    found = _FRAME_FILE.fullmatch(name)
    return found[1] if found is not None else ""


def _names_in(folder: Path) -> Iterator[tuple[str, int, str]]:
    """(prefix, number, suffix) of each frame file."""
    if not os.path.isdir(folder):
        return
    for file in folder.iterdir():
        if (found := _FRAME_FILE.fullmatch(file.name)) is not None and not file.name.startswith("."):
            yield found[1], int(found[2]), found[3]


def own_frames(folder: Path, photo: str, prefix: str = "", suffix: str = PICTURES) -> list[int]:
    """Those frames of a folder that were made of a photo, or do not tell, in order; damaged ones may be among them."""
    numbers = frames_in(folder, prefix, suffix)
    marks = ((number, glance(frame_path(folder, number, prefix, suffix))) for number in numbers)
    return [number for number, mark in marks if mark is not None and mark.photo in ("", photo)]


def valid_frames(folder: Path, digests: Mapping[int, str], prefix: str = "", suffix: str = PICTURES) -> dict[int, str]:
    """The frames whose file is there with the digest asked for: numbers, in order, and each file's SHA-256 (hex)."""
    found: dict[int, str] = {}
    for number, digest in sorted(digests.items()):
        try:
            data = read_bounded(frame_path(folder, number, prefix, suffix), MAX_FRAME_BYTES)
        except OSError:
            continue
        if (mark := mark_of(data)) is not None and mark.digest == digest:
            found[number] = file_digest(data)
    return found


def file_digest(data: bytes) -> str:
    """SHA-256 (hex) of a file's bytes, by which signed credentials know it."""
    return hashlib.sha256(data).hexdigest()


def prepare_folder(folder: Path) -> None:
    """Makes the folder and proves that it can be written to, before anything is rendered; what killed clients have
    left in it half-written goes.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise _write_error(folder, error) from error
    sweep_partials(folder)
    sweep_folders(folder, _STAGE)


def write_frame(path: Path, data: bytes) -> None:
    """Writes a frame at once or not at all; a frame that was there before survives a failure.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    try:
        replace_file(path, data)
    except OSError as error:
        raise _write_error(path, error) from error


def copy_equal_frames(
    folder: Path, digests: Mapping[int, str], prefix: str = "", suffix: str = PICTURES,
    marked: Callable[[bytes, int], bytes] = lambda data, number: data,
) -> dict[int, str]:  # fmt: skip
    """Fills frames with files of the folder that have their digest under another number: keys that were moved in
    time, an expression that comes back.

    All copies are made before the first takes its place, because a file may be needed under a new number and be
    replaced under its old one.

    Args:
        marked: what a file becomes under a number: its time code is another.

    Returns:
        The frames that were filled: numbers, in order, and each file's SHA-256 (hex).

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    wanted = set(digests.values())
    sources: dict[str, Path] = {}
    for number in frames_in(folder, prefix, suffix):
        path = frame_path(folder, number, prefix, suffix)
        if (mark := glance(path)) is not None and mark.digest in wanted:
            sources.setdefault(mark.digest, path)
    if not sources:
        return {}
    try:
        with PrivateFolder(folder, _STAGE) as stage:
            staged: dict[int, str] = {}
            for number, digest in sorted(digests.items()):
                if digest in sources:
                    copy = _stage_copy(sources[digest], frame_path(stage, number), digest, number, marked)
                    staged |= {} if copy is None else {number: copy}
            for number in staged:
                os.replace(frame_path(stage, number), frame_path(folder, number, prefix, suffix))
            return staged
    except OSError as error:
        raise _write_error(folder, error) from error


def _stage_copy(
    source: Path, target: Path, digest: str, number: int, marked: Callable[[bytes, int], bytes]
) -> str | None:
    """Copies a frame; the copy's SHA-256 (hex), None where the source is not what it says, or not there any more."""
    try:
        data = read_bounded(source, MAX_FRAME_BYTES)
    except OSError:
        return None
    if (mark := mark_of(data)) is None or mark.digest != digest:
        return None
    copy = marked(data, number)
    target.write_bytes(copy)
    return file_digest(copy)


def _write_error(path: Path, error: OSError) -> PortraitError:
    return write_error(path, error, "Choose an output folder that you may write to.")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbered sequences of pictures on disk, named by their folder, or with ``#`` for the number: ``sc010.####.png``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import PICTURE_SUFFIXES

# As Blender counts: the last digits of the name before its suffix.
_NUMBERED: Final = re.compile(r"(.*?)(\d{1,9})(\D*)", re.ASCII | re.DOTALL)
_PATTERN: Final = re.compile(r"(.*?)#+([^#]*)", re.DOTALL)
_NAMED_GAPS: Final = 5


@dataclass(frozen=True)
class PictureSequence:
    """The pictures of a shot.

    Attributes:
        folder: where they lie.
        prefix, tail: what stands before and behind the number in each name.
        names: each picture's name, by its number, in order.
    """

    folder: Path
    prefix: str
    tail: str
    names: Mapping[int, str]

    @property
    def start(self) -> int:
        """The first number."""
        return next(iter(self.names))

    @property
    def files(self) -> list[Path]:
        return [self.folder / name for name in self.names.values()]

    @property
    def gaps(self) -> list[int]:
        """Numbers between the first and the last that have no picture."""
        return sorted(set(range(min(self.names), max(self.names) + 1)) - self.names.keys())

    def check_whole(self) -> None:
        """Raises: PortraitError: FILE_MISSING where pictures are missing, naming their numbers."""
        if gaps := self.gaps:
            more = f" …, {len(gaps)} in all" if len(gaps) > _NAMED_GAPS else ""
            named = ", ".join(map(str, gaps[:_NAMED_GAPS])) + more
            raise PortraitError(
                ErrorCode.FILE_MISSING,
                f"Pictures of the sequence {self.folder / f'{self.prefix}#{self.tail}'} are missing: {named}.",
                "Copy them into the folder, or number the pictures without gaps.",
            )


def sequence_at(path: str | os.PathLike[str]) -> PictureSequence | None:
    """The pictures of the shot of that path; None where it is no folder and no pattern, and so a movie's.

    Raises:
        PortraitError: FILE_MISSING where a pattern has no pictures; BAD_IMAGE where a folder has no numbered ones, or
            several sequences, or two pictures of one number.
    """
    path = Path(path)
    pattern = None if path.exists() else _PATTERN.fullmatch(path.name)
    if pattern is None and not path.is_dir():
        return None
    found = _sequences_in(path if pattern is None else path.parent)
    if pattern is not None:
        found = {ends: names for ends, names in found.items() if ends == pattern.groups()}
    several = [ends for ends, names in found.items() if len(names) > 1]
    if len(several or found) > 1:
        shown = ", ".join(f"{prefix}#{tail}" for prefix, tail in sorted(several or found)[:_NAMED_GAPS])
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"{path} holds several sequences of pictures: {shown}.",
            f"Name one of them, with # for its number: {path / shown.split(', ')[0]}.",
        )  # fmt: skip
    if not found:
        code, where = (ErrorCode.BAD_IMAGE, "in") if pattern is None else (ErrorCode.FILE_MISSING, "named")
        raise PortraitError(
            code, f"There are no numbered pictures {where} {path}.",
            "Choose the folder of a sequence such as 0001.png, 0002.png and so on; of DPX make EXR, or TIFF of 16 bits.",
        )  # fmt: skip
    prefix, tail = (several or list(found))[0]
    folder = path if pattern is None else path.parent
    return PictureSequence(folder, prefix, tail, found[prefix, tail])


def sequence_of(picture: str | os.PathLike[str]) -> PictureSequence | None:
    """The sequence that a picture belongs to; None where its name has no number, or it is no picture's.

    Raises:
        PortraitError: as `sequence_at`.
    """
    picture = Path(picture)
    numbered = _numbered(picture.name)
    if numbered is None:
        return None
    prefix, _, tail = numbered
    names = _sequences_in(picture.parent).get((prefix, tail))
    return None if names is None else PictureSequence(picture.parent, prefix, tail, names)


def shot_files(path: Path) -> list[Path]:
    """All files of the shot of that path; raises what `sequence_at` does."""
    sequence = sequence_at(path)
    return [path] if sequence is None else sequence.files


def _numbered(name: str) -> tuple[str, int, str] | None:
    """Prefix, number and tail of a picture's name; None for any other."""
    stem, suffix = os.path.splitext(name)
    found = _NUMBERED.fullmatch(stem)
    if found is None or name.startswith(".") or suffix.lower() not in PICTURE_SUFFIXES:
        return None
    return found[1], int(found[2]), found[3] + suffix


def _sequences_in(folder: Path) -> dict[tuple[str, str], dict[int, str]]:
    """The numbered pictures of a folder: names by number, in order, by what stands around the number."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"Cannot read {folder}: {error.strerror or error}.",
            "Check the path and its rights.",
        ) from error  # fmt: skip
    for name in names:
        numbered = _numbered(name)
        if numbered is None:
            continue
        prefix, number, tail = numbered
        group = found.setdefault((prefix, tail), {})
        if number in group:
            raise PortraitError(
                ErrorCode.BAD_IMAGE, f"{folder} holds two pictures of number {number}: {group[number]} and {name}.",
                "Remove one of them.",
            )  # fmt: skip
        group[number] = name
    return {ends: dict(sorted(names.items())) for ends, names in found.items()}

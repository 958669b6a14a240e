# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shot is meant, and where it lies in the scene: a movie, a numbered sequence of pictures, or what a strip plays."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bpy
from portrait_shared.files.picture_names import MOVIE_SUFFIXES
from portrait_shared.files.picture_sequences import sequence_of

from ..blender import compat
from ..blender.problems import SceneError
from ..blender.strip_speed import check_plain_speed

MOVIE_GLOB: Final = ";".join(f"*{suffix}" for suffix in MOVIE_SUFFIXES)


@dataclass(frozen=True)
class ShotSource:
    """A shot on disk, and its place in the scene.

    Attributes:
        path: as `portrait_shared.shots` names it: the movie, or the pictures with # for their number.
        start: the scene's frame at which its first frame lies.
        first: the movie, or the first picture.
        number: of the first picture; None of a movie.
    """

    path: Path
    start: int
    first: Path
    number: int | None

    @property
    def name(self) -> str:
        """For the portrait: the movie's name, or what stands before the pictures' numbers."""
        stem = self.first.stem if self.number is None else self.path.name.split("#")[0].rstrip("._- ")
        return stem or self.path.parent.name


def is_movie(path: str) -> bool:
    """Whether a file is a movie, by its name."""
    return Path(path).suffix.lower() in MOVIE_SUFFIXES


def of_file(path: str, start: int) -> ShotSource:
    """A movie, or the sequence that a picture belongs to.

    Raises:
        PortraitError: SCENE where there is no such file, or the picture has no number; FILE_MISSING where numbers of the
            sequence are missing; BAD_IMAGE where two pictures have one.
    """
    file = Path(bpy.path.abspath(path))
    if not os.path.isfile(file):
        raise SceneError(f"There is no file {file}.", "Choose the movie, or a picture of the sequence.")
    if is_movie(path):
        return ShotSource(file, start, file, None)
    sequence = sequence_of(file)
    if sequence is None or len(sequence.names) < 2:
        raise SceneError(
            f"{file.name} is neither a movie nor one of several numbered pictures.",
            "Choose a movie, or a picture such as shot.0001.png of a sequence; a single photo is added without Image "
            "Sequence.",
        )
    sequence.check_whole()
    pattern = sequence.folder / f"{sequence.prefix}####{sequence.tail}"
    return ShotSource(pattern, start, sequence.files[0], sequence.start)


def of_strip(scene: bpy.types.Scene, strip: Any) -> ShotSource:
    """What a movie strip or a strip of a sequence plays, whole: trimming it hides frames, and moves none.

    Raises:
        PortraitError: SCENE for a strip whose speed was changed; as `of_file`.
    """
    check_plain_speed(scene, strip)
    start = round(compat.media_start(strip))
    if strip.type == "MOVIE":
        return of_file(strip.filepath, start)
    first = of_file(os.path.join(strip.directory, strip.elements[0].filename), start)
    # A strip may begin with a later picture than the sequence.
    shown = sequence_of(Path(bpy.path.abspath(strip.directory)) / strip.elements[0].filename)
    assert shown is not None
    number = next(n for n, name in shown.names.items() if name == strip.elements[0].filename)
    assert first.number is not None
    return ShotSource(first.path, start - (number - first.number), first.first, first.number)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Filmed shots, a movie or a numbered sequence of pictures: what lies on disk, what identifies it, and each drawn frame.

A shot is named by the path of its movie, of the folder of its pictures, or of the pictures with ``#`` for their number:
``plates/sc010.####.png``. Nothing is decoded here, so that the extension tells stale frames from done ones at once.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import PICTURE_SUFFIXES
from portrait_shared.layers import FOLLOWING, in_order
from portrait_shared.track import LandmarkTrack

SHOT_ARRAY: Final = "shot"
"""The array of a track that tells which shot its points were found in: the digest and the stamp, two texts."""
_DRAWING: Final = "shot-9"
"""Changes whenever the server may draw other pixels of a shot than before, with the same engine."""
_READING: Final = "plate-2"
"""Changes whenever the server may read other pixels of a shot than before."""
# As Blender counts: the last digits of the name before its suffix.
_NUMBERED: Final = re.compile(r"(.*?)(\d{1,9})(\D*)", re.ASCII | re.DOTALL)
_PATTERN: Final = re.compile(r"(.*?)#+([^#]*)", re.DOTALL)
_CHUNK_BYTES: Final = 2**20
_NAMED_GAPS: Final = 5
# Of the points' file, all that drawing looks at.
_PERFORMANCE: Final = ("mesh478", "detected", "cuts")


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


@dataclass(frozen=True)
class ShotIdentity:
    """Which shot something was made of.

    Attributes:
        digest: SHA-256 (hex) of a movie's content; of the names and contents of a sequence.
        stamp: SHA-256 (hex) of names, sizes and times of change: equal ones spare reading all again.
    """

    digest: str
    stamp: str

    @classmethod
    def of_track(cls, track: LandmarkTrack) -> ShotIdentity | None:
        """That of the shot in which a track's points were found; None where it does not tell."""
        stated = track.extra.get(SHOT_ARRAY)
        if stated is None or stated.shape != (2,) or stated.dtype.kind != "U":
            return None
        return cls(str(stated[0]), str(stated[1]))

    def as_array(self) -> np.ndarray:
        """What a track keeps as `SHOT_ARRAY`."""
        return np.array([self.digest, self.stamp])


_known: dict[str, str] = {}
_lock = threading.Lock()


def identify_shot(path: str | os.PathLike[str], known: ShotIdentity | None = None) -> ShotIdentity:
    """What a shot is now. Quick where nothing on disk has changed since it was asked, or since `known` was; else all of
    it is read, at some 500 MB a second: not for a thread that must not wait.

    Args:
        path: as the module says.
        known: what was found before, perhaps by another process.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE: see `sequence_at`.
    """
    path = Path(path)
    sequence = sequence_at(path)
    files = [path] if sequence is None else sequence.files
    try:
        stamp = _stamp(files)
        if known is not None and known.stamp == stamp:
            return known
        place = f"{path.absolute()}\n{stamp}"
        with _lock:
            digest = _known.get(place)
        if digest is None:
            digest = _file_digest(path) if sequence is None else _sequence_digest(files)
            with _lock:
                _known[place] = digest
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"Cannot read the shot {error.filename or path}: {error.strerror or error}.",
            "Check the path, or choose the shot again where it lies now.",
        ) from error  # fmt: skip
    return ShotIdentity(digest, stamp)


def shot_digest(path: str | os.PathLike[str], known: ShotIdentity | None = None) -> str:
    """The digest of `identify_shot`, whose arguments and errors it has."""
    return identify_shot(path, known).digest


def _stamp(files: list[Path]) -> str:
    stamp = hashlib.sha256()
    for file in files:
        status = os.stat(file)
        stamp.update(f"{file.name}\0{status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return stamp.hexdigest()


def _sequence_digest(files: list[Path]) -> str:
    digest = hashlib.sha256(b"sequence\n")
    for file in files:
        digest.update(f"{file.name}\0{_file_digest(file)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _file_digest(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def performance_digest(track: LandmarkTrack) -> str:
    """SHA-256 (hex) of all that drawing a shot takes from the points found in it: those of every frame, because others
    lend to the one that is drawn."""
    digest = hashlib.sha256()
    for name, array in (("points", track.points), *((name, track.extra.get(name)) for name in _PERFORMANCE)):
        if array is not None:
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def is_unchanged(target: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Which frames are the shot's own: those whose target is where the face was found.

    Args:
        target: (…, 70, 2 or 3) float32 pixels.
        found: (…, 70, 2 or 3), of which depth counts where both have it.

    Returns:
        (…) bool.
    """
    axes = min(target.shape[-1], found.shape[-1])
    return np.asarray((target[..., :axes] == found[..., :axes]).all((-2, -1)))


def shot_frame_digest(
    engine: str, fingerprint: str, shot: str, performance: str, index: int, target: np.ndarray, found: np.ndarray,
    *, depth: int = 8,
) -> str:  # fmt: skip
    """SHA-256 (hex) over all that one frame of a shot depends on. That of an unchanged frame is of the shot alone.

    Args:
        engine: the engine's name.
        fingerprint: the engine's, `digest.tuned_fingerprint` where it is tuned.
        shot: from `shot_digest`.
        performance: from `performance_digest`.
        index: of the frame in the shot, from 0.
        target: (70, 2 or 3) points of the frame, pixels; hashed as float32.
        found: (70, 2 or 3) the points that were found in it.
        depth: bits a channel of the frame.
    """
    target = np.ascontiguousarray(target, "<f4")
    text = f"shot frame {_READING} {shot} {index} {depth}\n"
    if is_unchanged(target, np.asarray(found, np.float32)):
        return hashlib.sha256(text.encode()).hexdigest()
    text += f"{_DRAWING} {engine}\n{fingerprint}\n{performance} {target.shape[-1]}\n"
    return hashlib.sha256(text.encode() + target.tobytes()).hexdigest()


def layered_shot_digest(
    own: str, following: str, engine: str, fingerprint: str, performance: str, layers: Sequence[str], colorspace: str
) -> str:
    """SHA-256 (hex) over all that a layered frame of a shot depends on.

    Args:
        own, following: `shot_frame_digest` of the frame and of the next one that is asked for; the last follows itself.
        engine, fingerprint, performance: as `shot_frame_digest` takes them; layers of a frame as filmed depend on them too.
        layers: see `portrait_shared.layers.LAYERS`.
        colorspace: that the colours are written in.
    """
    after = "" if FOLLOWING.isdisjoint(layers) else following
    told = f"{own} {after} {_DRAWING} {engine}\n{fingerprint}\n{performance} {','.join(in_order(layers))} {colorspace}"
    return hashlib.sha256(f"layered {told}".encode()).hexdigest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Filmed shots, a movie or a numbered sequence of pictures: what identifies them, and each frame drawn of them.

A shot is named by the path of its movie, of the folder of its pictures, or of the pictures with ``#`` for their number:
``plates/sc010.####.png``. Nothing is decoded here, so that the extension tells stale frames from done ones at once.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from portrait_shared.disclosure import NOTHING_SHOWN, Disclosure
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_sequences import sequence_at
from portrait_shared.layers import FOLLOWING, in_order
from portrait_shared.track import LandmarkTrack

SHOT_ARRAY: Final = "shot"
"""The array of a track that tells which shot its points were found in: the digest and the stamp, two texts."""
_DRAWING: Final = "shot-14"
"""Changes whenever the server may draw other pixels of a shot than before, with the same engine."""
_READING: Final = "plate-2"
"""Changes whenever the server may read other pixels of a shot than before."""
_CHUNK_BYTES: Final = 2**20
# Of the points' file, all that drawing looks at.
_PERFORMANCE: Final = ("mesh478", "detected", "cuts")


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


def note_shot(path: Path, digest: str) -> None:
    """Takes over a shot's digest from whoever has just read all of it, so that `identify_shot` need not, unless it changes.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE: see `sequence_at`.
        OSError: it cannot be read.
    """
    sequence = sequence_at(path)
    stamp = _stamp([path] if sequence is None else sequence.files)
    with _lock:
        _known[f"{path.absolute()}\n{stamp}"] = digest


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
    *, depth: int = 8, disclosure: Disclosure = NOTHING_SHOWN,
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
        disclosure: what a changed frame shows of having been made; one as filmed shows nothing.
    """
    target = np.ascontiguousarray(target, "<f4")
    text = f"shot frame {_READING} {shot} {index} {depth}\n"
    if is_unchanged(target, np.asarray(found, np.float32)):
        return hashlib.sha256(text.encode()).hexdigest()
    text += f"{_DRAWING} {engine}\n{fingerprint}\n{performance} {target.shape[-1]}\n"
    text += f"shown {disclosure.hashed}\n" if disclosure.hashed else ""
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

# SPDX-License-Identifier: GPL-3.0-or-later
"""Shards: files of some hundred face crops with landmarks, mesh and matte, read at random through a memory map.

Layout, little-endian: 32 bytes of head (`_HEAD`: magic, where the index is, how long, its CRC-32, how many
records), the records, then the index: one `ENTRY` a record, then JSON ``{"sources": […], "skipped": {…}}``.
A record is points (70, 3) float32, mesh (478, 3) float32, the picture (JPEG), the matte (PNG, grey).
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import parse_json, partial_file, sweep_partials, write_error
from portrait_shared.landmarks import LANDMARK_COUNT

SUFFIX: Final = ".shard"
ENTRY: Final = np.dtype(
    [("offset", "<u8"), ("image", "<u4"), ("matte", "<u4"), ("crc", "<u4"), ("source", "<u4"), ("frame", "<u4")]
)
"""Where a record begins, how many bytes picture and matte take, the record's CRC-32, which source and frame it is."""

_HEAD: Final = struct.Struct("<8sQIII4x")
_MAGIC: Final = b"TPSHARD1"
_POINTS, _MESH = (LANDMARK_COUNT, 3), (478, 3)
_POINTS_BYTES, _MESH_BYTES = 4 * LANDMARK_COUNT * 3, 4 * 478 * 3
_JPEG_QUALITY = 96


@dataclass(frozen=True)
class Face:
    """One picture of one person.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        points: (70, 3) float32, pixels.
        mesh: (478, 3) float32, pixels, MediaPipe's.
        matte: (H, W) uint8, the person.
    """

    image: np.ndarray
    points: np.ndarray
    mesh: np.ndarray
    matte: np.ndarray


def write_shard(
    path: Path, faces: Sequence[tuple[int, int, Face]], sources: Sequence[str], skipped: Mapping[str, str]
) -> None:
    """Writes a shard at once or not at all.

    Args:
        faces: (number of its source, number of its frame, face) each.
        sources: what the faces were taken from, relative to the folder that was read.
        skipped: sources without a usable face, and why.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    index = np.zeros(len(faces), ENTRY)
    sweep_partials(path.parent)
    try:
        with partial_file(path) as partial, partial.open("r+b") as file:
            file.write(bytes(_HEAD.size))
            for entry, (source, frame, face) in zip(index, faces, strict=True):
                image, matte = _jpeg(face.image), _png(face.matte)
                record = face.points.astype("<f4").tobytes() + face.mesh.astype("<f4").tobytes() + image + matte
                entry["offset"], entry["image"], entry["matte"] = file.tell(), len(image), len(matte)
                entry["crc"], entry["source"], entry["frame"] = zlib.crc32(record), source, frame
                file.write(record)
            listed = json.dumps({"sources": list(sources), "skipped": dict(skipped)}).encode()
            tail = index.tobytes() + listed
            at = file.tell()
            file.write(tail)
            file.seek(0)
            file.write(_HEAD.pack(_MAGIC, at, len(tail), zlib.crc32(tail), len(faces)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(path, error) from error


class Shard:
    """A shard open for reading. Copies sent to other processes open the file again.

    Attributes:
        entries: (N,) of `ENTRY`.
        sources, skipped: see `write_shard`.
    """

    def __init__(self, path: Path) -> None:
        """Raises: PortraitError: FILE_MISSING, BAD_IMAGE naming the shard where it is damaged or something else."""
        self.path = path
        self._map = _mapped(path)
        if len(self._map) < _HEAD.size:
            raise _damaged(path, "it is cut short")
        magic, at, length, crc, count = _HEAD.unpack_from(self._map)
        if magic != _MAGIC:
            raise _damaged(path, "it is not a shard of this version")
        tail = self._map[at : at + length]
        if len(tail) != length or zlib.crc32(tail) != crc or length < count * ENTRY.itemsize:
            raise _damaged(path, "its index is cut short or changed")
        self.entries = np.frombuffer(tail, ENTRY, count)
        listed = _listed(path, tail[count * ENTRY.itemsize :])
        self.sources: list[str] = listed["sources"]
        self.skipped: dict[str, str] = listed["skipped"]
        if count and int(self.entries["source"].max()) >= len(self.sources):
            raise _damaged(path, "a record has no source")

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, number: int) -> Face:
        """Raises: PortraitError: BAD_IMAGE naming the shard and the record where it is damaged."""
        entry = self.entries[number]
        at, image, matte = int(entry["offset"]), int(entry["image"]), int(entry["matte"])
        record = self._map[at : at + _POINTS_BYTES + _MESH_BYTES + image + matte]
        if zlib.crc32(record) != int(entry["crc"]):
            raise _damaged(self.path, f"record {number} is cut short or changed")
        points = np.frombuffer(record, "<f4", LANDMARK_COUNT * 3).reshape(_POINTS)
        mesh = np.frombuffer(record, "<f4", 478 * 3, _POINTS_BYTES).reshape(_MESH)
        start = _POINTS_BYTES + _MESH_BYTES
        picture = cv2.imdecode(np.frombuffer(record, np.uint8, image, start), cv2.IMREAD_COLOR)
        alpha = cv2.imdecode(np.frombuffer(record, np.uint8, matte, start + image), cv2.IMREAD_GRAYSCALE)
        if picture is None or alpha is None or picture.shape[:2] != alpha.shape:
            raise _damaged(self.path, f"record {number} holds no picture and matte of one size")
        if not (np.isfinite(points).all() and np.isfinite(mesh).all()):
            raise _damaged(self.path, f"record {number} has landmarks that are no numbers")
        return Face(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), points.astype(np.float32), mesh.astype(np.float32), alpha)

    def __reduce__(self) -> tuple[type[Shard], tuple[Path]]:
        return Shard, (self.path,)


class Faces:
    """All faces of a folder of shards, numbered from 0."""

    def __init__(self, folder: Path) -> None:
        """Raises: PortraitError: FILE_MISSING where there is no shard; BAD_IMAGE for a damaged one."""
        self._shards = open_shards(folder)
        self._first = np.cumsum([0, *map(len, self._shards)])

    def __len__(self) -> int:
        return int(self._first[-1])

    def read(self, number: int) -> Face:
        """Raises: PortraitError: BAD_IMAGE naming the shard and the record where it is damaged."""
        shard = int(np.searchsorted(self._first, number, side="right")) - 1
        return self._shards[shard].read(number - int(self._first[shard]))


def open_shards(folder: Path) -> list[Shard]:
    """A folder's shards in order of their names.

    Raises:
        PortraitError: FILE_MISSING where there is none; BAD_IMAGE for a damaged one.
    """
    shards = [Shard(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    if not any(map(len, shards)):
        raise PortraitError(
            ErrorCode.FILE_MISSING,
            f"There are no shards with faces in {folder}.",
            "Make them with `portrait corpus build`.",
        )
    return shards


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {path}.", "Build the corpus again.") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, f"it is empty or cannot be read ({error})") from error


def _listed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        listed = parse_json(text)
    except ValueError as error:
        raise _damaged(path, "its list of sources cannot be read") from error
    if (
        not isinstance(listed, dict)
        or not isinstance(listed.get("sources"), list)
        or not isinstance(listed.get("skipped"), dict)
        or not all(isinstance(value, str) for value in listed["sources"])
    ):
        raise _damaged(path, "its list of sources is not what it should be")
    return listed


def _damaged(path: Path, why: str) -> PortraitError:
    return damaged("shard", path, why, "build")


def damaged(what: str, path: Path, why: str, command: str) -> PortraitError:
    """That a file of a corpus cannot be read, which `portrait corpus COMMAND` makes."""
    return PortraitError(
        ErrorCode.BAD_IMAGE,
        f"Cannot read the {what} {path}: {why}.",
        f"Delete that file and run the same `portrait corpus {command}` again: it makes what is missing.",
    )


def _jpeg(image: np.ndarray) -> bytes:
    # Without chroma subsampling: lips and irises are a few pixels.
    options = [
        cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _png(matte: np.ndarray) -> bytes:
    return cv2.imencode(".png", matte)[1].tobytes()

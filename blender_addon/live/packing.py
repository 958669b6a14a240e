# SPDX-License-Identifier: GPL-3.0-or-later
"""A recorded performance as bytes, small enough for a .blend, and back with every bound checked. Knows nothing of bpy."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from ..importers.timecode import is_timecode
from .recorded import HEAD_ANGLES, Part, Recorded

_MAGIC: Final = b"TPL1"
_LEVEL: Final = 6
_POINT_STEP: Final = 1 / 64  # pixel
_VALUE_STEP: Final = 1 / 50_000  # of a slider: finer than the phone's own noise by far
_ANGLE_STEP: Final = 1e-5  # radian
_FRAME_STEP: Final = 1 / 4096
_MOST_SAMPLES: Final = 1_000_000
_MOST_COLUMNS: Final = 256
_MOST_PARTS: Final = 16
_MOST_BYTES: Final = 1_500 * 2**20
_MOST_HEADER: Final = 256 * 1024
_LIMIT: Final = 2**31 - 1


def pack(recorded: Recorded) -> bytes:
    """All of it but what is finer than 1/50,000 of a slider, 1/100,000 radian, 1/64 pixel and 1/4096 frame."""
    header = {
        "fps": recorded.fps,
        "notes": list(recorded.notes),
        "parts": [_described(part) for part in recorded.parts],
    }
    packed = zlib.compressobj(_LEVEL)
    chunks = [packed.compress(array) for part in recorded.parts for array in _arrays(part)]
    chunks.append(packed.flush())
    text = json.dumps(header).encode()
    return b"".join((_MAGIC, struct.pack("<I", len(text)), text, *chunks))


def unpack(data: bytes) -> Recorded:
    """What `pack` made bytes of.

    Raises:
        PortraitError: BAD_TRACK for what is no such bytes, or damaged.
    """
    try:
        return _unpacked(data)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        struct.error,
        zlib.error,
    ) as error:
        raise PortraitError(
            ErrorCode.BAD_TRACK, "The take's data in the .blend is damaged.", "Discard it, and record it again."
        ) from error


def _described(part: Part) -> dict[str, Any]:
    return {
        "title": part.title, "count": len(part), "columns": list(part.columns), "points": part.points is not None,
        "neutral": None if part.neutral is None else np.asarray(part.neutral, np.float64).tolist(),
        "straight": list(part.straight), "timecode": part.timecode, "timecode_frame": part.timecode_frame,
        "timecode_rate": part.timecode_rate,
    }  # fmt: skip


def _step(name: str) -> float:
    return _ANGLE_STEP if name in HEAD_ANGLES else _VALUE_STEP


def _arrays(part: Part) -> Iterator[bytes]:
    """Whole numbers, each as its difference from the one before: nearly all of them are small, and pack well."""
    yield _differences(part.frames, _FRAME_STEP)
    for name, values in part.columns.items():
        yield _differences(values, _step(name))
    if part.points is not None:
        for column in part.points.reshape(len(part), -1).T:
            yield _differences(column, _POINT_STEP)


def _differences(values: np.ndarray, step: float) -> bytes:
    whole = np.clip(np.round(np.asarray(values, np.float64) / step), -_LIMIT, _LIMIT).astype(np.int32)
    # Bytes of equal weight side by side: the high ones are nearly all alike.
    return np.diff(whole, prepend=np.int32(0)).astype("<i4").view(np.uint8).reshape(-1, 4).T.tobytes()


def _values(data: bytes, step: float) -> np.ndarray:
    whole = np.frombuffer(data, np.uint8).reshape(4, -1).T.copy().view("<i4").ravel()
    return np.cumsum(whole, dtype=np.int32).astype(np.float64) * step


def _unpacked(data: bytes) -> Recorded:
    if data[:4] != _MAGIC:
        raise ValueError("another beginning")
    (length,) = struct.unpack_from("<I", data, 4)
    if length > min(_MOST_HEADER, len(data) - 8):
        raise ValueError("a header that is too long")
    header = json.loads(data[8 : 8 + length])
    parts = header["parts"]
    if not 1 <= len(parts) <= _MOST_PARTS:
        raise ValueError("no part, or too many")
    counts = [_checked_count(each) for each in parts]
    widths = [1 + len(each["columns"]) + (210 if each["points"] else 0) for each in parts]
    whole = sum(4 * count * width for count, width in zip(counts, widths, strict=True))
    if whole > _MOST_BYTES:
        raise ValueError("too large")
    opened = zlib.decompressobj()
    body = opened.decompress(data[8 + length :], whole + 1)
    if len(body) != whole:
        raise ValueError("another length")
    fps = float(header["fps"])
    if not 0 < fps < 1e6:
        raise ValueError("no frame rate")
    at, made = 0, []
    for each, count, width in zip(parts, counts, widths, strict=True):
        made.append(_part(each, count, body[at : at + 4 * count * width]))
        at += 4 * count * width
    return Recorded(fps, tuple(made), tuple(str(note) for note in header["notes"]))


def _checked_count(described: dict[str, Any]) -> int:
    count = described["count"]
    if not isinstance(count, int) or not 1 <= count <= _MOST_SAMPLES or len(described["columns"]) > _MOST_COLUMNS:
        raise ValueError("no samples, or too many")
    return count


def _part(described: dict[str, Any], count: int, body: bytes) -> Part:
    pieces = (body[start : start + 4 * count] for start in range(0, len(body), 4 * count))
    frames = _values(next(pieces), _FRAME_STEP)
    if (np.diff(frames) < 0).any():
        raise ValueError("frames that fall")
    columns = {str(name): _values(next(pieces), _step(name)).astype(np.float32) for name in described["columns"]}
    points = neutral = None
    if described["points"]:
        points = np.stack([_values(piece, _POINT_STEP) for piece in pieces], axis=1).reshape(count, 70, 3)
        points = points.astype(np.float32)
        neutral = np.array(described["neutral"], np.float64).reshape(70, 3)
        if not np.isfinite(neutral).all():
            raise ValueError("a neutral face that is none")
    straight = tuple(float(value) for value in described["straight"])
    frame = float(described["timecode_frame"])
    if len(straight) != 3 or not all(map(math.isfinite, (*straight, frame))):
        raise ValueError("angles that are none")
    pitch, yaw, roll = straight
    timecode, rate = str(described["timecode"]), int(described["timecode_rate"])
    if (timecode and not is_timecode(timecode)) or not 1 <= rate <= 10_000:
        raise ValueError("a timecode that is none")
    title = str(described["title"])
    return Part(title, frames, columns, points, neutral, (pitch, yaw, roll), timecode, frame, rate)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on a pipe, as `portrait air` takes them: a header that tells their size, then their pixels.

A header has 16 bytes, numbers little-endian: the letters `TPRF`, the version and the number of channels (16 bits each),
width and height (32 bits each). The pixels follow, row by row from the top, 8 bits a channel: RGB, or RGB with straight
alpha.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

import numpy as np

from portrait_shared.errors import ErrorCode, PortraitError

VERSION: Final = 1
MAX_SIDE: Final = 4096
"""Of a frame, pixels: with it the memory that one takes is bounded before a pixel is read."""
_MAGIC: Final = b"TPRF"
_HEADER: Final = struct.Struct("<4sHHII")


def header_of(pixels: np.ndarray) -> bytes:
    """What goes before a frame.

    Args:
        pixels: (H, W, 3 or 4) uint8, H and W at most `MAX_SIDE`.

    Raises:
        PortraitError: SIZE_MISMATCH.
    """
    shape = pixels.shape
    if (
        pixels.dtype != np.uint8
        or len(shape) != 3
        or shape[2] not in (3, 4)
        or not 0 < min(shape[:2]) <= max(shape[:2]) <= MAX_SIDE
    ):
        raise PortraitError(
            ErrorCode.SIZE_MISMATCH, f"A picture of {pixels.dtype} with shape {shape} cannot be sent.",
            f"Choose a picture of at most {MAX_SIDE} pixels a side.",
        )  # fmt: skip
    return _HEADER.pack(_MAGIC, VERSION, shape[2], shape[1], shape[0])


def read_frame(stream: BinaryIO) -> np.ndarray | None:
    """The next frame, (H, W, 3 or 4) uint8; None where the stream ends between two frames.

    Raises:
        PortraitError: BAD_MESSAGE where what comes is no frame, or ends within one; VERSION_MISMATCH.
    """
    header = _read(stream, bytearray(_HEADER.size))
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise _bad("it ends within a header")
    magic, version, channels, width, height = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise _bad("it does not begin with a header")
    if version != VERSION:
        raise PortraitError(
            ErrorCode.VERSION_MISMATCH, f"Frames come in version {version}, and are read in version {VERSION}.",
            "Install the server and the extension of one release.",
        )  # fmt: skip
    if channels not in (3, 4) or not 0 < min(width, height) <= max(width, height) <= MAX_SIDE:
        raise _bad(f"a frame of {width} × {height} pixels and {channels} channels")
    pixels = np.empty((height, width, channels), np.uint8)
    if len(_read(stream, pixels.data.cast("B"))) < pixels.nbytes:
        raise _bad("it ends within a frame")
    return pixels


def _read(stream: BinaryIO, buffer: bytearray | memoryview) -> memoryview:
    """Fills the buffer; returns the part of it that there was something for."""
    view = memoryview(buffer)
    done = 0
    while done < len(view):
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            break
        done += count
    return view[:done]


def _bad(what: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_MESSAGE, f"What comes on standard input is no frame: {what}.",
        "Send frames as `portrait_shared.raw_frames` writes them.",
    )  # fmt: skip

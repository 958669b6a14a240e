# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as PNG files that hold their very pixels: Blender's own writer makes of 16 bits what its colours say."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_KINDS: Final = {3: 2, 4: 6}
"""PNG's numbers for RGB and RGBA, by channels."""
_FAST: Final = 1


def png_bytes(pixels: np.ndarray) -> bytes:
    """A PNG file.

    Args:
        pixels: (H, W, 3 or 4) uint8 or uint16, RGB, or RGB with straight alpha.
    """
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    values = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    rows = np.concatenate((np.zeros((height, 1), np.uint8), values), axis=1)  # each begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, bits, _KINDS[channels], 0, 0, 0)
    body = zlib.compress(rows.data, _FAST)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

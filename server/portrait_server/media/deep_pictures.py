# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of 16 bits a channel, with all their bits.

Pillow keeps 8 bits of a picture in colour, and its colour management knows no more: OpenCV reads the pixels, and a
profile that is curves and a matrix is applied here. What comes of it counts only where it shows what Pillow shows, so
that a picture has the same colours at both depths.
"""

from __future__ import annotations

import logging
from typing import BinaryIO, Final, Literal

import cv2
import numpy as np
from PIL import Image

from portrait_server.media.picture_colours import to_srgb_16

Depth = Literal[8, 16]
"""Bits a channel."""
_FORMATS: Final = ("PNG", "TIFF", "PPM")
# Of 255: by how much two ways through the same profile differ. Another orientation, channel order or scale differs by
# far more.
_SAME_PICTURE: Final = 8
_TURNS: Final = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}  # by EXIF's orientation

log = logging.getLogger(__name__)


def widened(pixels: np.ndarray) -> np.ndarray:
    """A picture of 8 bits in 16: the same colours, white stays white."""
    return pixels.astype(np.uint16) * 257


def deep_picture(
    image: Image.Image, file: BinaryIO, turn: int, profile: bytes | None, shallow: np.ndarray
) -> np.ndarray | None:
    """The picture (H, W, 3 or 4) uint16, upright and sRGB; None where the file has no more than 8 bits, or they cannot be had.

    Args:
        image: opened from `file`.
        turn: its orientation, by EXIF's numbers.
        profile: ICC profile of its colours.
        shallow: (H, W, 3 or 4) uint8, the same picture as it is read in 8 bits.
    """
    if image.format not in _FORMATS:
        return None
    stored = _stored(file)
    if stored is None:
        return None
    colours, alpha = stored
    if turn in _TURNS and image.format != "TIFF":  # which OpenCV turns itself, though it was asked for what is stored
        colours = _TURNS[turn](colours)
        alpha = None if alpha is None else _TURNS[turn](alpha)
    deep = _in_srgb(colours, alpha, profile, shallow)
    if deep is None:
        log.warning("Only 8 of the 16 bits of this picture can be read with the colours that it states")
    return deep


def _stored(file: BinaryIO) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Colours (H, W, 3), or grey (H, W, 1), uint16 as they are stored, and alpha (H, W); None for a file of fewer bits."""
    file.seek(0)
    try:
        pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # Pillow has read it
        return None
    if pixels is None or pixels.dtype != np.uint16:
        return None
    if pixels.ndim == 2:
        return pixels[..., None], None
    return pixels[..., 2::-1], pixels[..., 3] if pixels.shape[2] == 4 else None


def _in_srgb(
    colours: np.ndarray, alpha: np.ndarray | None, profile: bytes | None, shallow: np.ndarray
) -> np.ndarray | None:
    """Stored colours and alpha in sRGB; None where their high bytes do not show the picture as it is read in 8 bits."""
    convert = to_srgb_16(profile, grey=colours.shape[2] == 1)
    if convert is None or colours.shape[:2] != shallow.shape[:2]:
        return None
    deep = np.empty(shallow.shape, np.uint16)
    # Row by row: a huge photo is never held in floats as a whole.
    for stored, shown, row in zip(colours, shallow, deep, strict=True):
        row[:, :3] = convert(stored)
        # Of the same bits that the 8 have: where a profile is linear, what lies below them is many levels in the dark.
        if not _alike(convert(widened(stored >> 8)), shown[:, :3]):
            return None
    if deep.shape[2] == 4:
        deep[..., 3] = widened(shallow[..., 3]) if alpha is None else alpha
        if not _alike(deep[..., 3], shallow[..., 3]):
            return None
    return deep


def _alike(deep: np.ndarray, shallow: np.ndarray) -> bool:
    return int(cv2.absdiff((deep >> 8).astype(np.uint8), shallow).max()) <= _SAME_PICTURE

# SPDX-License-Identifier: GPL-3.0-or-later
"""How colours and mattes are held while a frame is drawn: always from 0 to 255, in whole levels or with fractions.

A reference of 8 bits is drawn in whole levels (uint8). One of 16 bits has fractions (float32, a 257th is one of its
levels), which are rounded once, in the finished frame.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from portrait_server.geometry.arrays import array_namespace
from portrait_server.kernels.base import Array

LEVELS_16_BIT: Final = 257  # of 16 bits in one of 8: 65535 / 255


def levels(picture: np.ndarray) -> np.ndarray:
    """A picture (…) uint8 or uint16 from 0 to 255: uint8 as it is, or float32."""
    if picture.dtype == np.uint8:
        return picture
    values = picture.astype(np.float32)
    values /= LEVELS_16_BIT
    return values


def held(values: Array, dtype: Any) -> Array:
    """Numbers (…) as a picture of a type holds them: from 0 to 255, and whole where the type is."""
    xp = array_namespace(values)
    if dtype == xp.uint8:
        return values if values.dtype == dtype else xp.astype(values.round().clip(0, 255), xp.uint8)
    return xp.astype(values.clip(0, 255), xp.float32, copy=False)


def signed(picture: Array) -> Array:
    """A picture (…) in a type that holds differences between two: int16 or float32."""
    xp = array_namespace(picture)
    return xp.astype(picture, xp.int16 if picture.dtype == xp.uint8 else xp.float32)


def finished(picture: Array) -> Array:
    """A drawn picture (…) as a frame: uint8, or uint16 where it has fractions."""
    xp = array_namespace(picture)
    if picture.dtype == xp.uint8:
        return picture
    return xp.astype((picture.clip(0, 255) * LEVELS_16_BIT).round(), xp.uint16)


def strongest(colors: Array) -> Array:
    """The largest of each pixel's three numbers, (…, 3) to (…, 1)."""
    # NumPy takes 25 times as long for a maximum over a last axis of three.
    xp = array_namespace(colors)
    return xp.maximum(xp.maximum(colors[..., :1], colors[..., 1:2]), colors[..., 2:])

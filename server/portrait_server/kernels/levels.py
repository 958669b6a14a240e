# SPDX-License-Identifier: GPL-3.0-or-later
"""How colours and mattes are held while a frame is drawn: always from 0 to 255, in whole levels or with fractions.

A reference of 8 bits is drawn in whole levels (uint8). One of 16 bits has fractions (float32, a 257th is one of its
levels), which are rounded once, in the finished frame.
"""

from __future__ import annotations

from typing import Final

import numpy as np

LEVELS_16_BIT: Final = 257  # of 16 bits in one of 8: 65535 / 255


def levels(picture: np.ndarray) -> np.ndarray:
    """A picture (…) uint8 or uint16 from 0 to 255: uint8 as it is, or float32."""
    if picture.dtype == np.uint8:
        return picture
    values = picture.astype(np.float32)
    values /= LEVELS_16_BIT
    return values


def held(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers (…) as a picture of a type holds them: from 0 to 255, and whole where the type is."""
    if values.dtype == dtype == np.uint8:
        return values
    if dtype == np.uint8:
        return np.clip(np.round(values), 0, 255).astype(np.uint8)
    return np.clip(values, 0, 255).astype(np.float32, copy=False)


def signed(picture: np.ndarray) -> np.ndarray:
    """A picture (…) in a type that holds differences between two: int16 or float32."""
    return picture.astype(np.int16 if picture.dtype == np.uint8 else np.float32)


def finished(picture: np.ndarray) -> np.ndarray:
    """A drawn picture (…) as a frame: uint8, or uint16 where it has fractions."""
    if picture.dtype == np.uint8:
        return picture
    values = np.clip(picture, 0, 255)
    values *= LEVELS_16_BIT
    return np.round(values, out=values).astype(np.uint16)

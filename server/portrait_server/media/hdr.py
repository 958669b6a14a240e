# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of high dynamic range, as phones film them, to the sRGB that all else here is in."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from portrait_server.media.deep_pictures import Depth
from portrait_server.media.picture_profiles import srgb_encoded

PQ: Final = 16
HLG: Final = 18
"""Transfer characteristics by their numbers in ITU-T H.273."""
BT2020_PRIMARIES: Final = 9
_WHITE_NITS = 203.0  # what a white wall has, by ITU-R BT.2408
_HLG_PEAK_NITS, _HLG_GAMMA = 1000.0, 1.2
_BRIGHTEST = 16.0  # in parts of white; nothing above is told apart
_KNEE = 0.75  # of white; what is brighter is compressed
# From ITU-R BT.2020's primaries to BT.709's, both linear, by ITU-R BT.2087.
_TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def to_srgb(pixels: np.ndarray, transfer: int, wide: bool, depth: Depth = 8) -> np.ndarray:
    """The picture on an ordinary screen: white stays white, and what is brighter is drawn together below it.

    Args:
        pixels: (H, W, 3) uint16, full range.
        transfer: `PQ` or `HLG`.
        wide: whether its primaries are BT.2020's.
        depth: bits a channel of what is returned.

    Returns:
        (H, W, 3) uint8 or uint16.
    """
    light = _light(transfer)[pixels]
    if wide:
        light = light @ _TO_BT709.T
    table = _srgb(depth)
    codes = np.sqrt(np.clip(light, 0, None) / _BRIGHTEST) * (len(table) - 1)
    return table[np.minimum(codes, len(table) - 1).astype(np.uint16)]


@cache
def _light(transfer: int) -> np.ndarray:
    """(65536,) float32: light in parts of white for each code."""
    code = np.linspace(0, 1, 65536)
    if transfer == PQ:  # SMPTE ST 2084
        root = code ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    else:  # ARIB STD-B67, its gamma on each channel
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        nits = _HLG_PEAK_NITS * scene**_HLG_GAMMA
    return (nits / _WHITE_NITS).astype(np.float32)


@cache
def _srgb(depth: Depth) -> np.ndarray:
    """sRGB of so many bits for the square root of light, up to `_BRIGHTEST`: (4096,) uint8, or (65536,) uint16."""
    light = np.linspace(0, 1, 4096 if depth == 8 else 65536) ** 2 * _BRIGHTEST
    room = 1 - _KNEE
    light = np.where(light <= _KNEE, light, _KNEE + room * np.tanh((light - _KNEE) / room))
    most, kind = (255, np.uint8) if depth == 8 else (65535, np.uint16)
    return np.round(most * srgb_encoded(light)).astype(kind)

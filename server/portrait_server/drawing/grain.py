# SPDX-License-Identifier: GPL-3.0-or-later
"""The finest grain of a photo, which a look-up between its pixels would smooth away: skin that moves would look polished."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_server.kernels.base import Array, Kernels, Look
from portrait_server.kernels.levels import held

# Of a standard deviation of the grain: by how much at most a pixel is brought nearer to the nearest one of the photo. What
# differs by more is an edge, which would get steps.
_KEPT = 2.0
_LEAST, _MOST = 2, 8  # levels
_SECOND_DIFFERENCES = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_BESIDE = (
    2.0**-7
)  # pixels: half way between two pixels the nearest is always the next one, not the even one of each pair
_MEDIAN = 6 * 0.6745  # of their absolute values, for white noise of a standard deviation of 1


def grain_of(photo: np.ndarray) -> int:
    """By how many levels a part of a photo (H, W, 3) is kept as it is from pixel to pixel; 0 where it is smooth.

    After J. Immerkaer, "Fast Noise Variance Estimation", 1996, with the median in place of the mean, for edges are rare.
    """
    if min(photo.shape[:2]) < 3:
        return 0
    green = np.ascontiguousarray(photo[..., 1]).astype(np.float32)
    noise = float(np.median(np.abs(cv2.filter2D(green, -1, _SECOND_DIFFERENCES)))) / _MEDIAN
    kept = min(round(_KEPT * noise), _MOST)
    return kept if kept >= _LEAST else 0


def looked_up_sharply(
    kernels: Kernels, picture: Array, x: Array, y: Array, grain: int, look: Look = Look.CUBIC
) -> Array:
    """A picture (1, h, w, C) at positions (N, H, W), with the grain of the pixels nearest to them: (N, H, W, C)."""
    found = kernels.looked_up(picture, x, y, look)
    if not grain:
        return held(found, picture.dtype)
    nearest = kernels.looked_up(picture, x + _BESIDE, y + _BESIDE, Look.NEAREST)
    return held(kernels.held_near(nearest, found, grain), picture.dtype)

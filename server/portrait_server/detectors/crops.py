# SPDX-License-Identifier: GPL-3.0-or-later
"""Squares cut out of a picture, also beyond its border."""

from __future__ import annotations

import cv2
import numpy as np


def crop_square(
    image: np.ndarray, square: tuple[float, float, float], max_pixels: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """A square of the picture, its border pixels continued where it reaches outside.

    Returns:
        the crop, at most `max_pixels` a side; its top left corner in the picture; picture pixels per crop pixel.
    """
    x, y, side = square
    size = max(2, round(side))
    left, top = round(x - size / 2), round(y - size / 2)
    height, width = image.shape[:2]
    x0, x1 = np.clip((left, left + size), 0, width)
    y0, y1 = np.clip((top, top + size), 0, height)
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    inside = image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    scale = max(1.0, size / max_pixels)
    if scale > 1:
        # The part inside is scaled first, so that a huge picture is never padded at full size.
        shape = [max(1, round(length / scale)) for length in inside.shape[1::-1]]
        inside = cv2.resize(inside, shape, interpolation=cv2.INTER_AREA)
    pixels = round(size / scale)
    before_x, before_y = (min(pixels, max(0, round(gap / scale))) for gap in (x0 - left, y0 - top))
    after_x, after_y = max(0, pixels - before_x - inside.shape[1]), max(0, pixels - before_y - inside.shape[0])
    crop = cv2.copyMakeBorder(inside, before_y, after_y, before_x, after_x, cv2.BORDER_REPLICATE)
    crop = np.ascontiguousarray(crop[:pixels, :pixels])
    return crop, np.array([x0 - before_x * scale, y0 - before_y * scale], np.float32), size / pixels

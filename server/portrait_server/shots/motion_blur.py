# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera blurs because it moves: given to what a moment lends that stood stiller than the frame it is lent to."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

_SHUTTER: Final = 0.5  # of the time from a frame to the next, as cameras are usually set (180 degrees)
_LEAST: Final = 1.0  # pixels: less blur is not seen
_STEPS: Final = 4  # samples in each pixel of the way


def blurred_along(picture: np.ndarray, motion: np.ndarray, had: np.ndarray, unsure: float) -> np.ndarray:
    """A picture (H, W, 3) float32, blurred along a motion (2,), less what it has of such blur already.

    Args:
        motion: of the frame that it is lent to, pixels from one frame to the next.
        had: of the moment that it is from.
        unsure: pixels of the blur that are not believed.
    """
    speed = float(np.linalg.norm(motion))
    if speed < 1e-6:
        return picture
    along = motion / speed
    length = _SHUTTER * float(np.sqrt(max(speed**2 - float(had @ along) ** 2, 0))) - unsure
    if length < _LEAST:
        return picture
    return cv2.filter2D(picture, -1, _line(length * along), borderType=cv2.BORDER_REPLICATE)


def _line(way: np.ndarray) -> np.ndarray:
    """The kernel of a straight way (2,), pixels, its middle in the kernel's."""
    reach = np.ceil(np.abs(way) / 2).astype(int) + 1
    kernel = np.zeros(2 * reach[::-1] + 1, np.float32)
    count = int(np.ceil(_STEPS * np.linalg.norm(way))) + 1
    for share in np.linspace(-0.5, 0.5, count):
        x, y = share * way + reach
        left, top = int(np.floor(x)), int(np.floor(y))
        for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
            for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
                kernel[row, column] += across * down
    return kernel / kernel.sum()

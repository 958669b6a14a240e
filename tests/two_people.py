# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of two people, made of one photograph: the astronaut, and her mirror image in other colours."""

from __future__ import annotations

import cv2
import numpy as np
import skimage.data

_ROWS, _COLUMNS = slice(0, 330), slice(40, 380)
_OUTLINE = np.array([
    [0, 330], [0, 270], [60, 215], [85, 160], [95, 150], [125, 150], [113, 100], [125, 50], [150, 22], [190, 14], [235, 30],
    [262, 75], [258, 110], [235, 140], [240, 165], [265, 210], [318, 270], [322, 330],
])  # fmt: skip
"""Head and shoulders of the first, drawn by hand over the photograph."""
_LARGER = 1.25


def two_people(overlapping: bool) -> tuple[np.ndarray, np.ndarray]:
    """The picture, (330, W, 3) uint8; and how far each pixel is the first and the second person, (2, 330, W) float32.

    Where they overlap, the second, at the right, is larger, and hides hair and shoulder of the first.
    """
    width, shift, scale = (500, 150, _LARGER) if overlapping else (680, 340, 1.0)
    rows, columns = np.mgrid[:330, :width].astype(np.float32) / 330
    picture = np.dstack([120 + 60 * columns, 130 + 40 * rows, 150 + 20 * np.sin(9 * columns)])
    first = skimage.data.astronaut()[_ROWS, _COLUMNS].astype(np.float32)
    outline = np.zeros(first.shape[:2], np.uint8)
    cv2.fillPoly(outline, [_OUTLINE], (255,), cv2.LINE_AA)
    second = (0.7 * first + 0.3 * first[..., [1, 2, 0]])[:, ::-1]
    mattes = np.zeros((2, 330, width), np.float32)
    for number, (person, matte, place) in enumerate(
        ((first, outline, [[1, 0, 0], [0, 1, 0]]), (second, outline[:, ::-1], [[scale, 0, shift], [0, scale, 0]]))
    ):
        colours, share = (
            cv2.warpAffine(np.ascontiguousarray(each), np.float32(place), (width, 330)) for each in (person, matte)
        )
        share = cv2.GaussianBlur(share, (0, 0), 1.0).astype(np.float32) / 255
        picture += share[..., None] * (colours - picture)
        mattes *= 1 - share
        mattes[number] = share
    return np.round(picture).clip(0, 255).astype(np.uint8), mattes

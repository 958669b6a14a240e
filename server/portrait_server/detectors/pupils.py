# SPDX-License-Identifier: GPL-3.0-or-later
"""Pupils for detectors that know lids only: the middle of what is dark between the lids."""

from __future__ import annotations

import cv2
import numpy as np
from portrait_shared.landmarks import GROUPS

_EYE_WIDTH = 64  # pixels of the picture of one eye that is looked at
_CLOSED_BELOW = 0.12  # opening over width; an iris cannot be seen through less
_DARK_PART = 0.45  # of what is between the lids: an iris covers about half of it


def with_pupils(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The 68 points and two estimated pupils.

    The pupil is the centroid of the darkest part between the lids, weighted by darkness: the iris is darker than
    the white of the eye in every person. Where the eye is closed it is the middle of the eye. Depth is the lids' mean.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (68, 3) pixels.

    Returns:
        (70, 3) float32.
    """
    eyes = [points[list(GROUPS[name])] for name in ("right_eye", "left_eye")]
    pupils = [(*_pupil(image, eye[:, :2]), eye[:, 2].mean()) for eye in eyes]
    return np.concatenate([points, pupils]).astype(np.float32)


def _pupil(image: np.ndarray, eye: np.ndarray) -> tuple[float, float]:
    """Args: eye: (6, 2) pixels, corner, upper lid, corner, lower lid, as in iBUG."""
    middle = eye.mean(0)
    width = float(np.linalg.norm(eye[3] - eye[0]))
    opening = float(np.linalg.norm(eye[[1, 2]].mean(0) - eye[[5, 4]].mean(0)))
    if width < 2 or opening < _CLOSED_BELOW * width:
        return float(middle[0]), float(middle[1])
    scale = _EYE_WIDTH / width
    to_crop = np.array([[scale, 0, 0], [0, scale, 0]])
    to_crop[:, 2] = _EYE_WIDTH * 0.75 - scale * middle
    crop = cv2.warpAffine(
        image, to_crop, (int(_EYE_WIDTH * 1.5),) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), 1.5).astype(np.float32)
    polygon = np.round(eye @ to_crop[:, :2].T + to_crop[:, 2]).astype(np.int32)
    between_lids = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(between_lids, cv2.convexHull(polygon), 1)
    # Lashes and the shadow at the corners are as dark as an iris.
    between_lids = cv2.erode(between_lids, np.ones((3, 3), np.uint8)).astype(bool)
    if between_lids.sum() < 12:
        return float(middle[0]), float(middle[1])
    level = np.quantile(grey[between_lids], _DARK_PART)
    darkness = np.where(between_lids, np.maximum(level - grey, 0), 0)
    if darkness.sum() <= 0:
        return float(middle[0]), float(middle[1])
    rows, columns = np.indices(grey.shape)
    centre = np.array([(columns * darkness).sum(), (rows * darkness).sum()]) / darkness.sum()
    x, y = (centre - to_crop[:, 2]) / scale
    return float(x), float(y)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which landmarks may drive a portrait: finite ones, not absurdly far from its picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from portrait_shared.errors import ErrorCode, PortraitError, described
from portrait_shared.landmarks import LANDMARK_COUNT, NAMES

FAR_SIDES: Final = 4
"""A point further from the origin than this many times the picture's longer side is a mistake, not a pose."""


def check_frame_points(
    points: np.ndarray, numbers: Sequence[int | str] | np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """The points as contiguous little-endian float32.

    Args:
        points: (T, 70, 2 or 3) pixels of a picture.
        numbers: T frame numbers, for messages.
        size: (width, height) of the picture, pixels.

    Raises:
        PortraitError: BAD_POINTS, naming the frame and the point.
    """
    points = np.asarray(points)
    if (
        points.dtype.kind not in "fiu"
        or points.ndim != 3
        or points.shape[1:]
        not in (
            (LANDMARK_COUNT, 2),
            (LANDMARK_COUNT, 3),
        )
    ):
        raise PortraitError(
            ErrorCode.BAD_POINTS,
            f"Points must be ({len(numbers)}, {LANDMARK_COUNT}, 2 or 3) numbers, not {described(points)}.",
        )
    if not 0 < len(points) == len(numbers):
        raise PortraitError(ErrorCode.BAD_POINTS, f"There are {len(points)} rows of points for {len(numbers)} frames.")
    with np.errstate(over="ignore"):
        points = np.ascontiguousarray(points, "<f4")
    limit = FAR_SIDES * max(size)
    # Twenty times quicker than looking at each point, and all that 100,000 sound frames need. NaN compares false.
    if not (points.min() >= -limit and points.max() <= limit):
        sound = (np.abs(points) <= limit).all(axis=2)
        frame, point = (int(index) for index in np.argwhere(~sound)[0])
        where = points[frame, point].tolist()
        what = f"lies far outside the {size[0]}x{size[1]} picture" if np.isfinite(where).all() else "is not finite"
        raise PortraitError(
            ErrorCode.BAD_POINTS,
            f"Frame {numbers[frame]}, point {point} ({NAMES[point]}) {what}: {where}.",
            f"Move the point back: coordinates up to {FAR_SIDES} times the picture's longer side ({limit}) are allowed.",
        )
    return points

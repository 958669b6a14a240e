# SPDX-License-Identifier: GPL-3.0-or-later
"""What landmark points are, and which may drive a portrait: finite ones, not absurdly far from its picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from portrait_shared.errors import ErrorCode, PortraitError, shortened
from portrait_shared.landmarks import LANDMARK_COUNT, NAMES

FAR_SIDES: Final = 4
"""A point further from the origin than this many times the picture's longer side is a mistake, not a pose."""
_LARGEST: Final = float(np.finfo(np.float32).max)


def check_points(
    points: np.ndarray,
    frames: Sequence[int] | np.ndarray | None = None,
    *,
    size: tuple[int, int] | None = None,
    code: ErrorCode = ErrorCode.BAD_POINTS,
) -> np.ndarray:
    """The one check of landmark points, wherever they come from; returns them as contiguous little-endian float32.

    Args:
        points: (T, 70, 2 or 3) numbers of any kind, pixels.
        frames: T frame numbers, for messages; None where they are no frames'.
        size: (width, height) of the picture, pixels; where None, points may lie anywhere.
        code: of the error.

    Raises:
        PortraitError: `code`, naming the frame and the point.
    """
    points = np.asarray(points)
    if points.dtype.kind not in "fiu" or points.ndim != 3 or points.shape[1:] not in ((LANDMARK_COUNT, 2), (LANDMARK_COUNT, 3)):  # fmt: skip
        raise PortraitError(
            code,
            f"Landmark points must be (T, {LANDMARK_COUNT}, 2 or 3) numbers, not {shortened(str(points.dtype), 40)} of "
            f"shape {shortened(str(points.shape), 60)}.",
            "The points are 68 iBUG landmarks followed by two pupils; write the track with `portrait landmarks`.",
        )
    if len(points) == 0:
        raise PortraitError(code, "There are no frames of landmark points.", "Give at least one frame.")
    if frames is not None and len(points) != len(frames):
        raise PortraitError(code, f"There are {len(points)} rows of points for {len(frames)} frames.")
    with np.errstate(over="ignore"):
        points = np.ascontiguousarray(points, "<f4")
    limit = _LARGEST if size is None else FAR_SIDES * max(size)
    # Twenty times quicker than looking at each point, and all that 100,000 sound frames need. NaN compares false.
    if points.min() >= -limit and points.max() <= limit:
        return points
    row, point = (int(index) for index in np.argwhere(~(np.abs(points) <= limit).all(axis=2))[0])
    where = points[row, point].tolist()
    name = f"{'Point' if frames is None else f'Frame {frames[row]}, point'} {point} ({NAMES[point]})"
    if size is not None and np.isfinite(where).all():
        raise PortraitError(
            code, f"{name} lies far outside the {size[0]}x{size[1]} picture: {where}.",
            f"Move the point back: coordinates up to {FAR_SIDES} times the picture's longer side ({limit}) are allowed.",
        )  # fmt: skip
    raise PortraitError(
        code, f"{name} is not finite: {where}.",
        "Interpolate or delete the frame; `portrait landmarks` writes finite tracks only.",
    )  # fmt: skip

# SPDX-License-Identifier: GPL-3.0-or-later
"""From a moved mesh to where each pixel comes from, nearer triangles hiding those behind them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SHIFT = 4  # fractional bits of the polygons' corners
_LEAST_AREA = 1e-4
_FAR_CELLS = 1 << 14
_TIGHT = 0.7  # a triangle that keeps less of its area may not look beyond its corners (`_hold_within`)
_SQUEEZED = 0.2  # and one that keeps less than this is drawn softer than it is (`_affine`)


@dataclass(frozen=True)
class Window:
    """A grid of cells over the picture.

    Attributes:
        x, y: pixel position of the first cell's centre.
        step_x, step_y: pixels from one cell to the next.
        columns, rows: cells.
    """

    x: float
    y: float
    step_x: float
    step_y: float
    columns: int
    rows: int

    @classmethod
    def over(cls, x: int, y: int, width: int, height: int, step: float) -> Window:
        """Cells of about `step` pixels that fill a rectangle whose first pixel is (x, y)."""
        columns, rows = max(1, round(width / step)), max(1, round(height / step))
        step_x, step_y = width / columns, height / rows
        return cls(x + step_x / 2 - 0.5, y + step_y / 2 - 0.5, step_x, step_y, columns, rows)


def backward_offsets(
    window: Window, source: np.ndarray, target: np.ndarray, depth: np.ndarray, triangles: np.ndarray
) -> np.ndarray:
    """Where the content of each cell comes from, as an offset in pixels; 0 where there is no mesh.

    Args:
        source: (V, 2 + C) vertices before the move, pixels; further columns are values that the move carries along.
        target: (V, 2) after it.
        depth: (V,) after the move; smaller is nearer.
        triangles: (T, 3), all clockwise in the picture before the move; those turned away are not seen.

    Returns:
        (2 + C, rows, columns) float32: along x, along y, then the values; all 0 where there is no mesh.
    """
    origin, step = np.array([window.x, window.y]), np.array([window.step_x, window.step_y])
    cells = np.clip((target - origin) / step, -_FAR_CELLS, _FAR_CELLS)
    corners = cells[triangles]
    low, high = corners.min(1), corners.max(1)
    seen = (high >= -1).all(1) & (low[:, 0] <= window.columns) & (low[:, 1] <= window.rows)
    seen &= _area(corners) > _LEAST_AREA
    triangles, corners = triangles[seen], corners[seen]
    order = np.argsort(-depth[triangles].mean(1), kind="stable")
    triangles, corners = triangles[order], corners[order]
    ids = np.zeros((window.rows, window.columns), np.int32)
    fixed = np.round(corners * (1 << _SHIFT)).astype(np.int32)
    for number, triangle in enumerate(fixed, 1):
        cv2.fillConvexPoly(ids, triangle, number, cv2.LINE_8, _SHIFT)
    share = _share(source[triangles][..., :2], target[triangles])
    offsets = _offsets(ids, window, _affine(source[triangles], target[triangles], share))
    _hold_within(offsets[:2], ids, share, source[triangles][..., :2] - target[triangles])
    return offsets


def turned_towards(triangles: np.ndarray) -> np.ndarray:
    """Those of triangles (T, 3, 2 or 3) that are clockwise in the picture, so seen."""
    return triangles[_area(triangles) > _LEAST_AREA]


def _share(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Each triangle's area after the move (T,), against before and what is usual here; at most 1 where it grew."""
    share = np.abs(_area(target)) / np.maximum(np.abs(_area(source)), 1e-9)
    return share / (np.clip(np.median(share), 1e-3, 1.0) if len(share) else 1.0)


def _hold_within(offsets: np.ndarray, ids: np.ndarray, share: np.ndarray, corners: np.ndarray) -> None:
    """Pixels that a squeezed triangle covers only by rounding must not look further than its corners do."""
    squeezed = np.concatenate([[False], share < _TIGHT])[ids]
    if squeezed.any():
        at = ids[squeezed] - 1
        low, high = corners.min(1), corners.max(1)
        for axis, plane in enumerate(offsets):
            plane[squeezed] = np.clip(plane[squeezed], low[at, axis], high[at, axis])


def _affine(source: np.ndarray, target: np.ndarray, share: np.ndarray) -> np.ndarray:
    """For each triangle offset and values as linear functions of the pixel: (T + 1, 2 + C, 3), the first one nought."""
    ends = np.stack([target[:, 1] - target[:, 0], target[:, 2] - target[:, 0]], -1)
    starts = np.stack([source[:, 1] - source[:, 0], source[:, 2] - source[:, 0]], -1)
    # A sliver's inverse is so steep that the pixel beside it would come from far away: soften those alone.
    limit = np.where(share < _SQUEEZED, (starts[:, :2] ** 2).sum((1, 2)) / 64, 1e-9)
    square = ends @ ends.transpose(0, 2, 1) + limit[:, None, None] * np.eye(2)
    slope = starts @ ends.transpose(0, 2, 1) @ _inverse(square)
    middle = target.mean(1)
    constant = source.mean(1) - (slope @ middle[..., None])[..., 0]
    slope[:, :2] -= np.eye(2)
    table = np.zeros((len(source) + 1, source.shape[2], 3), np.float32)
    table[1:, :, :2], table[1:, :, 2] = slope, constant
    return table


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Of each (2, 2): by hand, as the library's is slow on many small ones."""
    (a, b), (c, d) = matrices[:, 0].T, matrices[:, 1].T
    return np.stack([d, -b, -c, a], -1).reshape(-1, 2, 2) / (a * d - b * c)[:, None, None]


def _offsets(ids: np.ndarray, window: Window, table: np.ndarray) -> np.ndarray:
    x = (window.x + window.step_x * np.arange(window.columns)).astype(np.float32)
    y = (window.y + window.step_y * np.arange(window.rows)).astype(np.float32)[:, None]
    axes = table.shape[1]
    flat = table.reshape(-1, 3 * axes)
    offsets = np.empty((axes, *ids.shape), np.float32)
    for axis in range(axes):
        a, b, c = (flat[:, 3 * axis + i].take(ids) for i in range(3))
        a *= x
        b *= y
        a += b
        a += c
        offsets[axis] = a
    return offsets


def _area(corners: np.ndarray) -> np.ndarray:
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2

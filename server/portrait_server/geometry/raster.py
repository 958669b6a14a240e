# SPDX-License-Identifier: GPL-3.0-or-later
"""From a moved mesh to what its triangles show of a picture, nearer triangles hiding those behind them.

Here triangles are set up for a raster, N frames at a time, with NumPy's arrays or torch's; `kernels` draws them, and
`drawing.offsets.Raster` does both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from portrait_server.geometry.arrays import array_namespace

Array: TypeAlias = Any
"""NumPy's array, or a torch tensor."""

_LEAST_AREA = 1e-4
_FAR_CELLS = 1 << 14
_TIGHT = 0.7  # a triangle that keeps less of its area may not look beyond its corners (`_bounds`)
_SQUEEZED = 0.2  # and one that keeps less than this is drawn softer than it is (`_functions`)


@dataclass(frozen=True)
class Window:
    """A grid of cells over each of N pictures.

    Attributes:
        x, y: (N,) pixel position of the first cell's centre.
        step_x, step_y: pixels from one cell to the next.
        columns, rows: cells.
    """

    x: np.ndarray
    y: np.ndarray
    step_x: float
    step_y: float
    columns: int
    rows: int

    @classmethod
    def over(cls, x: np.ndarray, y: np.ndarray, width: int, height: int, step: float) -> Window:
        """Cells of about `step` pixels that fill rectangles whose first pixels are (x, y), (N,) each."""
        columns, rows = max(1, round(width / step)), max(1, round(height / step))
        step_x, step_y = width / columns, height / rows
        return cls(x + step_x / 2 - 0.5, y + step_y / 2 - 0.5, step_x, step_y, columns, rows)

    @property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel positions of the cells: x (N, columns), y (N, rows)."""
        x = self.x[:, None] + self.step_x * np.arange(self.columns)
        return x, self.y[:, None] + self.step_y * np.arange(self.rows)


@dataclass(frozen=True)
class Placed:
    """Where triangles lie in a grid, T for each of N frames.

    Attributes:
        corners: (N, T, 3, 2) cells.
        low, high: (N, T, 2) the least and the most of those.
        seen: (N, T) bool, which are turned towards the viewer, and may touch the grid.
        numbers: (T,) which of the mesh's triangles they are; on the processor those that a frame shows alone.
    """

    corners: Array
    low: Array
    high: Array
    seen: Array
    numbers: np.ndarray

    def within(self, chosen: np.ndarray, at: Array, first: Array, size: tuple[int, int]) -> Placed:
        """Some of them in a part of the grid.

        Args:
            chosen: (M,) int, which; at: the same where the pixels are.
            first: (N, 1, 2) the first cells of the part; size: its (columns, rows).
        """
        low, high, seen = self.low[:, at] - first, self.high[:, at] - first, self.seen[:, at]
        seen = seen & _touching(low, high, size)
        used = _used(seen)
        if used is not None:
            low, high, seen, at, chosen = low[:, used], high[:, used], seen[:, used], at[used], chosen[used]
        return Placed(self.corners[:, at] - first[..., None, :], low, high, seen, self.numbers[chosen])


@dataclass(frozen=True)
class Functions:
    """What each of T triangles shows, in N frames.

    Attributes:
        tables: (N, T, A, 3) linear functions of the pixel's x and y, and a constant.
        low, high: (N, T, A) between which those are held; infinite where they are not.
    """

    tables: Array
    low: Array
    high: Array

    def only(self, some: slice) -> Functions:
        """Some of the A functions."""
        return Functions(self.tables[..., some, :], self.low[..., some], self.high[..., some])


def placed(cells: Array, size: tuple[int, int], triangles: Array) -> Placed:
    """Triangles in a grid of (columns, rows).

    Args:
        cells: (N, V, 2) where vertices are in the grid after the move, cells.
        triangles: (T, 3), all clockwise in the picture before the move; those turned away are not seen.
    """
    corners = at_corners(cells.clip(-_FAR_CELLS, _FAR_CELLS), triangles)
    low, high = extent(corners)
    seen, numbers = _touching(low, high, size) & turned_towards(corners), np.arange(len(triangles))
    used = _used(seen)
    if used is not None:
        corners, low, high, seen, numbers = corners[:, used], low[:, used], high[:, used], seen[:, used], used
    return Placed(corners, low, high, seen, numbers)


def _touching(low: Array, high: Array, size: tuple[int, int]) -> Array:
    return (high[..., 0] >= -1) & (high[..., 1] >= -1) & (low[..., 0] <= size[0]) & (low[..., 1] <= size[1])


def _used(seen: Array) -> np.ndarray | None:
    """Those of triangles, seen (N, T), that are worth reckoning with: (M,) int; None where all are.

    On the processor nothing is reckoned for triangles that no frame shows; a device would wait to know them.
    """
    if not isinstance(seen, np.ndarray):
        return None
    used = np.flatnonzero(seen[0] if len(seen) == 1 else seen.any(0))
    return None if len(used) == seen.shape[1] else used if len(used) else np.zeros(1, int)


def order_of(depth: Array, triangles: Array, seen: Array) -> Array:
    """The numbers (N, T) of triangles (T, 3) from the farthest to the nearest; of those not seen (N, T) -1, at the end.

    Args:
        depth: (N, V) of the vertices; smaller is nearer.
    """
    xp = array_namespace(depth)
    away = xp.where(seen, -_middle(at_corners(depth[..., None], triangles))[..., 0], np.inf)
    order = xp.argsort(away, axis=-1, stable=True)
    return xp.where(xp.take_along_axis(seen, order, axis=-1), order, -1)


def functions(source: Array, target: Array, triangles: Array, seen: Array, held: bool = False) -> Functions:
    """The offset at each pixel from where the content comes, and values that the move carries along.

    Args:
        source: (V, 2 + C) or (N, V, 2 + C) before the move, pixels; further columns are values carried along.
        target: (N, V, 2) after it.
        triangles: (T, 3); seen: (N, T) which of them are.
        held: whether values stay between those of the triangle's corners, beside which a sliver's cell may lie.
    """
    before, after = at_corners(source, triangles), at_corners(target, triangles)
    share = _share(before[..., :2], after, seen)
    return Functions(_functions(before, after, share), *_bounds(before, after, share, held))


def spanned_rows(cells: np.ndarray, triangles: np.ndarray, rows: int) -> int:
    """At least as many of a grid's rows as the triangles (T, 3) of a frame span together, the most of N frames.

    Args:
        cells: (N, V, 2) where vertices are in the grid.
    """
    y = np.clip(cells[..., 1], -2, rows + 2)
    first, last = (np.clip(row, 0, rows).astype(np.int32) for row in (np.floor(y) - 1, np.ceil(y) + 2))
    a, b, c = triangles.T
    low = np.minimum(np.minimum(first[:, a], first[:, b]), first[:, c])
    high = np.maximum(np.maximum(last[:, a], last[:, b]), last[:, c])
    return int((high - low).sum(-1).max())


def at_corners(values: Array, triangles: Array) -> Array:
    """Values (…, V, C) of vertices at the corners of triangles (T, 3): (…, T, 3, C).

    In memory triangles lie beside each other: NumPy is slow where it reckons along axes of two or three numbers.
    """
    xp = array_namespace(values)
    frames = tuple(range(values.ndim - 2))
    taken = xp.permute_dims(values, (len(frames) + 1, *frames, len(frames)))
    taken = xp.take(taken, xp.reshape(triangles.T, (-1,)), axis=-1)
    taken = xp.reshape(taken, (*taken.shape[:-1], 3, -1))
    return xp.permute_dims(taken, (*(axis + 1 for axis in frames), len(frames) + 2, len(frames) + 1, 0))


def extent(corners: Array) -> tuple[Array, Array]:
    """The least and the most of triangles' corners (…, 3, C): (…, C) each."""
    xp = array_namespace(corners)
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    return xp.minimum(xp.minimum(a, b), c), xp.maximum(xp.maximum(a, b), c)


def turned_towards(corners: Array) -> Array:
    """Which triangles (…, 3, 2 or 3) are clockwise in the picture, so seen: (…) bool."""
    return _area(corners) > _LEAST_AREA


def _share(source: Array, target: Array, seen: Array) -> Array:
    """Each triangle's area after the move (N, T), against before and what is usual here; at most 1 where it grew."""
    xp = array_namespace(target)
    share = xp.abs(_area(target)) / xp.abs(_area(source)).clip(1e-9, None)
    return share / _median(share, seen).clip(1e-3, 1.0)


def _median(values: Array, counted: Array) -> Array:
    """Of those values (N, T) that count (N, T): (N, 1); infinite where none does."""
    if isinstance(values, np.ndarray) and len(values) == 1:
        return _median_of_one(values[counted])
    xp = array_namespace(values)
    ordered = xp.sort(xp.where(counted, values, np.inf), axis=-1)
    count = xp.sum(xp.astype(counted, xp.int64), axis=-1, keepdims=True)
    below = ((count - 1) // 2).clip(0, None)
    above = xp.minimum(count // 2, xp.zeros_like(count) + values.shape[-1] - 1)
    return (xp.take_along_axis(ordered, below, axis=-1) + xp.take_along_axis(ordered, above, axis=-1)) / 2


def _median_of_one(values: np.ndarray) -> np.ndarray:
    """Of values (M,), as `_median`, for which they need not be sorted: (1, 1)."""
    if not len(values):
        return np.full((1, 1), np.inf)
    below, above = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (below, above))
    return (ordered[below : below + 1] + ordered[above : above + 1])[None] / 2


def _functions(source: Array, target: Array, share: Array) -> Array:
    """For each triangle offset and values as linear functions of the pixel: (N, T, A, 3)."""
    xp = array_namespace(target)
    one, two = target[..., 1, :] - target[..., 0, :], target[..., 2, :] - target[..., 0, :]
    first, second = source[..., 1, :] - source[..., 0, :], source[..., 2, :] - source[..., 0, :]
    # A sliver's inverse is so steep that the pixel beside it would come from far away: soften those alone. With E the
    # edges (2, 2) after the move, this is S E' / (E E' + limit), multiplied out so that single precision suffices.
    soft = xp.sum(first[..., :2] ** 2 + second[..., :2] ** 2, axis=-1) / 64
    limit = xp.where(share < _SQUEEZED, soft, 1e-9)
    (a, c), (b, d) = (one[..., 0], one[..., 1]), (two[..., 0], two[..., 1])
    area = a * d - b * c
    whole = area**2 + limit * (a**2 + b**2 + c**2 + d**2) + limit**2
    right = first * ((area * d + limit * a) / whole)[..., None] + second * ((limit * b - area * c) / whole)[..., None]
    down = first * ((limit * c - area * b) / whole)[..., None] + second * ((area * a + limit * d) / whole)[..., None]
    middle = _middle(target)
    constant = _middle(source) - right * middle[..., :1] - down * middle[..., 1:]
    right[..., 0] -= 1
    down[..., 1] -= 1
    # In memory triangles lie beside each other, as in `at_corners`.
    tables = xp.stack([xp.permute_dims(part, (2, 0, 1)) for part in (right, down, constant)], axis=0)
    return xp.permute_dims(tables, (2, 3, 1, 0))


def _bounds(source: Array, target: Array, share: Array, held: bool) -> tuple[Array, Array]:
    """Pixels that a squeezed triangle covers only by rounding must not look further than its corners do."""
    xp = array_namespace(target)
    low, high = extent(source[..., :2] - target)
    tight = (share < _TIGHT)[..., None]
    low, high = xp.where(tight, low, -np.inf), xp.where(tight, high, np.inf)
    if held:
        least, most = extent(source[..., 2:])
        return xp.concat([low, least], axis=-1), xp.concat([high, most], axis=-1)
    free = xp.zeros_like(low[..., :1]) + np.inf
    values = source.shape[-1] - 2
    return xp.concat([low, *[-free] * values], axis=-1), xp.concat([high, *[free] * values], axis=-1)


def _middle(corners: Array) -> Array:
    """Of triangles' corners (…, 3, C): (…, C)."""
    return (corners[..., 0, :] + corners[..., 1, :] + corners[..., 2, :]) / 3


def _area(corners: Array) -> Array:
    a, b = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    return (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]) / 2

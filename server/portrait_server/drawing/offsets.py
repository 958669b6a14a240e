# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the content of each cell of a grid comes from, once a mesh has moved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import gcd

import cv2
import numpy as np

from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.raster import Functions, Placed, Window, functions, order_of, placed, spanned_rows
from portrait_server.kernels.base import Array, Kernels, Patches

_NEAR = 2  # cells by which triangles seen in a part of the grid may lie beside it
_MOST_HELD = 0.8  # of a grid: less than the rest is not worth being left out
_MOST_STEPS = 32  # pixels: parts of a grid that began and ended less often would be much larger than is asked for


@dataclass(frozen=True)
class Beside:
    """Triangles, (M,) of those placed, that may lie in certain cells; all of them on a device.

    Attributes:
        first, last: (M, 2) the columns and rows that each may cover, the last behind them.
    """

    chosen: np.ndarray | slice
    first: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    last: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))

    def touching(self, rows: slice, columns: slice) -> np.ndarray | slice:
        """Those that may lie in some rows and columns of the grid."""
        if isinstance(self.chosen, slice):
            return self.chosen
        apart = (self.first >= (columns.stop, rows.stop)) | (self.last <= (columns.start, rows.start))
        return self.chosen[~(apart[:, 0] | apart[:, 1])]


@dataclass(frozen=True)
class Raster:
    """Which triangle of a moved mesh each cell of a grid shows, in N frames: drawn once for all that the move carries.

    Attributes:
        window: the grid.
        target: (N, V, 2) where the vertices are, pixels; depth: (N, V) of them; triangles: (T, 3).
        placed: those triangles in the grid.
        ids: (N, rows, columns) as `Kernels.nearest_triangles` gives them.
        mesh: target, and all triangles, where the numbers are.
    """

    kernels: Kernels
    window: Window
    target: Array
    depth: Array
    triangles: Array
    placed: Placed
    ids: Array
    mesh: tuple[np.ndarray, np.ndarray]

    @classmethod
    def drawn(
        cls, kernels: Kernels, window: Window, target: np.ndarray, depth: np.ndarray, triangles: np.ndarray
    ) -> Raster:
        """Of a mesh as `backward_offsets` takes it."""
        grid = (window.columns, window.rows)
        cells = (target - np.stack([window.x, window.y], -1)[:, None]) / (window.step_x, window.step_y)
        put = kernels.put
        found = placed(put(cells), grid, put(triangles))
        shown = put(triangles[found.numbers])
        depth = put(depth)
        order = order_of(depth, shown, found.seen)
        ids = kernels.nearest_triangles(
            found.corners, order, *grid, lambda: spanned_rows(cells, triangles, window.rows)
        )
        return cls(kernels, window, put(target), depth, shown, found, ids, (target, triangles))

    def offsets(self, source: np.ndarray, held: bool = False) -> Array:
        """As `backward_offsets`, of vertices (V, 2 + C) or (N, V, 2 + C) before the move.

        Args:
            held: see `geometry.raster.functions`.
        """
        return self.evaluated(self.functions(source, held))

    def functions(self, source: np.ndarray, held: bool = False) -> Functions:
        """What `offsets` evaluates."""
        return functions(self.kernels.put(source), self.target, self.triangles, self.placed.seen, held)

    def evaluated(self, found: Functions, within: tuple[slice, slice] | None = None) -> Array:
        """Functions of the triangles at each cell: (N, A, rows, columns) float32, 0 where no mesh is.

        Args:
            within: rows and columns outside of which all are 0; None where that is not known.
        """
        x, y = (self.kernels.put(axis) for axis in self.window.centres)
        if within is None:
            return self.kernels.evaluated(self.ids, found.tables, found.low, found.high, x, y)
        rows, columns = within
        count, *cells = self.ids.shape
        values = np.zeros((count, found.tables.shape[2], *cells), np.float32)
        if rows.start == rows.stop:
            return values
        ids, x, y = self.ids[:, rows, columns], x[:, columns], y[:, rows]
        values[:, :, rows, columns] = self.kernels.evaluated(ids, found.tables, found.low, found.high, x, y)
        return values

    def holding(self, vertices: np.ndarray) -> tuple[slice, slice] | None:
        """Rows and columns of the grid that hold all triangles with one of some vertices (V,) bool.

        None where those are most of the grid, and on a device, which would have to be waited for.
        """
        if not isinstance(self.ids, np.ndarray):
            return None
        a, b, c = self.triangles.T
        mine = np.flatnonzero(vertices[a] | vertices[b] | vertices[c])
        if not len(mine):
            return slice(0, 0), slice(0, 0)
        size = np.array(self.ids.shape[:0:-1])
        # Triangles lie beside each other in memory (`geometry.raster.at_corners`), so they are taken along x, and along y.
        first, last = (
            np.array([least.reduce(ends[..., axis].take(mine, axis=1), axis=None) for axis in (0, 1)])
            for least, ends in ((np.minimum, self.placed.low), (np.maximum, self.placed.high))
        )
        first = np.floor(first - 1).clip(0, size).astype(int)
        last = np.ceil(last + 2).clip(0, size).astype(int)
        if (last - first).prod() > _MOST_HELD * size.prod():
            return None
        (left, top), (right, bottom) = first.tolist(), last.tolist()
        return slice(top, bottom), slice(left, right)

    def redrawn(
        self,
        patches: Patches,
        chosen: np.ndarray | slice,
        wanted: Array,
        found: Functions,
        planes: Array,
    ) -> Array:
        """Functions at the pixels of patches that are wanted, of the triangles in front there, whatever cells show.

        Args:
            chosen: (M,) which of the triangles placed may be seen there.
            wanted: (N, height, width) bool.
            planes: (N, A, height, width), which hold what is found at other pixels; they are changed.
        """
        kernels, window, xp = self.kernels, self.window, array_namespace(planes)
        first = np.stack([window.x - patches.x, window.y - patches.y], -1)[:, None, None]
        scale = np.array([window.step_x, window.step_y])
        corners, seen = self.placed.corners[:, chosen], self.placed.seen[:, chosen]
        corners = corners * kernels.put(scale) + kernels.put(first)
        order = order_of(self.depth, self.triangles[chosen], seen)
        target, triangles = self.mesh
        ids = kernels.nearest_triangles(
            corners, order, patches.width, patches.height,
            lambda: spanned_rows(target - np.stack([patches.x, patches.y], -1)[:, None], triangles, patches.height),
        )  # fmt: skip
        ids = ids * xp.astype(wanted, ids.dtype)
        x, y = (
            kernels.put((at[:, None] + np.arange(side)).astype(float))
            for at, side in ((patches.x, patches.width), (patches.y, patches.height))
        )
        tables, low, high = (each[:, chosen] for each in (found.tables, found.low, found.high))
        return kernels.evaluated_over(planes, ids, tables, low, high, x, y)

    def beside(self, cells: Array) -> Beside:
        """Which triangles, of those placed, may lie in cells (N, rows, columns) bool; on a device, which keeps that, all."""
        if not isinstance(cells, np.ndarray):
            return Beside(slice(None))
        counts = cv2.integral(cells.any(0).view(np.uint8))
        size = np.array(counts.shape[::-1]) - 1
        first = np.floor(self.placed.low.min(0) - 1).clip(0, size).astype(int)
        last = np.ceil(self.placed.high.max(0) + 2).clip(0, size).astype(int)
        (left, top), (right, bottom) = first.T, last.T
        some = counts[bottom, right] - counts[top, right] - counts[bottom, left] + counts[top, left]
        chosen = np.flatnonzero(some)
        return Beside(chosen, first[chosen], last[chosen])

    def every(self, step: int) -> Raster:
        """The same on a grid of every so many cells."""
        window = self.window
        down, across = one_in(step, window.rows), one_in(step, window.columns)
        ids = self.ids[:, down, across]
        wider = Window(
            window.x + across.start * window.step_x, window.y + down.start * window.step_y, step * window.step_x,
            step * window.step_y, ids.shape[2], ids.shape[1],
        )  # fmt: skip
        return replace(self, window=wider, ids=ids)

    def near(self, patches: Patches) -> np.ndarray | slice:
        """Which of the mesh's triangles may be seen in patches, a single frame's; all where a device keeps that to itself."""
        placed, window = self.placed, self.window
        if len(patches.x) > 1 or not isinstance(placed.seen, np.ndarray):
            return slice(None)
        steps = np.array([window.step_x, window.step_y])
        first = (np.array([patches.x[0] - window.x[0], patches.y[0] - window.y[0]])) / steps
        last = first + np.array([patches.width, patches.height]) / steps
        beside = (placed.high[0] < first - _NEAR) | (placed.low[0] > last + _NEAR)
        return placed.numbers[~(beside[:, 0] | beside[:, 1])]

    def steps(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """Pixels along x and y from one place to the next at which a part of the grid over frames (width, height) may begin.

        None where those are too far apart.
        """
        window = self.window
        steps = (size[0] // gcd(size[0], window.columns), size[1] // gcd(size[1], window.rows))
        return steps if max(steps) <= _MOST_STEPS else None

    def part(self, patches: Patches, chosen: np.ndarray) -> Raster:
        """What some of the mesh's triangles (T,) bool show in patches; nothing where others hide them.

        Args:
            patches: of the frames, whose sides are multiples of `steps`.
        """
        window, kernels = self.window, self.kernels
        ends = [(at, at + side) for at, side in ((patches.x, patches.width), (patches.y, patches.height))]
        (left, right), (top, bottom) = (
            (np.rint(first / step).astype(int), np.rint(last / step).astype(int))
            for (first, last), step in zip(ends, (window.step_x, window.step_y), strict=True)
        )
        cells = Patches(left, top, int((right - left)[0]), int((bottom - top)[0]), patches.there)
        part = Window(
            window.x + left * window.step_x, window.y + top * window.step_y, window.step_x, window.step_y,
            cells.width, cells.height,
        )  # fmt: skip
        mine = np.flatnonzero(chosen[self.placed.numbers])
        if not len(mine):  # none of them is in the frames, so any will do: there is nothing to be shown
            mine = np.zeros(1, int)
        first = kernels.put(np.stack([left, top], -1)[:, None])
        found = self.placed.within(mine, kernels.put(mine), first, (part.columns, part.rows))
        at = np.searchsorted(self.placed.numbers, found.numbers)
        renumbered = np.zeros(len(self.placed.numbers) + 1, np.int32)
        renumbered[at + 1] = np.arange(len(at)) + 1
        ids = kernels.put(renumbered)[kernels.taken(self.ids, cells)]
        return replace(self, window=part, triangles=self.triangles[kernels.put(at)], placed=found, ids=ids)


def one_in(step: int, cells: int) -> slice:
    """One cell in every so many, the middle one; of fewer the last one."""
    return slice(min(step // 2, cells - 1), None, step)


def cells_between(patches: Patches, cells: tuple[int, ...], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a grid of so many cells (rows, columns) between which pixels of patches lie, of frames (width, height)."""
    rows, columns = (
        slice(max(0, part.start * count // pixels - 1), min(count, -(-part.stop * count // pixels) + 1))
        for part, count, pixels in zip(patches.slices, cells, size[::-1], strict=True)
    )
    return rows, columns


def backward_offsets(
    kernels: Kernels, window: Window, source: np.ndarray, target: np.ndarray, depth: np.ndarray, triangles: np.ndarray
) -> Array:
    """Where the content of each cell comes from, as an offset in pixels; 0 where there is no mesh.

    Args:
        window: over N frames.
        source: (V, 2 + C) or (N, V, 2 + C) vertices before the move, pixels; further columns are values that the move
            carries along.
        target: (N, V, 2) after it.
        depth: (N, V) after the move; smaller is nearer.
        triangles: (T, 3), all clockwise in the picture before the move; those turned away are not seen.

    Returns:
        (N, 2 + C, rows, columns) float32: along x, along y, then the values; all 0 where there is no mesh.
    """
    return Raster.drawn(kernels, window, target, depth, triangles).offsets(source)


def sharpness(offsets: Array, cell: float) -> Array:
    """Pixels of the photo in one of the frame, along the way that is drawn out the most; 1 where it is not drawn out.

    Args:
        offsets: (N, 2, rows, columns) pixels, on a grid whose cells are so many pixels apart.

    Returns:
        (N, rows, columns) float32.
    """
    xp = array_namespace(offsets)
    along, down = (_slope(offsets, axis, cell) for axis in (-1, -2))
    a, b, c, d = 1 + along[:, 0], down[:, 0], along[:, 1], 1 + down[:, 1]
    total, area = a**2 + b**2 + c**2 + d**2, a * d - b * c
    return xp.sqrt(((total - xp.sqrt((total**2 - 4 * area**2).clip(0, None))) / 2).clip(0, 1))


def _slope(planes: Array, axis: int, step: float) -> Array:
    """How much planes (…, rows, columns) change by in a pixel along an axis; cells are `step` pixels apart."""
    xp = array_namespace(planes)
    change, total = xp.diff(planes, axis=axis) / (2 * step), xp.zeros_like(planes)
    before, after = (total[..., :-1], total[..., 1:]) if axis == -1 else (total[..., :-1, :], total[..., 1:, :])
    before += change
    after += change
    return total

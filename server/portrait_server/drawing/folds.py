# SPDX-License-Identifier: GPL-3.0-or-later
"""Where near skin folds over what is behind it: there the motion jumps, and between its two sides lies no place of the photo."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from portrait_server.drawing.offsets import Beside, Raster, cells_between
from portrait_server.drawing.tiles import Tiles
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.raster import Functions
from portrait_server.kernels.base import Array, Kernels, Patches, Slices

_SLOPE = 2.5  # a motion that changes by more pixels than this in one is a fold
_MARGIN = 4  # cells of the coarse grid around a fold, over which it is smoothed


class Folds:
    """Those of the motion of N frames, on its coarse grid."""

    def __init__(
        self, kernels: Kernels, size: tuple[int, int], raster: Raster, motion: Functions, coarse: Array,
        tiles: Tiles | None,
    ) -> None:  # fmt: skip
        """
        Args:
            size: (width, height) of the frames.
            raster: of the motion; motion: the functions that it shows.
            coarse: (N, 2, rows, columns) its offsets, pixels.
            tiles: of those; None on a device.
        """
        self._kernels, self._size, self._raster, self._motion = kernels, size, raster, motion
        self._coarse, self._tiles = coarse, tiles

    @cached_property
    def share(self) -> Array | None:
        """1 where near skin hides what lies behind it and the motion jumps, else 0: (N, rows, columns) float32.

        None where it is known that there is no such place.
        """
        jumps = self._jumps
        found = self._kernels.touched(jumps)
        if not found.there.any():
            return None
        xp = array_namespace(jumps)
        rows, columns = (slice(max(0, part.start - 2), part.stop + 2) for part in found.slices)
        share = xp.zeros_like(jumps, dtype=xp.float32)
        near = xp.astype(jumps[:, rows, columns], xp.float32)
        share[:, rows, columns] = (1.5 * self._kernels.averaged(near, 3)).clip(0, 1)
        return share

    def patches(self) -> list[Patches]:
        """Patches of the frames, of some rows each, outside of which nothing folds."""
        return [] if self.share is None else self._around(self.share, self._kernels.strips(self._size[1]))

    def redrawn(self, patches: Patches, right: Array, down: Array) -> tuple[Array, Array]:
        """Offsets (N, height, width) along x and y, but at each pixel of a fold those of what is in front just there."""
        rows, columns = self._beside_jumps(patches)
        if rows.start == rows.stop:
            return right, down
        xp = array_namespace(right)
        wanted = self._kernels.resized(self._levels, self._size, patches.part(rows, columns)) > 0
        found = self._kernels.touched(wanted)
        if not found.there.any():
            return right, down
        within = found.slices
        rows, columns = (
            slice(a.start + b.start, a.start + b.stop) for a, b in zip((rows, columns), within, strict=True)
        )
        part = patches.part(rows, columns)
        offsets = xp.stack([right[:, rows, columns], down[:, rows, columns]], axis=1)
        chosen = self._beside.touching(*self._cells_of(part))
        offsets = self._raster.redrawn(part, chosen, wanted[:, *within], self._motion, offsets)
        if (part.height, part.width) == right.shape[1:]:
            return offsets[:, 0], offsets[:, 1]
        right[:, rows, columns], down[:, rows, columns] = offsets[:, 0], offsets[:, 1]
        return right, down

    @cached_property
    def _jumps(self) -> Array:
        """The cells (N, rows, columns) bool beside which the motion jumps."""
        xp, limit, tiles = array_namespace(self._coarse), _SLOPE * self._size[0] / self._coarse.shape[-1], self._tiles
        if tiles is None:
            return self._kernels.steep(self._coarse, limit) > 0
        jumps = xp.zeros_like(self._coarse[:, 0], dtype=xp.bool)
        rows, columns = tiles.uneven(limit)
        if rows.start < rows.stop:
            jumps[:, rows, columns] = self._kernels.steep(self._coarse[:, :, rows, columns], limit) > 0
        return jumps

    @cached_property
    def _levels(self) -> Array:
        """1 at those cells, else 0: (N, rows, columns) float32."""
        xp = array_namespace(self._jumps)
        return xp.astype(self._jumps, xp.float32)

    @cached_property
    def _beside(self) -> Beside:
        return self._raster.beside(self._jumps)

    def _beside_jumps(self, patches: Patches) -> Slices:
        """Rows and columns of patches that hold all pixels beside jumps; on a device, which must not wait to be asked, all."""
        if not isinstance(self._jumps, np.ndarray):
            return slice(0, patches.height), slice(0, patches.width)
        cells = self._cells_of(patches)
        found = self._kernels.touched(self._jumps[:, *cells])
        if not found.there.any():
            return slice(0, 0), slice(0, 0)
        ends = []
        for side, within, first, count, pixels in zip(
            patches.slices, found.slices, cells, self._coarse.shape[2:], self._size[::-1], strict=True
        ):
            # A cell tells of what lies up to a cell's width from it.
            start = int((first.start + within.start - 1) * pixels / count) - side.start
            stop = int((first.start + within.stop + 1) * pixels / count) + 1 - side.start
            ends.append(slice(max(0, start), min(side.stop - side.start, stop)))
        return ends[0], ends[1]

    def _cells_of(self, patches: Patches) -> Slices:
        return cells_between(patches, self._coarse.shape[2:], self._size)

    def _around(self, planes: Array, strips: list[slice]) -> list[Patches]:
        """The patches, one of some rows at most, that hold what is above 0 in planes of the coarse grid (N, rows, columns)."""
        count, rows, columns = planes.shape
        scale, parts = np.array([columns, rows]) / self._size, []
        for strip in strips:
            first, last = strip.start * rows // self._size[1], -(-strip.stop * rows // self._size[1])
            found = self._kernels.touched(planes[:, max(0, first - _MARGIN) : last + _MARGIN])
            if found.there.any():
                left = int(np.floor((found.x - _MARGIN).min() / scale[0]).clip(0, None))
                right = int(np.ceil((found.x + found.width + _MARGIN).max() / scale[0]).clip(None, self._size[0]))
                start = np.zeros(count, int)
                parts.append(
                    Patches(start + left, start + strip.start, right - left, strip.stop - strip.start, found.there)
                )
        return parts

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a speaking face pulls along of what lies beside it, while the head rests: locks that no matte holds, the background."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from portrait_server.drawing.offsets import Raster, cells_between, one_in
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.ramps import smoothstep
from portrait_server.geometry.raster import Functions
from portrait_server.kernels.base import Array, Kernels, Patches

_WIDE = 4  # cells of the coarse grid in one of that on which it is told what rests
_LEAST = 0.1  # of the pixels beyond which nothing is still: a shorter pull is not seen


class Pull:
    """Of N frames, on a grid wider than the coarse one of their motion."""

    def __init__(
        self, kernels: Kernels, size: tuple[int, int], raster: Raster, carried: Functions, coarse: Array, still: float
    ) -> None:
        """
        Args:
            size: (width, height) of the frames.
            raster: of the motion; carried: by which it tells how far pose and torso alone move what lies there.
            coarse: (N, 2, rows, columns) its offsets, pixels.
            still: pixels: what moves by more shows nothing of the still photo.
        """
        self._kernels, self._size, self._still = kernels, size, still
        self._carried = raster.every(_WIDE).evaluated(carried)
        down, across = (one_in(_WIDE, cells) for cells in coarse.shape[2:])
        self._coarse = coarse[:, :, down, across]

    @cached_property
    def calm(self) -> Array:
        """1 where head and torso rest, whatever the face says, to 0 where they move: (N, rows, columns) float32."""
        return 1 - smoothstep(farthest(self._carried) / self._still)

    @cached_property
    def offsets(self) -> Array:
        """From where the face's own motion brings what lies at each cell: (N, 2, rows, columns), pixels.

        0 where head and torso do not rest, and where it is too little to be seen.
        """
        own = self._carried + self._coarse
        return own * ((farthest(own) > _LEAST * self._still) & (self.calm > 0))[:, None]

    @cached_property
    def reach(self) -> int:
        """Pixels: no offset is longer; on a device, which must not wait to be asked, 0."""
        return int(np.ceil(farthest(self.offsets).max())) if isinstance(self.offsets, np.ndarray) else 0

    def rests(self, patches: Patches) -> bool:
        """Whether head and torso may rest somewhere in patches, alike in all frames; a device keeps that to itself."""
        rows, columns = cells_between(patches, self._carried.shape[2:], self._size)
        return not isinstance(self.calm, np.ndarray) or bool((self.calm[:, rows, columns] > 0).any())

    def part(self, patches: Patches) -> tuple[slice, slice]:
        """The rows and columns of patches, alike in all frames, outside of which nothing is pulled."""
        sides = tuple(zip(patches.slices, self.offsets.shape[2:], self._size[::-1], strict=True))
        cells = cells_between(patches, self._carried.shape[2:], self._size)
        found = self._kernels.touched(farthest(self.offsets[:, :, cells[0], cells[1]]))
        if not found.there.any():
            return slice(0, 0), slice(0, 0)
        ends = []
        for (part, count, pixels), first, within in zip(sides, cells, found.slices, strict=True):
            # Between two cells a pixel is pulled by both.
            start, stop = first.start + within.start - 1, first.start + within.stop + 1
            start, stop = start * pixels // count - part.start, -(-stop * pixels // count) - part.start
            ends.append(slice(max(0, start), min(part.stop - part.start, stop)))
        return ends[0], ends[1]

    def places(self, patches: Patches) -> tuple[Array, Array]:
        """From where each pixel of patches is pulled: x and y (N, height, width)."""
        right, down = (self._kernels.resized(self.offsets[:, axis], self._size, patches) for axis in (0, 1))
        x, y = self._kernels.grid(patches)
        return right + x, down + y


def farthest(offsets: Array) -> Array:
    """How far offsets (N, 2, rows, columns) go along x or y, whichever is farther: (N, rows, columns)."""
    xp = array_namespace(offsets)
    return xp.maximum(xp.abs(offsets[:, 0]), xp.abs(offsets[:, 1]))

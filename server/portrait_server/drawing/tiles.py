# SPDX-License-Identifier: GPL-3.0-or-later
"""What need not be looked up pixel by pixel where a frame moves: tiles of it that take all from within a person, or nothing.

A tile is a part of a strip of rows, some columns wide. From the offsets in it is known what part of the photo it may
show; where the person's matte there is the same all over, the tile's is, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from portrait_server.kernels.base import Patches
from portrait_server.kernels.one_frame import runs

CLEAR, RIM, SOLID = 0, 1, 2
"""Tiles that show nothing of the person, some, and nothing else."""
_COLUMNS = 16  # of a tile
_BLOCK = 8  # pixels: squares of the photo for which it is known what they hold
# Pixels beside a place on which what is looked up there depends: places are rounded, and lie between pixels.
_BESIDE = 2
_STRIP_ROWS = 32  # of a tile, but for the last ones
_CALL = 2000  # pixels: to look up so many more takes as long as a further call


class Cover:
    """What squares of a photo hold of its person: counts by which any rectangle is judged."""

    def __init__(self, matte: np.ndarray) -> None:
        """Of a matte (H, W), 0 to 255."""
        self.height, self.width = matte.shape
        self._some, self._lacking = (_summed(found) for found in (matte > 0, matte < 255))

    def held_by(self, left: np.ndarray, top: np.ndarray, right: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        """CLEAR, RIM or SOLID for each rectangle (…) from its first to its last pixels; the photo's border goes on outside."""
        first, last = (
            (np.clip(x, 0, self.width - 1).astype(np.intp) // _BLOCK, np.clip(y, 0, self.height - 1).astype(np.intp) // _BLOCK)
            for x, y in ((left, top), (right, bottom))
        )  # fmt: skip
        some, lacking = (
            counts[last[1] + 1, last[0] + 1] - counts[first[1], last[0] + 1] - counts[last[1] + 1, first[0]] + counts[first[1], first[0]]
            for counts in (self._some, self._lacking)
        )  # fmt: skip
        return np.where(some == 0, CLEAR, np.where(lacking == 0, SOLID, RIM)).astype(np.uint8)


def _summed(found: np.ndarray) -> np.ndarray:
    """How many blocks above and left of each corner have some of what was found (H, W) bool."""
    blocks = np.logical_or.reduceat(found, np.arange(0, found.shape[0], _BLOCK), axis=0)
    blocks = np.logical_or.reduceat(blocks, np.arange(0, found.shape[1], _BLOCK), axis=1)
    return np.pad(blocks.astype(np.int32).cumsum(0).cumsum(1), ((1, 0), (1, 0)))


@dataclass(frozen=True)
class Part:
    """Some strips of a frame, one below the other, and what of them is looked up.

    Attributes:
        patches: that hold all that is.
        mattes, colours: columns of those in which each is.
    """

    patches: Patches
    mattes: Sequence[slice]
    colours: Sequence[slice]


class Tiles:
    """Tiles (S, B) of S strips of frames, which move alike in N frames or are taken to.

    Attributes:
        strips: rows of the frames; width: their pixels across.
        low, high: (2, S, B) the least and the most offset along x and y in a tile and beside it, pixels.
    """

    def __init__(self, coarse: np.ndarray, size: tuple[int, int]) -> None:
        """Of offsets (N, 2, rows, columns) on a grid over frames of (width, height)."""
        self.width, height = size
        self.strips = [slice(y, min(y + _STRIP_ROWS, height)) for y in range(0, height, _STRIP_ROWS)]
        self._count, _, rows, columns = coarse.shape
        self._cell = max(self.width / columns, height / rows)
        planes = coarse.reshape(-1, rows, columns)
        first = np.arange(0, self.width, _COLUMNS)
        self._across = _cells(np.stack([first, np.minimum(first + _COLUMNS, self.width)], 1), self.width, columns)
        self._down = _cells(np.array([(strip.start, strip.stop) for strip in self.strips]), height, rows)
        self.low, self.high = (_reduced(planes, least, self._down, self._across) for least in (np.minimum, np.maximum))

    def move(self, least: float) -> np.ndarray:
        """Which tiles (S, B) hold what moves by more than so many pixels along x or y."""
        return (np.maximum(self.high, -self.low) > least).any(0)

    def uneven(self, limit: float) -> tuple[slice, slice]:
        """Rows and columns of the grid outside of which no two offsets side by side differ by more than so many pixels."""
        found = (self.high - self.low > limit).any(0)
        if not found.any():
            return slice(0, 0), slice(0, 0)
        strips, tiles = (np.flatnonzero(found.any(axis)) for axis in (1, 0))
        rows, columns = (
            slice(int(cells[at[0], 0]), int(cells[at[-1], 1]))
            for cells, at in ((self._down, strips), (self._across, tiles))
        )
        return rows, columns

    def hold(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        """The strips and columns of tiles that hold a rectangle, pixels of the frame."""
        (first, above), (last, below) = (
            (max(0, int(x // _COLUMNS)), max(0, int(y // _STRIP_ROWS))) for x, y in ((left, top), (right, bottom))
        )
        return slice(above, below + 1), slice(first, last + 1)

    def patches(self, found: np.ndarray, cells: int, strips: int) -> list[Patches]:
        """Patches of so many strips each that hold all tiles found (S, B) bool and so many cells of the grid beside them."""
        near = self.near(found, int(np.ceil(cells * self._cell)))
        patches = []
        for number in range(0, len(near), strips):
            at = np.flatnonzero(near[number : number + strips].any(0))
            if len(at):
                patches.append(self._patch(slice(number, number + strips), slice(int(at[0]), int(at[-1]) + 1)))
        return patches

    def shown(self, cover: Cover) -> np.ndarray:
        """What tiles (S, B) show of a photo's person: CLEAR, RIM or SOLID."""
        columns = np.arange(0, self.width, _COLUMNS)
        rows = np.array([(strip.start, strip.stop - 1) for strip in self.strips])[..., None]
        return cover.held_by(
            columns + self.low[0] - _BESIDE, rows[:, 0] + self.low[1] - _BESIDE,
            columns + (_COLUMNS - 1) + self.high[0] + _BESIDE, rows[:, 1] + self.high[1] + _BESIDE,
        )  # fmt: skip

    def near(self, found: np.ndarray, pixels: int) -> np.ndarray:
        """Which tiles (S, B) lie so near to those that were found."""
        sides = [2 * -(-pixels // side) + 1 for side in (_STRIP_ROWS, _COLUMNS)]
        return cv2.dilate(found.astype(np.uint8), np.ones(sides, np.uint8)) > 0

    def parts(self, mattes: np.ndarray, colours: np.ndarray) -> Iterator[Part]:
        """What is looked up of tiles (S, B): of which mattes, and of which colours; strips that are alike together."""
        found = mattes | colours
        first = together = tiles = 0  # of strips so far: the bits of what any has found, and how much all have
        lines = [int.from_bytes(line.tobytes()) for line in np.packbits(found, axis=1)]
        for last, line in enumerate([*lines, None]):
            if line is not None:
                more = (last - first + 1) * (together | line).bit_count() - tiles - line.bit_count()
                if last == first or more * _STRIP_ROWS * _COLUMNS <= _CALL:
                    together, tiles = together | line, tiles + line.bit_count()
                    continue
            at = np.flatnonzero(found[first:last].any(0))
            if len(at):
                across = slice(int(at[0]), int(at[-1]) + 1)
                patches = self._patch(slice(first, last), across)
                yield Part(patches, *(
                    _columns(tiles[first:last, across].any(0), patches) for tiles in (mattes, colours)
                ))  # fmt: skip
            if line is not None:
                first, together, tiles = last, line, line.bit_count()

    def uniform(self, moves: np.ndarray, shown: np.ndarray) -> Iterator[tuple[slice, slice, int]]:
        """Rows and columns of tiles (S, B) that move and are all person, or none: and the matte that they have, 0 or 255."""
        for kind, matte in ((CLEAR, 0), (SOLID, 255)):
            ends = np.diff(moves & (shown == kind), axis=1, prepend=False, append=False)
            strips, tiles = (at.tolist() for at in ends.nonzero())
            for strip, first, last in zip(strips[::2], tiles[::2], tiles[1::2], strict=True):
                yield self.strips[strip], slice(first * _COLUMNS, min(last * _COLUMNS, self.width)), matte

    def _patch(self, strips: slice, tiles: slice) -> Patches:
        left, right = tiles.start * _COLUMNS, min(tiles.stop * _COLUMNS, self.width)
        rows, none = self.strips[strips], np.zeros(self._count, int)
        top, bottom = rows[0].start, rows[-1].stop
        return Patches(none + left, none + top, right - left, bottom - top, np.ones(self._count, bool))


def _cells(ends: np.ndarray, pixels: int, count: int) -> np.ndarray:
    """The first and behind the last (…, 2) of so many cells that what lies between such ends depends on, pixels of so many."""
    cells = ends * (count / pixels)
    return np.stack([np.maximum(np.floor(cells[:, 0]) - 1, 0), np.minimum(np.ceil(cells[:, 1]) + 1, count)], 1).astype(
        int
    )


def _reduced(planes: np.ndarray, least: np.ufunc, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """The least, or most, of planes (2 N, rows, columns) in tiles, of all N: (2, S, B).

    Args:
        down: (S, 2) first rows, and behind the last; across: (B, 2) columns likewise.
    """
    lines = np.empty((len(planes), len(down), planes.shape[2]), np.float32)
    for number, (top, bottom) in enumerate(down.tolist()):
        least.reduce(planes[:, top:bottom], axis=1, out=lines[:, number])
    # Of some cells side by side, and of those the few that a tile is made of: a call for each tile would take longer.
    (first, last), count = across.T, 1
    wide = last - first
    while 2 * count <= wide.min():
        lines, count = least(lines[..., :-count], lines[..., count:]), 2 * count
    tiles = lines[..., first]
    for beside in range(count, int(wide.max()), count):
        tiles = least(tiles, lines[..., np.minimum(first + beside, last - count)])
    return least.reduce(tiles.reshape(-1, 2, *tiles.shape[1:]), axis=0)


def _columns(found: np.ndarray, patches: Patches) -> list[slice]:
    """Columns of patches that hold the tiles found (B,) in them."""
    apart = max(1, _CALL // (_COLUMNS * patches.height))
    return [slice(across.start * _COLUMNS, min(across.stop * _COLUMNS, patches.width)) for across in runs(found, apart)]

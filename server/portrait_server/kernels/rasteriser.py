# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles drawn into grids on a device: which is in front at each cell, covering the cells that OpenCV would fill.

`cv2.fillConvexPoly` with 8-connected edges fills the cells between a triangle's sides and those on the three lines
around it: in each row four spans of cells, at most. A span becomes two overlapping ones whose length is a power of 2:
they go into one grid for each power, where the greatest number wins, and each grid hands down to the next, of half its
length. Whole numbers and greatest ones come out the same in any order.

Tensors are on one device, and nothing here waits for it: the processor says how many rows there are at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from portrait_server.kernels.base import SHIFT

_BITS = 16  # of what OpenCV computes with
_HALF = 1 << _BITS >> 1
_MOST_ROWS, _MOST_CELLS = 1 << 21, 1 << 27  # at a time: about half a gigabyte each
_NOWHERE = 1 << 28


class _Sides(NamedTuple):
    """Triangles (N, T) as OpenCV fills them: two sides, from the highest corner to the lowest, one of them bent.

    Attributes:
        first, bend, last: rows of the corners.
        top, middle: x of the first two, 16 fractional bits.
        long_step: what x moves by for each row from the first corner to the last; short_step, bent_step: before and
            behind the bend.
    """

    first: torch.Tensor
    bend: torch.Tensor
    last: torch.Tensor
    top: torch.Tensor
    middle: torch.Tensor
    long_step: torch.Tensor
    short_step: torch.Tensor
    bent_step: torch.Tensor


class _Lines(NamedTuple):
    """Lines as OpenCV draws them: cell by cell along the axis that they run along more.

    Attributes:
        steep: 1 where that is y. start: the first cell on that axis, count: how many follow.
        across: the position on the other axis, 16 fractional bits; step: what it moves by for each cell.
        end_x, end_y: the last cell, which is drawn by itself. Lines outside the grid have a count and an end_y of -1.
    """

    steep: torch.Tensor
    start: torch.Tensor
    count: torch.Tensor
    across: torch.Tensor
    step: torch.Tensor
    end_x: torch.Tensor
    end_y: torch.Tensor


def drawn(corners: torch.Tensor, numbers: torch.Tensor, columns: int, rows: int, crossed: int) -> torch.Tensor:
    """The greatest number of those triangles that cover each cell.

    Args:
        corners: (N, T, 3, 2) int32, cells with `SHIFT` fractional bits, at most 2^14 cells away.
        numbers: (N, T) int32, above 0; 0 for triangles that are not drawn.
        crossed: at least as many of the grid's rows as the triangles of a frame cross together.

    Returns:
        (N, rows, columns) int32, 0 where there is none.
    """
    cells = columns.bit_length() * rows * columns
    at_once = max(1, min(_MOST_ROWS // max(crossed, 1), _MOST_CELLS // cells))
    parts = [
        _drawn(corners[i : i + at_once], numbers[i : i + at_once], columns, rows, crossed)
        for i in range(0, len(corners), at_once)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def rows_crossed(corners: np.ndarray, counted: np.ndarray, rows: int) -> int:
    """How many of a grid's rows the triangles of a frame cross together, the most of N frames.

    Args:
        corners: (N, T, 3, 2) int32, as `drawn` takes them. counted: (N, T) bool, which are drawn.
    """
    one, two, three = np.moveaxis(corners[..., 1] + (1 << SHIFT >> 1) >> SHIFT, -1, 0)
    first, last = np.minimum(np.minimum(one, two), three), np.maximum(np.maximum(one, two), three)
    high = np.minimum(last, rows - 1) - np.maximum(first, 0) + 1
    return int(np.where(counted, np.maximum(high, 0), 0).sum(1).max())


def _drawn(corners: torch.Tensor, numbers: torch.Tensor, columns: int, rows: int, crossed: int) -> torch.Tensor:
    column, row = (corners + (1 << SHIFT >> 1) >> SHIFT).unbind(-1)
    first, last = row.amin(-1).clamp(0, rows), row.amax(-1).clamp(-1, rows - 1)
    seen = (numbers > 0) & (column.amax(-1) >= 0) & (column.amin(-1) < columns)
    high = torch.where(seen, (last - first + 1).clamp(min=0), 0)
    until = high.cumsum(1, dtype=torch.int32)
    sides, lines = _sides(corners, row), _lines(corners, columns, rows)
    tables = torch.cat([torch.stack([first - (until - high), numbers, *sides]), torch.stack(lines).flatten(0, 1)])
    # One entry for each row of each triangle; those beyond a frame's last are its last triangle's, and do not count.
    slot = torch.arange(crossed, dtype=torch.int32, device=corners.device).expand(len(corners), -1)
    triangle = torch.searchsorted(until, slot.contiguous(), right=True).clamp(max=numbers.shape[1] - 1)
    found = tables.gather(2, triangle.expand(len(tables), -1, -1))
    row = slot + found[0]
    between = _between(row, _Sides(*found[2 : 2 + len(sides)]))
    along = _along(row, _Lines(*found[2 + len(sides) :].unflatten(0, (len(lines), 3))))
    left, right = (torch.cat([one[:, None], three.movedim(0, 1)], 1) for one, three in zip(between, along, strict=True))
    left, right = left.clamp(min=0), right.clamp(max=columns - 1)
    counts = (slot < until[:, -1:])[:, None] & (left <= right)
    number = torch.where(counts, found[1][:, None], 0)
    return _painted(row[:, None].expand_as(left), left, right, number, columns, rows)


def _sides(corners: torch.Tensor, row: torch.Tensor) -> _Sides:
    """Of triangles (N, T, 3, 2) whose corners lie in rows (N, T, 3)."""
    turned = (corners[..., 1].argmin(-1, keepdim=True) + torch.arange(3, device=row.device)) % 3
    top, a, b = corners[..., 0].gather(2, turned).unbind(-1)
    first, row_a, row_b = row.gather(2, turned).unbind(-1)
    swap = row_a > row_b
    middle, low = torch.where(swap, b, a), torch.where(swap, a, b)
    bend, last = torch.minimum(row_a, row_b), torch.maximum(row_a, row_b)
    starts, ends = torch.stack([top, top, middle]), torch.stack([low, middle, low])
    high = torch.stack([last - first, bend - first, last - bend]).clamp(min=1).long()
    away = (ends - starts).long() << (_BITS - SHIFT)
    steps = torch.div(2 * away + high, 2 * high, rounding_mode="trunc").int()
    return _Sides(first, bend, last, top << (_BITS - SHIFT), middle << (_BITS - SHIFT), *steps)


def _lines(corners: torch.Tensor, columns: int, rows: int) -> _Lines:
    """The lines around triangles (N, T, 3, 2): (3, N, T)."""
    ends = corners.permute(3, 2, 0, 1).long() << (_BITS - SHIFT)
    x, y = torch.stack([ends.roll(1, 1), ends], 1)
    x, y, inside = clipped(x, y, (columns << _BITS) - 1, (rows << _BITS) - 1)
    steep, along, across = by_axis(x, y)
    step = torch.div((across[1] - across[0]) << _BITS, (along[1] - along[0]) | 1, rounding_mode="trunc")
    last = torch.stack([torch.where(steep, across[1], along[1]), torch.where(steep, along[1], across[1])])
    start, (end_x, end_y) = along[0] + _HALF >> _BITS, last + _HALF >> _BITS
    count = torch.where(inside, along[1] - along[0] >> _BITS, -1)
    planes = (steep, start, count, across[0] + _HALF, step, end_x, torch.where(inside, end_y, -1))
    return _Lines(*(plane.int() for plane in planes))


def clipped(
    x: torch.Tensor, y: torch.Tensor, right: int, bottom: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lines' ends (2, …) int64 moved along them into 0 to right and bottom, and which lines pass there (…) bool."""
    across, down = x[1] - x[0], y[1] - y[0]
    for_x, for_y = (torch.where(length == 0, 1, length) for length in (across, down))
    beyond = _one_side(x, right) | _one_side(y, bottom)
    inner = y.clamp(0, bottom)
    x, y = x + torch.div((inner - y) * across, for_y, rounding_mode="trunc"), inner
    beyond = beyond | _one_side(x, right)
    inner = x.clamp(0, right)
    y = y + torch.div((inner - x) * down, for_x, rounding_mode="trunc")
    return inner, y.clamp(0, bottom), ~beyond


def _one_side(at: torch.Tensor, last: int) -> torch.Tensor:
    """Whether both ends (2, …) of lines lie on one side of 0 to `last`."""
    return (at.amax(0) < 0) | (at.amin(0) > last)


def by_axis(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whether lines run along y more than along x (…), and their ends (2, …) along that axis, forwards, and across it."""
    steep = ~((x[1] - x[0]).abs() > (y[1] - y[0]).abs())
    along, across = torch.where(steep, y, x), torch.where(steep, x, y)
    back = along[1] < along[0]
    return steep, torch.where(back, along.flip(0), along), torch.where(back, across.flip(0), across)


def _between(row: torch.Tensor, sides: _Sides) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the last cell between a triangle's sides in a row; the last before the first where there is none."""
    long = sides.top + sides.long_step * (row - sides.first)
    bent = torch.where(
        row < sides.bend,
        sides.top + sides.short_step * (row - sides.first),
        sides.middle + sides.bent_step * (row - sides.bend),
    )
    there = (row >= sides.first) & (row < sides.last)
    left, right = torch.minimum(long, bent) + _HALF >> _BITS, torch.maximum(long, bent) + _HALF >> _BITS
    return torch.where(there, left, _NOWHERE), torch.where(there, right, -_NOWHERE)


def _along(row: torch.Tensor, line: _Lines) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the last cell of lines in a row; the last before the first where there is none."""
    down = row - line.start
    steep_x = line.across + line.step * down >> _BITS
    # A line that is not steep crosses a row while its position across lies in it.
    over = line.across - (row << _BITS)
    length = line.step.abs().clamp(min=1)
    above = torch.div(over, length, rounding_mode="floor")
    below = torch.div(over - (1 << _BITS), length, rounding_mode="floor")
    rising, level = line.step > 0, line.step == 0
    first = torch.where(rising, -above, below + 1).clamp(min=0)
    last = torch.minimum(torch.where(rising, -below - 1, above), line.count)
    first = torch.where(level, 0, first)
    last = torch.where(level, torch.where(over >> _BITS == 0, line.count, -1), last)
    steep = line.steep > 0
    some = torch.where(steep, (down >= 0) & (down <= line.count), first <= last)
    left = torch.where(some, torch.where(steep, steep_x, line.start + first), _NOWHERE)
    right = torch.where(some, torch.where(steep, steep_x, line.start + last), -_NOWHERE)
    ends = row == line.end_y
    return (
        torch.where(ends, torch.minimum(left, line.end_x), left),
        torch.where(ends, torch.maximum(right, line.end_x), right),
    )


def _painted(
    row: torch.Tensor, left: torch.Tensor, right: torch.Tensor, number: torch.Tensor, columns: int, rows: int
) -> torch.Tensor:
    """The greatest number of the spans (N, 4, M) over each cell: (N, rows, columns); numbers of 0 are not painted."""
    count, device = len(row), row.device
    powers = columns.bit_length()
    power = torch.bucketize(right - left + 1, 1 << torch.arange(1, powers, device=device), right=True)
    frame = torch.arange(count, device=device)[:, None, None]
    line = (power * count + frame) * rows + row
    size = powers * count * rows * columns
    # What is not painted is spread over the grid, or all of it would queue up at one cell.
    anywhere = torch.arange(row.numel(), device=device).reshape(row.shape) % size
    grid = torch.zeros(size, dtype=torch.int32, device=device)
    for start in (left, right + 1 - (1 << power)):
        cell = torch.where(number > 0, line * columns + start, anywhere)
        grid.scatter_reduce_(0, cell.flatten(), number.flatten(), "amax")
    levels = grid.reshape(powers, count, rows, columns)
    for power_of in range(powers - 1, 0, -1):
        half = 1 << (power_of - 1)
        longer, shorter = levels[power_of], levels[power_of - 1]
        torch.maximum(shorter, longer, out=shorter)
        torch.maximum(shorter[..., half:], longer[..., :-half], out=shorter[..., half:])
    return levels[0].clone()

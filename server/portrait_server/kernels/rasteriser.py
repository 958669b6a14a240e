# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles drawn into grids on a device: which is in front at each cell, covering the cells that OpenCV would fill.

`cv2.fillConvexPoly` with 8-connected edges fills the cells between a triangle's sides and those on the three lines
around it. In each row they are one span of cells. So a triangle becomes as many spans as it has rows, and a span two
overlapping ones whose length is a power of 2: they go into one grid for each power, the greatest number wins, and each
grid hands down to the next, of half its length. Whole numbers and greatest ones come out the same in any order.

Tensors are on one device, and nothing here waits for it: the processor says how many spans there are at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

SHIFT = 4  # fractional bits of corners
_BITS = 16  # of what OpenCV computes with
_HALF = 1 << _BITS >> 1
_MOST_SPANS = 1 << 21  # at a time: about half a gigabyte
_NOWHERE = 1 << 28


class _Sides(NamedTuple):
    """Triangles (N, T) as OpenCV fills them: two sides, from the highest corner to the lowest, one of them bent.

    Attributes:
        first, bend, last: rows of the corners. long, short: where the sides are at the first row, 16 fractional bits;
            bent: where the bent side is at its bend.
        long_step, short_step, bent_step: what they move by for each row.
    """

    first: torch.Tensor
    bend: torch.Tensor
    last: torch.Tensor
    long: torch.Tensor
    long_step: torch.Tensor
    short_step: torch.Tensor
    bent: torch.Tensor
    bent_step: torch.Tensor


class _Lines(NamedTuple):
    """Lines (N, T) as OpenCV draws them: cell by cell along the axis that they run along more.

    Attributes:
        steep: 1 where that is y. start: the first cell on that axis, count: how many follow.
        across: the position on the other axis, 16 fractional bits; step: what it moves by for each cell.
        end_x, end_y: the last cell, which is drawn by itself. Of what lies outside the grid all is nought, and count -1.
    """

    steep: torch.Tensor
    start: torch.Tensor
    count: torch.Tensor
    across: torch.Tensor
    step: torch.Tensor
    end_x: torch.Tensor
    end_y: torch.Tensor


def drawn(corners: torch.Tensor, numbers: torch.Tensor, columns: int, rows: int, spans: int) -> torch.Tensor:
    """The greatest number of those triangles that cover each cell.

    Args:
        corners: (N, T, 3, 2) int32, cells with `SHIFT` fractional bits, at most 2^14 cells away.
        numbers: (N, T) int32, above 0; 0 for triangles that are not drawn.
        spans: at least the number of the grid's rows that the triangles of a frame reach over, all together.

    Returns:
        (N, rows, columns) int32, 0 where there is none.
    """
    at_once = max(1, _MOST_SPANS // max(spans, 1))
    parts = [
        _drawn(corners[i : i + at_once], numbers[i : i + at_once], columns, rows, spans)
        for i in range(0, len(corners), at_once)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def most_spans(corners: np.ndarray, counted: np.ndarray, rows: int) -> int:
    """How many of a grid's rows the triangles of a frame reach over, all together, in that with most.

    Args:
        corners: (N, T, 3, 2) int32, as `drawn` takes them. counted: (N, T) bool, which are drawn.
    """
    row = corners[..., 1] + (1 << SHIFT >> 1) >> SHIFT
    high = np.minimum(row.max(-1), rows - 1) - np.maximum(row.min(-1), 0) + 1
    return int(np.where(counted, np.maximum(high, 0), 0).sum(1).max())


def _drawn(corners: torch.Tensor, numbers: torch.Tensor, columns: int, rows: int, spans: int) -> torch.Tensor:
    x, y = corners.unbind(-1)
    row, column = (at + (1 << SHIFT >> 1) >> SHIFT for at in (y, x))
    first, last = row.amin(-1).clamp(0, rows), row.amax(-1).clamp(-1, rows - 1)
    seen = (numbers > 0) & (column.amax(-1) >= 0) & (column.amin(-1) < columns)
    high = torch.where(seen, (last - first + 1).clamp(min=0), 0)
    until = high.cumsum(1, dtype=torch.int32)
    lines = [_line(x, y, (edge + 2) % 3, edge, columns, rows) for edge in range(3)]
    tables = [first - (until - high), numbers, *_sides(x, y, row), *(plane for line in lines for plane in line)]
    # One entry for each row of each triangle; those beyond a frame's last are its last triangle's, and do not count.
    slot = torch.arange(spans, dtype=torch.int32, device=x.device).expand(len(x), -1)
    triangle = torch.searchsorted(until, slot.contiguous(), right=True).clamp(max=x.shape[1] - 1)
    offset, number, *numbers_of = torch.stack(tables).gather(2, triangle.expand(len(tables), -1, -1)).unbind()
    left, right = _spans(slot + offset, numbers_of)
    left, right = left.clamp(min=0), right.clamp(max=columns - 1)
    counts = (slot < until[:, -1:]) & (left <= right)
    return _painted(slot + offset, left, right, torch.where(counts, number, 0), columns, rows)


def _sides(x: torch.Tensor, y: torch.Tensor, row: torch.Tensor) -> _Sides:
    """Of triangles whose corners (N, T, 3) lie in these rows."""
    (x0, x1, x2), (y0, y1, y2), (row0, row1, row2) = x.unbind(-1), y.unbind(-1), row.unbind(-1)
    second, third = y1 < y0, y2 < torch.minimum(y0, y1)

    def turned(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torch.where(third, c, torch.where(second, b, a))

    top, a, b = turned(x0, x1, x2), turned(x1, x2, x0), turned(x2, x0, x1)
    first, row_a, row_b = turned(row0, row1, row2), turned(row1, row2, row0), turned(row2, row0, row1)
    swap = row_a > row_b
    middle, low = torch.where(swap, b, a), torch.where(swap, a, b)
    bend, last = torch.minimum(row_a, row_b), torch.maximum(row_a, row_b)
    to_fixed = _BITS - SHIFT
    return _Sides(
        first, bend, last, top << to_fixed,
        _slope(top, low, last - first), _slope(top, middle, bend - first),
        middle << to_fixed, _slope(middle, low, last - bend),
    )  # fmt: skip


def _slope(start: torch.Tensor, end: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """What x moves by for each row, rounded as OpenCV does."""
    rows = rows.clamp(min=1).long()
    away = (end - start).long() << (_BITS - SHIFT)
    return torch.div(2 * away + rows, 2 * rows, rounding_mode="trunc").int()


def _line(x: torch.Tensor, y: torch.Tensor, start: int, end: int, columns: int, rows: int) -> _Lines:
    """Of triangles whose corners are (N, T, 3), the line from one to another."""
    x, y = x.long() << (_BITS - SHIFT), y.long() << (_BITS - SHIFT)
    *ends, inside = clipped(
        x[..., start], y[..., start], x[..., end], y[..., end], (columns << _BITS) - 1, (rows << _BITS) - 1
    )
    steep, along1, across1, along2, across2 = by_axis(*ends)
    step = torch.div((across2 - across1) << _BITS, (along2 - along1) | 1, rounding_mode="trunc")
    end_x, end_y = (torch.where(steep, a, b) + _HALF >> _BITS for a, b in ((across2, along2), (along2, across2)))
    planes = (
        steep, along1 + _HALF >> _BITS, along2 - along1 >> _BITS, across1 + _HALF, step, end_x, end_y,
    )  # fmt: skip
    nowhere = (0, 0, -1, 0, 0, 0, -1)
    return _Lines(*(torch.where(inside, plane, other).int() for plane, other in zip(planes, nowhere, strict=True)))


def clipped(
    x1: torch.Tensor, y1: torch.Tensor, x2: torch.Tensor, y2: torch.Tensor, right: int, bottom: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lines' ends int64 moved along them into 0 to right and bottom, and which lines pass there (OpenCV's clipLine)."""

    def beside(x: torch.Tensor) -> torch.Tensor:
        return (x < 0).int() + 2 * (x > right).int()

    def above(y: torch.Tensor) -> torch.Tensor:
        return 4 * (y < 0).int() + 8 * (y > bottom).int()

    def moved(at: torch.Tensor, to: torch.Tensor, ends: tuple[torch.Tensor, ...]) -> torch.Tensor:
        from1, across1, from2, across2 = ends
        length = from2 - from1
        return torch.div((to - at) * (across2 - across1), torch.where(length == 0, 1, length), rounding_mode="trunc")

    code1, code2 = beside(x1) + above(y1), beside(x2) + above(y2)
    cut = ((code1 & code2) == 0) & ((code1 | code2) != 0)
    for first in (True, False):
        code, x, y = (code1, x1, y1) if first else (code2, x2, y2)
        there = cut & ((code & 12) != 0)
        to = torch.where(code < 8, 0, bottom).long()
        x = torch.where(there, x + moved(y, to, (y1, x1, y2, x2)), x)
        y, code = torch.where(there, to, y), torch.where(there, beside(x), code)
        code1, x1, y1, code2, x2, y2 = (code, x, y, code2, x2, y2) if first else (code1, x1, y1, code, x, y)
    cut &= ((code1 & code2) == 0) & ((code1 | code2) != 0)
    for first in (True, False):
        code, x, y = (code1, x1, y1) if first else (code2, x2, y2)
        there = cut & (code != 0)
        to = torch.where(code == 1, 0, right).long()
        y = torch.where(there, y + moved(x, to, (x1, y1, x2, y2)), y)
        x, code = torch.where(there, to, x), torch.where(there, 0, code)
        code1, x1, y1, code2, x2, y2 = (code, x, y, code2, x2, y2) if first else (code1, x1, y1, code, x, y)
    return x1, y1, x2, y2, (code1 | code2) == 0


def by_axis(x1: torch.Tensor, y1: torch.Tensor, x2: torch.Tensor, y2: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Lines' ends along the axis that they run along more, forwards: whether that is y, then along and across."""
    steep = ~((x2 - x1).abs() > (y2 - y1).abs())
    along1, along2 = torch.where(steep, y1, x1), torch.where(steep, y2, x2)
    across1, across2 = torch.where(steep, x1, y1), torch.where(steep, x2, y2)
    back = along2 < along1
    return (
        steep,
        torch.where(back, along2, along1), torch.where(back, across2, across1),
        torch.where(back, along1, along2), torch.where(back, across1, across2),
    )  # fmt: skip


def _spans(row: torch.Tensor, planes: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the last cell that a triangle covers in a row, the last before the first where there is none."""
    sides = _Sides(*planes[: len(_Sides._fields)])
    down = row - sides.first
    long = sides.long + sides.long_step * down
    short = torch.where(
        row < sides.bend, sides.long + sides.short_step * down, sides.bent + sides.bent_step * (row - sides.bend)
    )
    between = (row >= sides.first) & (row < sides.last)
    left = torch.where(between, torch.minimum(long, short) + _HALF >> _BITS, _NOWHERE)
    right = torch.where(between, torch.maximum(long, short) + _HALF >> _BITS, -_NOWHERE)
    count = len(_Lines._fields)
    for first in range(len(_Sides._fields), len(planes), count):
        start, end = _line_span(row, _Lines(*planes[first : first + count]))
        left, right = torch.minimum(left, start), torch.maximum(right, end)
    return left, right


def _line_span(row: torch.Tensor, line: _Lines) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the last cell of lines in a row, the last before the first where there is none."""
    down = row - line.start
    steep_x = line.across + line.step * down >> _BITS
    in_row = (down >= 0) & (down <= line.count)
    over = line.across - (row << _BITS)
    step = line.step.abs().clamp(min=1)
    above, below = (torch.div(at, step, rounding_mode="floor") for at in (over, over - (1 << _BITS)))
    first = torch.where(line.step > 0, -above, below + 1)
    last = torch.where(line.step > 0, -below - 1, above)
    level = line.step == 0
    first = torch.where(level, 0, first.clamp(min=0))
    last = torch.where(
        level & (over >> _BITS != 0), -1, torch.where(level, line.count, torch.minimum(last, line.count))
    )
    steep = line.steep != 0
    some = torch.where(steep, in_row, first <= last)
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
    """The greatest number of the spans (N, M) over each cell: (N, rows, columns); numbers of 0 are not painted."""
    count, device = len(row), row.device
    powers = columns.bit_length()
    power = torch.bucketize(right - left + 1, 1 << torch.arange(1, powers, device=device), right=True)
    frame = torch.arange(count, device=device)[:, None]
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

# SPDX-License-Identifier: GPL-3.0-or-later
"""Polygons with antialiased edges on a device, as `cv2.fillPoly` draws them: lines along the edges, then the inside.

OpenCV rounds the corners' y to whole rows. A line covers three pixels at each step along its longer axis, each by a
Gaussian of its distance, the line's slope and how near its ends are. What a line leaves of a pixel is rounded before
the next one covers it, so the edges' order matters: each pixel's lines are numbered, and drawn one number at a time.

Tensors are on one device, and nothing here waits for it: the processor says how many lines meet at a pixel at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from portrait_server.kernels.base import SHIFT
from portrait_server.kernels.rasteriser import by_axis, clipped

_BITS = 16
_ONE, _HALF = 1 << _BITS, 1 << _BITS >> 1
# A line covers pixels up to 2.5 beside an edge: one and a half by its width, and one where it is drawn on beyond its ends
# to whole pixels. So two meet at a pixel only where columns, rounded down, and rows, whole, are no farther apart than:
_REACH_X, _REACH_Y = 5, 4
# How much wider a line covers, the more it slopes (in 32nds): OpenCV's 256 / cos, over the width of its filter.
_SLOPE_WEIGHTS = np.array(
    [
        181, 181, 181, 182, 182, 183, 184, 185, 187, 188, 190, 192, 194, 196, 198, 201,
        203, 206, 209, 211, 214, 218, 221, 224, 227, 231, 235, 238, 242, 246, 250, 254,
        *[256] * 32,
    ],
    np.int32,
)  # fmt: skip
# Its Gaussian, of distances from the line's middle in 32nds of a pixel.
_FILTER = np.array(
    [
        168, 177, 185, 194, 202, 210, 218, 224, 231, 236, 241, 246, 249, 252, 254, 254,
        254, 254, 252, 249, 246, 241, 236, 231, 224, 218, 210, 202, 194, 185, 177, 168,
        158, 149, 140, 131, 122, 114, 105, 97, 89, 82, 75, 68, 62, 56, 50, 45,
        40, 36, 32, 28, 25, 22, 19, 16, 14, 12, 11, 9, 8, 7, 5, 5,
    ],
    np.int32,
)  # fmt: skip


@dataclass(frozen=True)
class Tables:
    """What `filled` looks up, on the device: weights of slopes (64,) and distances (64,), and what a line leaves (65536,).

    Attributes:
        left: of a pixel r (0 to 255) that is not covered yet, by a line that covers it by a, at 256 a + r.
    """

    slopes: torch.Tensor
    distances: torch.Tensor
    left: torch.Tensor

    @classmethod
    def put(cls, put: Callable[[np.ndarray], torch.Tensor]) -> Tables:
        cover, left = np.arange(256, dtype=np.int32)[:, None], np.arange(256, dtype=np.int32)
        for _ in range(2):  # OpenCV draws each point twice
            left = left - (left * cover + 127 >> 8)
        return cls(put(_SLOPE_WEIGHTS), put(_FILTER), put(left.ravel()))


def extent(corners: np.ndarray, width: int, height: int) -> tuple[int, int]:
    """Of polygons (N, P, 2) as `filled` takes them: the longest edge in pixels, and how many meet at a pixel, at most."""
    near = np.ones((len(corners), *corners.shape[1:2] * 2), bool)
    longest = 1
    column, row = corners[..., 0] >> SHIFT, corners[..., 1] + (1 << SHIFT >> 1) >> SHIFT
    for ends, reach, size in ((column, _REACH_X, width), (row, _REACH_Y, height)):
        before = np.roll(ends, 1, 1)
        first, last = (edge.astype(np.int16) for edge in (np.minimum(ends, before), np.maximum(ends, before)))
        beyond = last + np.int16(reach)
        near &= first[:, None] <= beyond[:, :, None]
        near &= first[:, :, None] <= beyond[:, None]
        longest = max(longest, int((np.clip(last, -1, size) - np.clip(first, -1, size)).max(initial=0)) + 1)
    return longest, int(np.count_nonzero(near, axis=-1).max(initial=0))


def filled(corners: torch.Tensor, width: int, height: int, longest: int, most: int, tables: Tables) -> torch.Tensor:
    """How far each pixel lies in polygons.

    Args:
        corners: (N, P, 2) int32, pixels with `SHIFT` fractional bits, at most 2^14 pixels away.
        longest, most: from `extent`.

    Returns:
        (N, height, width) uint8.
    """
    x = corners[..., 0].long() << (_BITS - SHIFT)
    row = (corners[..., 1] + (1 << SHIFT >> 1) >> SHIFT).long()
    x, row = torch.stack([x.roll(1, 1), x]), torch.stack([row.roll(1, 1), row])
    pixel, cover = _lines(x, row << _BITS, width, height, longest, tables)
    left = _uncovered(pixel, cover, width * height, most, tables).unflatten(1, (height, width))
    return torch.where(_inside(x, row, width, height), 255, 255 - left).to(torch.uint8)


def _inside(x: torch.Tensor, row: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Which pixels (N, height, width) lie between an edge of odd and one of even number in their row.

    Args:
        x, row: (2, N, P) edges' ends, the one with 16 fractional bits, the other with none.
    """
    count, device = x.shape[1], x.device
    high = row[1] - row[0]
    step = torch.div(x[1] - x[0], torch.where(high == 0, 1, high), rounding_mode="trunc")[:, None]
    upper = torch.where(high > 0, x[0], x[1])[:, None]
    first, last = row.amin(0)[:, None], row.amax(0)[:, None]
    line = torch.arange(height, device=device)[:, None]
    at = upper + step * (line - first)
    crossed = (line >= first) & (line < last)
    pixel = at >> _BITS
    # Counted from the first pixel to the right of an edge on; beyond the picture they do not matter.
    right = torch.where(crossed, (pixel + 1).clamp(0, width), width)
    # A pixel on an edge is inside, be it a left or a right one.
    upon = torch.where(crossed & (at & (_ONE - 1) == 0) & (pixel >= 0), pixel.clamp(max=width), width)
    edges = torch.zeros((2, count, height, width + 1), dtype=torch.int32, device=device)
    edges.scatter_add_(3, torch.stack([right, upon]), torch.ones_like(right, dtype=torch.int32).expand(2, -1, -1, -1))
    edges = edges[..., :width]
    return (edges[0].cumsum(2, dtype=torch.int32) % 2 > 0) | (edges[1] > 0)


def _lines(
    x: torch.Tensor, y: torch.Tensor, width: int, height: int, longest: int, tables: Tables
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pixels edges cover, and by how much of 255: (N, P, L) each; beyond the last pixel, by 0, where none.

    Args:
        x, y: (2, N, P) edges' ends, with 16 fractional bits.
    """
    device = x.device
    x, y, there = clipped(x, y, (width << _BITS) - 1, (height << _BITS) - 1)
    steep, along, across = (plane[..., None] for plane in by_axis(x, y))
    step = torch.div((across[1] - across[0]) << _BITS, (along[1] - along[0]) | 1, rounding_mode="trunc")
    start, end = along[0], along[1] + _ONE
    last = (end >> _BITS) - (start >> _BITS)
    slope = (step >> (_BITS - 5)) & 0x3F
    weight = tables.slopes[torch.where(step < 0, slope ^ 0x3F, slope)]
    number = torch.arange(longest + 2, device=device)  # a line's ends lie in two pixels more than its length
    weight = _end_weights(weight, (start >> (_BITS - 7)) & 0x78, (end >> (_BITS - 7)) & 0x78, number, last - number)
    over = across[0] + (step * -(start & (_ONE - 1)) >> _BITS) + _HALF + step * number
    distance = (over >> (_BITS - 5)) & 31
    weight = weight * tables.distances[torch.stack([distance + 32, distance, 63 - distance])] >> 8
    along = (start >> _BITS) + number
    over = (over >> _BITS) + torch.arange(-1, 2, device=device)[:, None, None, None]
    seen = there[..., None] & (number <= last) & (along < torch.where(steep, height, width))
    seen = seen & (over >= 0) & (over < torch.where(steep, width, height))
    pixel = torch.where(seen, torch.where(steep, along * width + over, over * width + along), width * height)
    cover = torch.where(seen, weight & 0xFF, 0).int()
    return pixel.movedim(0, 2).flatten(2), cover.movedim(0, 2).flatten(2)


def _uncovered(pixel: torch.Tensor, cover: torch.Tensor, size: int, most: int, tables: Tables) -> torch.Tensor:
    """What edges leave of each of `size` pixels, which they cover one after the other: (N, size) int32, 0 to 255."""
    count, edges = pixel.shape[:2]
    edge = torch.arange(edges, device=pixel.device)[:, None]
    in_order, place = torch.sort((pixel * edges + edge).flatten(1))
    pixel = in_order // edges
    number = torch.arange(pixel.shape[1], device=pixel.device) - torch.searchsorted(pixel, pixel)
    # Each number's lines in a plane of their own, behind whose last pixel lies what is outside.
    covers = torch.zeros((count, most * (size + 1)), dtype=torch.int32, device=pixel.device)
    covers.scatter_(1, number.clamp(max=most - 1) * (size + 1) + pixel, (cover << 8).flatten(1).gather(1, place))
    left = torch.full((count, size + 1), 255, dtype=torch.int32, device=pixel.device)
    for plane in covers.unflatten(1, (most, size + 1)).unbind(1):
        left = tables.left[plane + left]
    return left[:, :size]


def _end_weights(
    weight: torch.Tensor, first: torch.Tensor, last: torch.Tensor, before: torch.Tensor, after: torch.Tensor
) -> torch.Tensor:
    """The weight of each pixel of a line: of the first two and the last two as far as its ends reach into them.

    Args:
        weight: of the line, (N, P, 1). first, last: the parts of a pixel at which it starts and ends, 120ths.
        before, after: how many pixels there are on either side, (N, P, L).
    """
    whole, part = weight << 7, (0x78 - first) | 4
    to_end = last | 4
    short = ((((last - first) & 0x78) | 4) * weight >> 8) & 0x1FF
    two = (((last - first + 0x80) | 4) * weight >> 8) & 0x1FF
    start0, start1 = (part * weight >> 8) & 0x1FF, (part * weight + whole >> 8) & 0x1FF
    end0, end1 = (to_end * weight >> 8) & 0x1FF, (to_end * weight + whole >> 8) & 0x1FF
    at_start = torch.where(after == 0, 0, torch.where(after == 1, short, start0))
    at_second = torch.where(after == 0, short, torch.where(after == 1, two, start1))
    later = torch.where(after == 0, end0, torch.where(after == 1, end1, weight))
    return torch.where(before == 0, at_start, torch.where(before == 1, at_second, later))

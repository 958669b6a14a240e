# SPDX-License-Identifier: GPL-3.0-or-later
"""Polygons with antialiased edges on a device, as `cv2.fillPoly` draws them: lines along the edges, then the inside.

OpenCV rounds the corners' y to whole rows. A line covers three pixels at each step along its longer axis, each by a
Gaussian of its distance, the line's slope and how near its ends are; what several lines cover adds up as veils do.
Here the veils' logarithms are summed, in whole numbers, so that no order matters; OpenCV rounds after each.

Tensors are on one device, and nothing here waits for it.
"""

from __future__ import annotations

import numpy as np
import torch

from portrait_server.kernels.rasteriser import SHIFT, by_axis, clipped

_BITS = 16
_ONE, _HALF = 1 << _BITS, 1 << _BITS >> 1
_VEIL = 1 << 16  # what a veil that halves what shines through counts
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


def tables() -> np.ndarray:
    """What `filled` looks up: (3, 256) int32, the weights of slopes and distances, and of what is covered the veil."""
    found = np.zeros((3, 256), np.int32)
    found[0, : len(_SLOPE_WEIGHTS)], found[1, : len(_FILTER)] = _SLOPE_WEIGHTS, _FILTER
    found[2] = np.round(-2 * np.log2(1 - np.arange(256) / 256) * _VEIL)  # each is drawn twice
    return found


def filled(corners: torch.Tensor, width: int, height: int, longest: int, tables: torch.Tensor) -> torch.Tensor:
    """How far each pixel lies in polygons.

    Args:
        corners: (N, P, 2) int32, pixels with `SHIFT` fractional bits, at most 2^14 pixels away.
        longest: at least the number of pixels that an edge reaches over within the picture, along either axis.

    Returns:
        (N, height, width) uint8.
    """
    x = corners[..., 0].long() << (_BITS - SHIFT)
    row = (corners[..., 1] + (1 << SHIFT >> 1) >> SHIFT).long()
    edges = (x.roll(1, 1), row.roll(1, 1), x, row)
    inside = _inside(*edges, width, height)
    veil = _veil(*edges, width, height, longest, tables)
    through = torch.exp2(veil.to(torch.float32) / -_VEIL)
    return torch.where(inside, 255, torch.round(255 * (1 - through))).to(torch.uint8)


def _inside(
    x1: torch.Tensor, row1: torch.Tensor, x2: torch.Tensor, row2: torch.Tensor, width: int, height: int
) -> torch.Tensor:
    """Which pixels (N, height, width) lie between an edge (N, P) of odd and one of even number in their row."""
    count, device = len(x1), x1.device
    down = row2 > row1
    first, last = torch.minimum(row1, row2), torch.maximum(row1, row2)
    high = row2 - row1
    step = torch.div(x2 - x1, torch.where(high == 0, 1, high), rounding_mode="trunc")
    row = torch.arange(height, device=device)[:, None]
    at = torch.where(down, x1, x2)[:, None] + step[:, None] * (row - first[:, None])
    crossed = (row >= first[:, None]) & (row < last[:, None])
    # Counted from the first pixel to the right of an edge on; beyond the picture they do not matter.
    pixel = ((at >> _BITS) + 1).clamp(0, width)
    edges = torch.zeros((count, height, width + 1), dtype=torch.int32, device=device)
    edges.scatter_add_(2, torch.where(crossed, pixel, width), crossed.int())
    odd = edges.cumsum(2, dtype=torch.int32)[..., :width] % 2 > 0
    # A pixel on an edge is inside, be it a left or a right one.
    upon = crossed & (at & (_ONE - 1) == 0) & (at >= 0) & (at < width << _BITS)
    touched = torch.zeros_like(edges).scatter_add_(2, torch.where(upon, at >> _BITS, width), upon.int())
    return odd | (touched[..., :width] > 0)


def _veil(
    x1: torch.Tensor,
    row1: torch.Tensor,
    x2: torch.Tensor,
    row2: torch.Tensor,
    width: int,
    height: int,
    longest: int,
    tables: torch.Tensor,
) -> torch.Tensor:
    """How far edges (N, P) cover each pixel: (N, height, width), binary logarithms, in `_VEIL`s."""
    count, device = len(x1), x1.device
    *ends, there = clipped(x1, row1 << _BITS, x2, row2 << _BITS, (width << _BITS) - 1, (height << _BITS) - 1)
    steep, along1, across1, along2, across2 = (plane[..., None] for plane in by_axis(*ends))
    step = torch.div((across2 - across1) << _BITS, (along2 - along1) | 1, rounding_mode="trunc")
    along2 = along2 + _ONE
    last = (along2 >> _BITS) - (along1 >> _BITS)
    start = across1 + (step * -(along1 & (_ONE - 1)) >> _BITS) + _HALF
    slope = (step >> (_BITS - 5)) & 0x3F
    weight = tables[0][torch.where(step < 0, slope ^ 0x3F, slope)]
    number = torch.arange(longest + 2, device=device)  # a line's ends lie in two pixels more than its length
    weight = _end_weights(weight, (along1 >> (_BITS - 7)) & 0x78, (along2 >> (_BITS - 7)) & 0x78, number, last - number)
    along = (along1 >> _BITS) + number
    drawn = there[..., None] & (number <= last) & (along < torch.where(steep, height, width))
    across = start + step * number
    distance = (across >> (_BITS - 5)) & 31
    veil = torch.zeros((count, height * width), dtype=torch.int32, device=device)
    for side, place in enumerate((distance + 32, distance, 63 - distance), -1):
        over = (across >> _BITS) + side
        seen = drawn & (over >= 0) & (over < torch.where(steep, width, height))
        pixel = torch.where(seen, torch.where(steep, along * width + over, over * width + along), 0)
        covered = torch.where(seen, tables[2][(weight * tables[1][place] >> 8) & 0xFF], 0)
        veil.scatter_add_(1, pixel.flatten(1), covered.flatten(1))
    return veil.unflatten(1, (height, width))


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

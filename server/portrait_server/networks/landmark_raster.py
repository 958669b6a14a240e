# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark raster: the 70 points as coloured lines and dots, antialiased, drawn on the points' device."""

from __future__ import annotations

from typing import Final

import torch
from portrait_shared.landmarks import POLYLINES

CHANNELS: Final = 3

_HALF_WIDTH = 1 / 256  # of a line, in sides of the picture; never under half a pixel
_PUPIL_RADIUS = 1 / 80
_PUPILS = [68, 69]
# One colour a group, in the order of POLYLINES. Pupils are white, so no line hides them.
_COLORS = (
    (0.0, 0.9, 0.1), (1.0, 0.5, 0.0), (0.5, 1.0, 0.0), (0.1, 0.4, 1.0), (0.0, 0.9, 0.9),
    (1.0, 0.1, 0.5), (0.6, 0.1, 1.0), (1.0, 0.1, 0.0), (1.0, 0.8, 0.0),
)  # fmt: skip


def _segments(indices: tuple[int, ...], closed: bool) -> tuple[list[int], list[int]]:
    starts = list(indices) if closed else list(indices[:-1])
    return starts, [*indices[1:], indices[0]] if closed else list(indices[1:])


_LINES = [_segments(indices, closed) for indices, closed in POLYLINES]


@torch.no_grad()
def rasterize(points: torch.Tensor, side: int, frame_side: int | None = None) -> torch.Tensor:
    """Draws faces.

    Args:
        points: (B, 70, 2 or 3) pixels.
        side: of the raster, pixels.
        frame_side: of the frame whose pixels the points are; the raster's where None.

    Returns:
        (B, 3, side, side) float32, 0 to 1.
    """
    scale = side / (frame_side or side)
    at = (points[..., :2].float() + 0.5) * scale - 0.5
    axis = torch.arange(side, device=points.device, dtype=torch.float32)
    colors = torch.tensor(_COLORS, device=points.device)
    half = max(0.5, _HALF_WIDTH * side)
    picture = torch.zeros(len(points), CHANNELS, side, side, device=points.device)
    for (starts, ends), color in zip(_LINES, colors, strict=True):
        distance = _to_segments(at[:, starts], at[:, ends], axis)
        ink = (half + 0.5 - distance).clamp(0, 1)  # (B, S, S)
        picture = torch.maximum(picture, ink[:, None] * color[:, None, None])
    pupils = at[:, _PUPILS]
    square = _square(pupils[..., 0], axis)[:, :, None, :] + _square(pupils[..., 1], axis)[..., None]
    distance = square.amin(1).sqrt()
    return torch.maximum(picture, (max(1.0, _PUPIL_RADIUS * side) + 0.5 - distance).clamp(0, 1)[:, None])


def _square(positions: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    return (axis - positions[..., None]) ** 2


def _to_segments(start: torch.Tensor, end: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    """Distance (B, S, S) of each pixel to the nearest of the segments between (B, N, 2) and (B, N, 2)."""
    along = end - start
    length = (along**2).sum(-1).clamp_min(1e-6)
    x, y = axis - start[..., :1], axis - start[..., 1:]  # (B, N, S)
    share = (x * (along[..., :1] / length[..., None]))[:, :, None, :] + (y * (along[..., 1:] / length[..., None]))[
        ..., None
    ]  # (B, N, S, S)
    share.clamp_(0, 1)
    across = (x[:, :, None, :] - share * along[..., 0, None, None]) ** 2
    across += (y[..., None] - share * along[..., 1, None, None]) ** 2
    return across.amin(1).sqrt()

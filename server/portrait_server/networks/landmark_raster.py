# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark raster: the 70 points as coloured lines and dots, antialiased, drawn on the points' device."""

from __future__ import annotations

from typing import Final

import torch
from portrait_shared.landmarks import POLYLINES

from portrait_server.networks import constants

CHANNELS: Final = 3

_HALF_WIDTH = 1 / 256  # of a line, in sides of the picture; never under half a pixel
_PUPIL_RADIUS = 1 / 80
_PUPILS = (68, 69)
# One colour a group, in the order of POLYLINES. Pupils are white, so no line hides them.
_COLORS = (
    (0.0, 0.9, 0.1), (1.0, 0.5, 0.0), (0.5, 1.0, 0.0), (0.1, 0.4, 1.0), (0.0, 0.9, 0.9),
    (1.0, 0.1, 0.5), (0.6, 0.1, 1.0), (1.0, 0.1, 0.0), (1.0, 0.8, 0.0),
)  # fmt: skip


def _segments(indices: tuple[int, ...], closed: bool) -> tuple[list[int], list[int]]:
    starts = list(indices) if closed else list(indices[:-1])
    return starts, [*indices[1:], indices[0]] if closed else list(indices[1:])


_LINES = [_segments(indices, closed) for indices, closed in POLYLINES]
_STARTS, _ENDS = (tuple(point for line in _LINES for point in line[side]) for side in (0, 1))
_COUNTS = [len(starts) for starts, _ in _LINES]


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
    half = max(0.5, _HALF_WIDTH * side)
    distances = torch.stack(_to_lines(at, axis), 1)  # (B, 9, S, S)
    ink = (half + 0.5 - distances).clamp_(0, 1)
    colors = constants.values(_COLORS, points.device)
    picture = (ink[:, :, None] * colors[..., None, None]).amax(1)
    pupils = at[:, constants.indices(_PUPILS, at.device)]
    square = _square(pupils[..., 0], axis)[:, :, None, :] + _square(pupils[..., 1], axis)[..., None]
    distance = square.amin(1).sqrt()
    return torch.maximum(picture, (max(1.0, _PUPIL_RADIUS * side) + 0.5 - distance).clamp(0, 1)[:, None])


def _square(positions: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    return (axis - positions[..., None]) ** 2


def _to_lines(points: torch.Tensor, axis: torch.Tensor) -> list[torch.Tensor]:
    """Distance (B, S, S) of each pixel to the nearest segment of each line through points (B, 70, 2)."""
    start = points[:, constants.indices(_STARTS, points.device)]
    along = points[:, constants.indices(_ENDS, points.device)] - start  # (B, N, 2), N segments of all lines
    x, y = axis - start[..., :1], axis - start[..., 1:]  # (B, N, S)
    step = along / (along**2).sum(-1, keepdim=True).clamp_min(1e-6)
    parts = (x, y, x * step[..., :1], y * step[..., 1:], *along[..., None].unbind(2))
    return [_to_segments(*line) for line in zip(*(part.split(_COUNTS, 1) for part in parts), strict=True)]


def _to_segments(
    x: torch.Tensor,
    y: torch.Tensor,
    share_x: torch.Tensor,
    share_y: torch.Tensor,
    right: torch.Tensor,
    down: torch.Tensor,
) -> torch.Tensor:
    """Distance (B, S, S) of each pixel to the nearest of n segments.

    Args:
        x, y: (B, n, S) from each segment's start. share_x, share_y: how far along the segment that is, 1 at its end.
        right, down: (B, n, 1) from its start to its end.
    """
    share = (share_x[:, :, None, :] + share_y[..., None]).clamp_(0, 1)  # (B, n, S, S)
    across = (x[:, :, None, :] - share * right[..., None]).square_()
    across += (y[..., None] - share * down[..., None]).square_()
    return across.amin(1).sqrt_()

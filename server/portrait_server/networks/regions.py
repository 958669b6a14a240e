# SPDX-License-Identifier: GPL-3.0-or-later
"""Where head, mouth and eyes are in an aligned frame, softly."""

from __future__ import annotations

from functools import cache

import torch
from portrait_shared.landmarks import GROUPS
from torch import Tensor

from portrait_server.geometry.ramps import smoothstep
from portrait_server.networks.constants import indices

MOUTH, EYES = ("outer_lip",), ("right_eye", "left_eye")
# Of the side: the head's middle, and how far from it the head begins to end and has ended; below it things count as
# farther away. Landmarks tell how the head moves, but not what shoulders do.
_HEAD_MIDDLE, _HEAD_BELOW, _HEAD_ENDS = 0.48, 1.2, (0.36, 0.48)
_FARTHEST = 40.0  # r² of each axis: e^-80 is nearly the smallest number that is computed with at full speed
_LEAST_RADIUS = 0.03  # of the side: around a closed eye, whose points lie on a line, are its lids


def around(points: Tensor, groups: tuple[str, ...], side: int) -> Tensor:
    """1 at the middle of each group of landmarks, falling to 1/e at the ellipse around it, added up.

    Args:
        points: (B, 70, 2 or 3) pixels of a square frame of `side` pixels.

    Returns:
        (B, 1, side, side): exp(−r²), r being 1 at the edge of an ellipse half as large again as the points' box.
    """
    return torch.stack([_ellipse(points[:, indices(GROUPS[name], points.device), :2], side) for name in groups]).sum(0)


@cache
@torch.inference_mode(False)  # else training could not use what drawing has made
def head(side: int, device: torch.device) -> Tensor:
    """1 where the head is, 0 on the shoulders and in the corners: (1, 1, side, side) float32."""
    axis = (torch.arange(side, device=device) + 0.5) / side
    down = axis[:, None] - _HEAD_MIDDLE
    distance = torch.hypot(axis[None] - 0.5, torch.where(down > 0, _HEAD_BELOW * down, down))
    first, last = _HEAD_ENDS
    return smoothstep((last - distance) / (last - first))[None, None]


def _ellipse(points: Tensor, side: int) -> Tensor:
    low, high = points.amin(1), points.amax(1)
    middle, radius = (low + high) / 2, ((high - low) * 0.75).clamp_min(side * _LEAST_RADIUS)
    at = torch.arange(side, device=points.device, dtype=points.dtype)
    across, down = ((at[None] - middle[:, i : i + 1]) / radius[:, i : i + 1] for i in range(2))
    x, y = (torch.exp(-(r * r).clamp_max(_FARTHEST)) for r in (across, down))
    return x[:, None, None, :] * y[:, None, :, None]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where mouth and eyes are in a frame, softly: from landmarks, on their device."""

from __future__ import annotations

import torch
from portrait_shared.landmarks import GROUPS
from torch import Tensor

MOUTH, EYES = ("outer_lip",), ("right_eye", "left_eye")
_LEAST_RADIUS = 0.03  # of the side: a closed eye still has some lid to look at


def around(points: Tensor, groups: tuple[str, ...], side: int) -> Tensor:
    """1 at the middle of each group of landmarks, falling to 1/e at the ellipse around it, added up.

    Args:
        points: (B, 70, 2 or 3) pixels of a square frame of `side` pixels.

    Returns:
        (B, 1, side, side): exp(−r²), r being 1 at the edge of an ellipse half as large again as the points' box.
    """
    return torch.stack([_ellipse(points[:, list(GROUPS[name]), :2], side) for name in groups]).sum(0)


def _ellipse(points: Tensor, side: int) -> Tensor:
    low, high = points.amin(1), points.amax(1)
    middle, radius = (low + high) / 2, ((high - low) * 0.75).clamp_min(side * _LEAST_RADIUS)
    at = torch.arange(side, device=points.device, dtype=points.dtype)
    x = ((at[None] - middle[:, :1]) / radius[:, :1])[:, None, None, :]
    y = ((at[None] - middle[:, 1:]) / radius[:, 1:])[:, None, :, None]
    return torch.exp(-(x * x) - (y * y))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow fields: for each pixel the position (x, y) where another picture shows it. N pictures, s and S pixels a side."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F


def sampled(picture: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """A picture (N, C, s, s) at positions (N, s', s', 2) in its pixels, its border continued outwards."""
    # In float32 even where features are bfloat16, whose positions would be a quarter of a pixel off.
    grid = (flow.float() * 2 + 1) / picture.shape[-1] - 1
    found = F.grid_sample(picture.float(), grid, padding_mode="border", align_corners=False)
    return found.to(picture.dtype)


def shrunk(flow: torch.Tensor, step: int) -> torch.Tensor:
    """Flow (N, S, S, 2) between frames `step` times as small, in their pixels."""
    if step == 1:
        return flow
    mean = F.avg_pool2d(flow.permute(0, 3, 1, 2), step).permute(0, 2, 3, 1)
    return (mean + 0.5) / step - 0.5


def stretched(flow: torch.Tensor) -> torch.Tensor:
    """How far flow (N, s, s, 2) stretches a picture to fill each pixel: (N, 1, s, s), 0 not at all to 1 without end."""
    down, right = torch.gradient(flow, dim=(1, 2))
    area = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
    return (1 - area).clamp(0, 1)[:, None]


def pixel_grid(side: int, like: torch.Tensor) -> torch.Tensor:
    """Where each pixel is, x and y: (side, side, 2), on a tensor's device and of its type; not to be written to."""
    return _grid(side, like.device, like.dtype)


@cache
@torch.inference_mode(False)  # else training could not use what drawing has made
def _grid(side: int, device: torch.device, kind: torch.dtype) -> torch.Tensor:
    axis = torch.arange(side, device=device, dtype=kind)
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)


def to_side(x: torch.Tensor, side: int) -> torch.Tensor:
    """Few planes (N, C, s, s) made (N, C, side, side); faster where each lies in one piece."""
    return F.interpolate(x.contiguous(), size=(side, side), mode="bilinear", align_corners=False)


def enlarged(x: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)

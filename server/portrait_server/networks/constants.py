# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that never change, kept on each device: lists in a computation would be copied there each time."""

from __future__ import annotations

from functools import cache

import torch


@cache
@torch.inference_mode(False)  # else training could not use what drawing has made
def indices(numbers: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Places in a tensor: (N,) int64."""
    return torch.tensor(numbers, device=device)


@cache
@torch.inference_mode(False)
def values(numbers: tuple[float, ...] | tuple[tuple[float, ...], ...], device: torch.device) -> torch.Tensor:
    """Numbers (N,) or (N, M) float32."""
    return torch.tensor(numbers, dtype=torch.float32, device=device)

# SPDX-License-Identifier: GPL-3.0-or-later
"""bfloat16 where the device computes in it."""

from __future__ import annotations

import torch


def autocast(device: torch.device) -> torch.autocast:
    """A context in which convolutions and matrix products run in bfloat16, on what has instructions for it."""
    if device.type in ("cuda", "xpu"):
        able = getattr(torch, device.type).is_bf16_supported()
    else:
        able = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=able)

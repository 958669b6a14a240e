# SPDX-License-Identifier: GPL-3.0-or-later
"""What the networks are built from. B batch, C channels, H and W pixels; AdaIN after Huang and Belongie, 2017."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def conv(inward: int, outward: int, size: int = 3, *, spectral: bool = False) -> nn.Conv2d:
    """A convolution that keeps height and width; with `spectral`, of spectral norm 1 (Miyato et al., 2018)."""
    layer = nn.Conv2d(inward, outward, size, padding=size // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return spectral_norm(layer) if spectral else layer


def normalized(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Instance-normalised x (B, C, H, W), scaled and shifted by (B or 1, C, 1, 1)."""
    if len(x) == 1 and x.device.type == "cpu":
        # A batch norm's statistics of one picture are the same. On a CPU they take a seventh of the time.
        return torch.batch_norm(x, scale.flatten(), shift.flatten(), None, None, True, 0.0, 1e-5, False)
    variance, mean = torch.var_mean(x.float(), dim=(2, 3), keepdim=True, correction=0)
    scale = scale * (variance + 1e-5).rsqrt()
    return torch.addcmul((shift - scale * mean).to(x.dtype), x, scale.to(x.dtype))


class AdaIN(nn.Module):
    """Instance norm whose scale and shift are read from the style.

    Attributes:
        start: where in the style this layer's 2 C numbers begin; set by `assign_styles`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.start = 0

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        mine = style[:, self.start : self.start + 2 * self.channels, None, None].float()
        # 1 is added: a style of nought leaves the picture as it is instead of erasing it.
        return normalized(x, 1 + mine[:, : self.channels], mine[:, self.channels :])


def assign_styles(module: nn.Module) -> int:
    """Gives each AdaIN layer of a network its part of the style; returns the style's length."""
    length = 0
    for layer in module.modules():
        if isinstance(layer, AdaIN):
            layer.start = length
            length += 2 * layer.channels
    return length


class StyledResidual(nn.Module):
    """(B, C, H, W) -> the same, styled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = AdaIN(channels), AdaIN(channels)
        self.conv1 = conv(channels, channels)
        self.conv2 = conv(channels, channels)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        y = self.conv1(F.relu(self.norm1(x, style)))
        return x + self.conv2(F.relu(self.norm2(y, style)))


def doubled(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, 2 H, 2 W), each pixel four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")

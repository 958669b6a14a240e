# SPDX-License-Identifier: GPL-3.0-or-later
"""What the generator that copies is made of: an encoder of references, a network of motion, one of refinement.

Shapes: B batch, K references, S side of the aligned frame, w width. Every output layer starts at nought.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from portrait_server.networks import landmark_raster
from portrait_server.networks.blocks import Residual, StyledResidual, conv
from portrait_server.networks.flow import enlarged

_GROUPS = 4
_LEAK = 0.2


class ReferenceEncoder(nn.Module):
    """Pictures and mattes (B K, 4, S, S) to a pyramid of features that can be carried along the flow."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.start2, self.body2 = conv(16, width // 2, spectral=False), Residual(width // 2, spectral=False)
        self.start4 = conv(2 * width, 3 * width // 2, 1, spectral=False)
        self.body4 = Residual(3 * width // 2, spectral=False)
        self.start8 = conv(6 * width, 3 * width, 1, spectral=False)
        self.body8 = Residual(3 * width, spectral=False)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        half = self.body2(self.start2(F.pixel_unshuffle(pictures, 2)))
        quarter = self.body4(self.start4(F.pixel_unshuffle(half, 2)))
        eighth = self.body8(self.start8(F.pixel_unshuffle(quarter, 2)))
        return half, quarter, eighth


class MotionNetwork(nn.Module):
    """Adds to the prior: (B K, 3 w / 2 + 8, S / 4, S / 4) -> residual flow (., 2, ., .) and visibility (., 1, ., .)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        small, middle, large = 3 * width // 2, 2 * width, 3 * width
        self.start = conv(small + 2 * landmark_raster.CHANNELS + 2, small, spectral=False)
        self.top = Residual(small, spectral=False)
        self.down1, self.body1 = conv(small, middle, spectral=False), Residual(middle, spectral=False)
        self.down2, self.body2 = conv(middle, large, spectral=False), Residual(large, spectral=False)
        self.bottom = Residual(large, spectral=False)
        self.up1, self.join1 = conv(large, middle, 1, spectral=False), Residual(middle, spectral=False)
        self.up2, self.join2 = conv(middle, small, 1, spectral=False), Residual(small, spectral=False)
        self.end = conv(small, 3, spectral=False)
        nn.init.zeros_(self.end.weight)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        top = self.top(self.start(x))  # (B K, 3 w / 2, S / 4, S / 4)
        middle = self.body1(self.down1(F.avg_pool2d(top, 2)))  # (B K, 2 w, S / 8, S / 8)
        low = self.bottom(self.body2(self.down2(F.avg_pool2d(middle, 2))))  # (B K, 3 w, S / 16, S / 16)
        middle = self.join1(middle + enlarged(self.up1(low), 2))
        top = self.join2(top + enlarged(self.up2(middle), 2))
        end = self.end(F.leaky_relu(top, _LEAK)).float()
        return end[:, :2], end[:, 2:]


class RefinementNetwork(nn.Module):
    """A U-Net, styled on its way up: what is carried over (S / 2, S / 4, S / 8) -> 4 channels at S."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w1, w2, w3, w4 = width, 2 * width, 4 * width, 6 * width
        self.start = conv(16 + width // 2 + 1, w1, spectral=False)
        self.body1 = Residual(w1, spectral=False)
        self.down2, self.body2 = conv(w1, w2, spectral=False), Residual(w2, spectral=False)
        self.join2 = conv(3 * width // 2 + landmark_raster.CHANNELS, w2, 1, spectral=False)
        self.down3, self.body3 = conv(w2, w3, spectral=False), Residual(w3, spectral=False)
        self.join3 = conv(3 * width, w3, 1, spectral=False)
        self.down4 = conv(w3, w4, spectral=False)
        self.bottom = nn.ModuleList(StyledResidual(w4, spectral=False) for _ in range(2))
        self.up3, self.styled3 = conv(w4, w3, 1, spectral=False), StyledResidual(w3, spectral=False)
        self.up2, self.styled2 = conv(w3, w2, 1, spectral=False), StyledResidual(w2, spectral=False)
        self.up1, self.styled1 = conv(w2, w1, 1, spectral=False), StyledResidual(w1, spectral=False)
        # Nothing else bounds the trunk: without a norm it drifts below 0, where a ReLU stops it from learning.
        self.norm = nn.GroupNorm(_GROUPS, w1)
        self.end = conv(w1, 4 * 4, spectral=False)
        nn.init.zeros_(self.end.weight)

    def forward(
        self, half: torch.Tensor, quarter: torch.Tensor, eighth: torch.Tensor, style: torch.Tensor
    ) -> torch.Tensor:
        x1 = self.body1(self.start(half))  # (B, w, S / 2, S / 2)
        x2 = self.body2(self.down2(F.avg_pool2d(x1, 2)) + self.join2(quarter))  # (B, 2 w, S / 4, S / 4)
        x3 = self.body3(self.down3(F.avg_pool2d(x2, 2)) + self.join3(eighth))  # (B, 4 w, S / 8, S / 8)
        x = self.down4(F.avg_pool2d(x3, 2))  # (B, 6 w, S / 16, S / 16)
        for block in self.bottom:
            x = block(x, style)
        x = self.styled3(x3 + enlarged(self.up3(x), 2), style)
        x = self.styled2(x2 + enlarged(self.up2(x), 2), style)
        x = self.styled1(x1 + enlarged(self.up1(x), 2), style)
        return F.pixel_shuffle(self.end(F.leaky_relu(self.norm(x), _LEAK)).float(), 2)  # (B, 4, S, S)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A perceptual loss whose weights are free: the features are EfficientNet-Lite0's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from portrait_server.networks.efficientnet import EfficientNetLite


class PerceptualLoss(nn.Module):
    """Mean L1 between two pictures' features, those of each level against how large they are; 0 to about 1."""

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetLite()

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Of (B, 3, S, S) pictures, 0 to 1: (B,)."""
        with torch.no_grad():
            wanted = self.network(target)
        made = self.network(image)
        parts = [
            (a - b).abs().mean((1, 2, 3)) / b.abs().mean((1, 2, 3)).clamp_min(1e-6)
            for a, b in zip(made, wanted, strict=True)
        ]
        return torch.stack(parts).mean(0)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedder: who a person is, whatever the pose (Zakharov et al., ICCV 2019, section 3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from portrait_server.networks import landmark_raster
from portrait_server.networks.blocks import ResidualDown, SelfAttention


class Embedder(nn.Module):
    """Six residual blocks without norms, attention after the third, the sum over all places.

    Args:
        side: pixels a side of the pictures it looks at; larger ones are shrunk to that.
        width: channels after the first block; they double to `widest` and stay.
        embedding: numbers that stand for a person; channels after the last block.
    """

    def __init__(self, side: int, width: int, widest: int, embedding: int, *, spectral: bool) -> None:
        super().__init__()
        self.side = side
        widths = [min(width << i, widest) for i in range(5)] + [embedding]
        inward = [3 + landmark_raster.CHANNELS, *widths]
        self.blocks = nn.ModuleList(
            ResidualDown(inward[i], widths[i], spectral=spectral, first=i == 0) for i in range(6)
        )
        self.attention = SelfAttention(widths[2], spectral=spectral)

    def forward(self, images: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """A person from pictures.

        Args:
            images: (B, K, 3, S, S), 0 to 1.
            points: (B, K, 70, 3) pixels of the aligned frame, S a side.

        Returns:
            (B, E), the mean of the K pictures' embeddings.
        """
        batch, count = images.shape[:2]
        pictures, frame = images.flatten(0, 1), images.shape[-1]
        drawn = landmark_raster.rasterize(points.flatten(0, 1), self.side, frame)
        if frame != self.side:
            pictures = F.interpolate(pictures, size=(self.side, self.side), mode="area")
        x = torch.cat([pictures * 2 - 1, drawn * 2 - 1], 1)  # (B K, 6, S, S)
        for number, block in enumerate(self.blocks):
            x = block(x)  # (B K, ., S / 2, S / 2) ... (B K, E, S / 64, S / 64)
            if number == 2:
                x = self.attention(x)  # at S / 8: 32 of 256
        x = F.relu(x).sum((2, 3))  # (B K, E)
        return x.unflatten(0, (batch, count)).mean(1)

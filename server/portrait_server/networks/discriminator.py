# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection discriminator: is this picture real, does it fit the landmarks, is it this person?

After Zakharov et al., ICCV 2019, section 3.2: score = v(image, raster) . (W_i + w0) + b, one column W_i a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from portrait_server.networks import landmark_raster
from portrait_server.networks.blocks import Residual, ResidualDown, SelfAttention


@dataclass(frozen=True)
class Judgement:
    """What the discriminator says: `scores` (B,), higher is more real; `features`, each block's output, to match."""

    scores: torch.Tensor
    features: list[torch.Tensor]


class ProjectionDiscriminator(nn.Module):
    """The embedder's blocks and one residual block more; spectral norm on every convolution.

    Args:
        side: of the aligned frame, pixels.
        width, widest: channels, as in the embedder.
        embedding: as the embedder's: the columns W_i are drawn to embeddings.
        identities: how many people there are in training.
    """

    def __init__(self, side: int, width: int, widest: int, embedding: int, identities: int) -> None:
        super().__init__()
        self.side = side
        widths = [min(width << i, widest) for i in range(5)] + [embedding]
        inward = [3 + landmark_raster.CHANNELS, *widths]
        self.blocks = nn.ModuleList(ResidualDown(inward[i], widths[i], spectral=True, first=i == 0) for i in range(6))
        self.attention = SelfAttention(widths[2], spectral=True)
        self.last = Residual(embedding, spectral=True)
        self.people = nn.Parameter(torch.randn(identities, embedding) * 0.02)
        """W: a row for each person."""
        self.anyone = nn.Parameter(torch.randn(embedding) * 0.02)
        """w0."""
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor, points: torch.Tensor, identities: torch.Tensor) -> Judgement:
        """Judges pictures.

        Args:
            images: (B, 3, S, S), 0 to 1.
            points: (B, 70, 3) pixels of the aligned frame.
            identities: (B,) int64, whose picture each claims to be.
        """
        drawn = landmark_raster.rasterize(points, self.side)
        x = torch.cat([images * 2 - 1, drawn * 2 - 1], 1)  # (B, 6, S, S)
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)  # (B, ., S / 2, S / 2) ... (B, E, S / 64, S / 64)
            if number == 2:
                x = self.attention(x)
            features.append(x)
        x = self.last(x)
        features.append(x)
        seen = F.relu(x).sum((2, 3))  # (B, E)
        person = self.people[identities] + self.anyone
        return Judgement((seen * person).sum(1) + self.bias, features)

    @torch.no_grad()
    def become_personal(self, embedding: torch.Tensor) -> None:
        """Makes the discriminator one for a single new person with an embedding (E,): identity 0 from now on."""
        self.people = nn.Parameter(embedding.detach()[None].clone().to(self.anyone))

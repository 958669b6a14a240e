# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator of Zakharov et al., ICCV 2019, section 3.1: a picture from landmarks and a person's embedding alone."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from portrait_server.networks import landmark_raster
from portrait_server.networks.blocks import (
    AdaIN,
    ResidualDown,
    ResidualUp,
    SelfAttention,
    StyledResidual,
    assign_styles,
    conv,
)
from portrait_server.networks.output import References, TrainingOutput

_BOTTLENECK_BLOCKS = 5


class Generator(nn.Module):
    """Four blocks down, five at the bottom, four up; attention at S / 8 on the way down and at S / 4 on the way up.

    Args:
        side: of the aligned frame, pixels.
        width: channels after the first block; they double down to the bottom.
        embedding: length of a person's embedding.
    """

    def __init__(self, side: int, width: int, embedding: int, *, spectral: bool) -> None:
        super().__init__()
        self.side = side
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.down = nn.ModuleList(
            ResidualDown(inward, outward, spectral=spectral, norm=True, first=inward == landmark_raster.CHANNELS)
            for inward, outward in zip([landmark_raster.CHANNELS, *widths], widths, strict=False)
        )
        self.down_attention = SelfAttention(widths[2], spectral=spectral)
        self.bottom = nn.ModuleList(StyledResidual(widths[3], spectral=spectral) for _ in range(_BOTTLENECK_BLOCKS))
        up = [*reversed(widths), width]
        self.up = nn.ModuleList(ResidualUp(inward, outward, spectral=spectral) for inward, outward in pairwise(up))
        self.up_attention = SelfAttention(up[2], spectral=spectral)
        self.norm = AdaIN(width)
        self.color = conv(width, 3, spectral=spectral)
        self.project = nn.Linear(embedding, assign_styles(self), bias=False)
        """P: a plain matrix from embedding to the scales and shifts of every AdaIN layer."""
        nn.init.normal_(self.project.weight, std=0.02)

    def style(self, embedding: torch.Tensor) -> torch.Tensor:
        """P e: embeddings (B, E) -> styles (B, style length)."""
        return self.project(embedding)

    def forward(self, references: References, target_points: torch.Tensor, style: torch.Tensor) -> TrainingOutput:
        """Pictures of the aligned frame.

        Args:
            references: not looked at; the style alone tells who it is.
            target_points: (B, 70, 3) pixels of the aligned frame.
            style: (B, style length), from `style` or tuned to a person.
        """
        x = landmark_raster.rasterize(target_points, self.side) * 2 - 1  # (B, 3, S, S)
        for number, down in enumerate(self.down):
            x = down(x)  # S / 2, S / 4, S / 8, S / 16: 16 of 256
            if number == 2:
                x = self.down_attention(x)
        for block in self.bottom:
            x = block(x, style)  # (B, 8 w, S / 16, S / 16)
        for number, up in enumerate(self.up):
            x = up(x, style)  # S / 8, S / 4, S / 2, S
            if number == 1:
                x = self.up_attention(x)
        return TrainingOutput(image=torch.sigmoid(self.color(F.relu(self.norm(x, style)))))  # (B, 3, S, S)

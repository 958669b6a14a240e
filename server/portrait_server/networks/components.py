# SPDX-License-Identifier: GPL-3.0-or-later
"""Discriminators that see a mouth or an eye alone: does what opens there look as it does in a photograph?

After the facial component loss of GFPGAN (Wang et al., CVPR 2021); these see the landmarks too, and judge patches, as
PatchGAN does (Isola et al., CVPR 2017). A pixel loss makes of all teeth that may be behind a pair of lips their mean, a
grey; and a discriminator of whole pictures hardly looks at a mouth, at many times the cost.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from portrait_shared.landmarks import GROUPS
from torch import nn

from portrait_server.networks import landmark_raster
from portrait_server.networks.blocks import ResidualDown, conv
from portrait_server.networks.discriminator import Judgement
from portrait_server.networks.flow import pixel_grid, sampled
from portrait_server.networks.regions import EYES, MOUTH

_WIDTH = 24
_MOUTH_SIDE, _EYE_SIDE = 5 / 16, 3 / 16  # of the squares that are seen, in sides of the frame


class PatchDiscriminator(nn.Module):
    """Squares (B, 6, s, s) of picture and raster, −1 to 1, to scores (B, s / 8, s / 8) and each block's features."""

    def __init__(self) -> None:
        super().__init__()
        self.start = conv(4 * (3 + landmark_raster.CHANNELS), _WIDTH, spectral=True)
        self.down1 = ResidualDown(_WIDTH, 2 * _WIDTH, spectral=True)
        self.down2 = ResidualDown(2 * _WIDTH, 4 * _WIDTH, spectral=True)
        self.end = conv(4 * _WIDTH, 1, spectral=True)

    def forward(self, squares: torch.Tensor) -> Judgement:
        features = [self.start(F.pixel_unshuffle(squares, 2))]  # (B, w, s / 2, s / 2)
        for block in (self.down1, self.down2):
            features.append(block(features[-1]))  # (B, 2 w, s / 4, s / 4), (B, 4 w, s / 8, s / 8)
        return Judgement(self.end(F.relu(features[-1]))[:, 0], features)


class ComponentDiscriminators(nn.Module):
    """One for mouths, one for eyes; what both say of a batch of aligned frames."""

    def __init__(self) -> None:
        super().__init__()
        self.mouth, self.eye = PatchDiscriminator(), PatchDiscriminator()

    def forward(self, images: torch.Tensor, points: torch.Tensor, lines: torch.Tensor) -> list[Judgement]:
        """Judges the mouths and the eyes of pictures.

        Args:
            images: (B, 3, S, S), 0 to 1; S a multiple of 64.
            points: (B, 70, 3) pixels of the aligned frame; lines (B, 3, S, S) their raster (`landmark_raster.rasterize`).

        Returns:
            of mouths, (B, 5 S / 128, ...) scores, and of right and left eyes, (2 B, 3 S / 128, ...).
        """
        pictures = torch.cat([images, lines], 1) * 2 - 1
        (mouth,) = (_square(pictures, points, group, _MOUTH_SIDE) for group in MOUTH)
        right, left = (_square(pictures, points, group, _EYE_SIDE) for group in EYES)
        # Left eyes are mirrored, so that they look as right ones do.
        return [self.mouth(mouth), self.eye(torch.cat([right, left.flip(3)]))]


def _square(pictures: torch.Tensor, points: torch.Tensor, group: str, share: float) -> torch.Tensor:
    """The square around a group of landmarks, pixel for pixel: between pixels a picture would be softer."""
    side = round(share * pictures.shape[-1])
    middle = points[:, list(GROUPS[group]), :2].mean(1).round()  # (B, 2)
    return sampled(pictures, middle[:, None, None] + pixel_grid(side, points) - side // 2)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a painter is trained to make small, and the discriminator that sees its crops."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from portrait_server.networks.blocks import conv
from portrait_server.networks.painter import RASTERS, Painting, window
from portrait_server.training import losses
from portrait_server.training.batches import CropBatch
from portrait_server.training.perceptual import PerceptualLoss
from portrait_server.training.precision import autocast

_LEAK = 0.2
_RAMP = 500  # steps over which the discriminator comes to have its say
_LEAST = 0.3  # how much a pixel counts at the window's foot; lips, teeth, lids and irises count most


@dataclass(frozen=True)
class Weights:
    """Of the terms. `pixel` L1, `gradient`, `pyramid` and `texture` as in `training.losses`, `perceptual` of
    EfficientNet-Lite0, `stretch` of the shift, `shift` and `colour` how far is shifted (pixels) and what is added, in the
    mean; `adversarial` hinge, `matching` of the discriminator's features."""

    pixel: float = 5.0
    gradient: float = 2.0
    pyramid: float = 2.0
    texture: float = 5.0
    perceptual: float = 0.3
    stretch: float = 0.2
    shift: float = 0.03
    colour: float = 1.0
    adversarial: float = 0.03
    matching: float = 1.0


@dataclass(frozen=True)
class Judgement:
    """What a discriminator says.

    Attributes:
        scores: (B, S / 8, S / 8), higher is more real.
        features: of each level, to match.
    """

    scores: Tensor
    features: list[Tensor]


class CropDiscriminator(nn.Module):
    """Is a crop real? It sees what shall be there and the person's reference, so it knows how sharp the camera is.

    It judges patches, as PatchGAN does (Isola et al., CVPR 2017).
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (width, 2 * width, 3 * width)
        self.start = conv(4 * 2 * (3 + RASTERS), width, spectral=True)
        self.downs = nn.ModuleList(conv(a, b, spectral=True) for a, b in pairwise(widths))
        for down in self.downs:
            down.stride = (2, 2)
        self.keeps = nn.ModuleList(conv(b, b, spectral=True) for b in widths[1:])
        self.end = conv(widths[-1], 1, spectral=True)

    def forward(self, image: Tensor, batch: CropBatch) -> Judgement:
        """Of pictures (B, 3, S, S), 0 to 1."""
        seen = torch.cat([image, batch.raster, batch.reference, batch.seen], 1) * 2 - 1
        features = [self.start(F.pixel_unshuffle(seen, 2))]
        for down, keep in zip(self.downs, self.keeps, strict=True):
            x = down(F.leaky_relu(features[-1], _LEAK))  # (B, 2 w, S / 4, ·), (B, 3 w, S / 8, ·)
            features.append(x + keep(F.leaky_relu(x, _LEAK)))
        return Judgement(self.end(F.leaky_relu(features[-1], _LEAK))[:, 0], features)


class Objective:
    """The terms of a batch."""

    def __init__(self, weights: Weights, perceptual: PerceptualLoss | None, adversarial_from: int) -> None:
        """Args: perceptual: None for no such term; adversarial_from: the step from which the discriminator has a say."""
        self.weights, self._perceptual = weights, perceptual
        self._from = adversarial_from

    def adversarial(self, step: int) -> float:
        """How much of its say the discriminator has, 0 to 1."""
        return min(max((step - self._from) / _RAMP, 0.0), 1.0)

    def of_painter(
        self, painting: Painting, batch: CropBatch, judge: CropDiscriminator | None, step: int
    ) -> dict[str, Tensor]:
        """The weighted terms; those of the discriminator where it is given."""
        w, side = self.weights, batch.draft.shape[-1]
        image, target = painting.image, batch.target
        here = batch.weight * (_LEAST + batch.raster.amax(1, keepdim=True)) * window(side, image.device).clamp_min(0.1)
        terms = {
            "pixel": w.pixel * losses.pixel(image, target, here),
            "gradient": w.gradient * losses.gradient(image, target, here),
            "pyramid": w.pyramid * losses.pyramid(image, target, here),
            "texture": w.texture * losses.texture(image, target, here),
            "stretch": w.stretch * losses.stretch(painting.shift),
            "shift": w.shift * painting.shift.abs().mean(),
            "colour": w.colour * painting.colour.abs().mean(),
        }
        if self._perceptual is not None:
            counted = batch.weight.mean((1, 2, 3))  # painted eyeballs shall not teach what eyes look like
            terms["perceptual"] = w.perceptual * (counted * self._perceptual(image, target)).mean()
        if judge is not None:
            share = self.adversarial(step)
            with autocast(image.device):
                made, real = judge(image, batch), judge(target, batch)
            terms["adversarial"] = share * w.adversarial * losses.generator_hinge(made.scores.float())
            terms["matching"] = share * w.matching * losses.feature_matching(real.features, made.features)
        return terms

    def of_discriminator(self, image: Tensor, batch: CropBatch, judge: CropDiscriminator) -> Tensor:
        """Its hinge loss."""
        with autocast(image.device):
            real, made = judge(batch.target, batch), judge(image.detach(), batch)
        return losses.discriminator_hinge(real.scores.float(), made.scores.float())

# SPDX-License-Identifier: GPL-3.0-or-later
"""What painters and their discriminator are trained to make small.

Pictures are (B, C, S, S) float32 from 0 to 1; weights (B, 1, S, S) float32; every loss is a scalar. Feature matching is that
of Zakharov et al., ICCV 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss: real scores should pass 1, fake ones should stay below −1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """The generator's loss: its pictures should score high."""
    return -fake.mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean L1 between the discriminator's features of the real and of the made picture, mean of its layers."""
    return torch.stack([F.l1_loss(f, r.detach()) for r, f in zip(real, fake, strict=True)]).mean()


def pixel(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute difference."""
    return weighted_mean((image - target).abs().mean(1, keepdim=True), weight)


def gradient(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute difference of the pictures' finite differences, across plus down."""
    difference = image - target
    across = (difference[..., :, 1:] - difference[..., :, :-1]).abs().mean(1, keepdim=True)
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean(1, keepdim=True)
    return weighted_mean(across, weight[..., :, 1:]) + weighted_mean(down, weight[..., 1:, :])


def pyramid(image: Tensor, target: Tensor, weight: Tensor, levels: int = 4) -> Tensor:
    """Mean weighted L1 over the bands of a Laplacian pyramid, its smallest Gaussian level among them.

    Every band counts the same, so that fine texture, which has little contrast, is worth as much as shading.
    """
    band, terms = image - target, []  # the pyramid is linear: the bands of a difference are the bands' differences
    for _ in range(levels):
        smaller = _halve(band)
        larger = F.interpolate(smaller, size=band.shape[-2:], mode="bilinear", align_corners=False)
        terms.append(weighted_mean((band - larger).abs().mean(1, keepdim=True), weight))
        band, weight = smaller, F.avg_pool2d(weight, 2)
    terms.append(weighted_mean(band.abs().mean(1, keepdim=True), weight))
    return torch.stack(terms).mean()


def texture(image: Tensor, target: Tensor, weight: Tensor, size: int = 8) -> Tensor:
    """Weighted mean absolute difference of how rough the pictures are, place by place: of means over squares of `size`
    pixels of their finite differences' sizes.

    Where hairs, pores and teeth lie can't be told exactly, and an L1 loss blurs what it can't tell. How rough skin or a
    row of teeth is can be told.
    """
    made, real = (F.avg_pool2d(_roughness(picture), size, size // 2) for picture in (image, target))
    return weighted_mean((made - real).abs(), F.avg_pool2d(weight[..., :-1, :-1], size, size // 2))


def _roughness(image: Tensor) -> Tensor:
    across = (image[..., :-1, 1:] - image[..., :-1, :-1]).abs()
    down = (image[..., 1:, :-1] - image[..., :-1, :-1]).abs()
    return (across + down).mean(1, keepdim=True)


def stretch(shift: Tensor, most: float = 0.25) -> Tensor:
    """Mean of what a draft's shift changes by from a pixel to the next beyond `most` pixels.

    A shift that falls by 1 from a pixel to the next shows one place of the draft again and again; one that falls faster
    folds it. What has an edge has it in the draft already, so the shift needs none of its own.

    Args:
        shift: (B, 2, S, S) pixels.
    """
    across = (shift[..., 1:] - shift[..., :-1]).abs()
    down = (shift[..., 1:, :] - shift[..., :-1, :]).abs()
    return F.relu(across - most).mean() + F.relu(down - most).mean()


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Σ w·v / Σ w, and 0 where no pixel has any weight."""
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)


def _halve(image: Tensor) -> Tensor:
    """Half the size after a 4-tap binomial blur, whose taps lie evenly about each pair of pixels."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device=image.device, dtype=image.dtype) / 8
    channels = image.shape[1]
    kernel = (taps[:, None] * taps[None]).expand(channels, 1, 4, 4)
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=channels)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the generator and the discriminator are trained to make small.

Images are (B, C, S, S) float32 from 0 to 1; weights and masks (B, 1, S, S) float32; every loss is a
scalar. The adversarial losses, feature matching and the embedding match are those of Zakharov et al.,
ICCV 2019; the others stand in for the perceptual ones where nobody has VGG weights (`perceptual`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from portrait_server.networks.flow import pixel_grid, sampled
from portrait_server.networks.regions import EYES, MOUTH, around

_SURE = 0.999  # a bilinear sample of 1 where known and 0 elsewhere: all four neighbours are known


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss: real scores should pass 1, fake ones should stay below −1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """The generator's loss: its pictures should score high."""
    return -fake.mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean L1 between the discriminator's features of the real and of the made picture, mean of its layers."""
    return torch.stack([F.l1_loss(f, r.detach()) for r, f in zip(real, fake, strict=True)]).mean()


def embedding_match(columns: Tensor, embeddings: Tensor) -> Tensor:
    """Mean |Wᵢ − ê| over the embedding's channels: (B, N) and (B, N). Wᵢ belongs to the discriminator and stays."""
    return F.l1_loss(embeddings, columns.detach())


def pixel(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute difference."""
    return weighted_mean((image - target).abs().mean(1, keepdim=True), weight)


def paint(painted: Tensor, points: Tensor) -> Tensor:
    """Mean absolute paint away from eyes and mouth, where a reference shows its own colours.

    A picture's L1 loss alone would paint everywhere the average of what unknown lights do to faces. With this term a
    shade is only painted where most faces have it.

    Args:
        points: (B, 70, 2 or 3) pixels.
    """
    openings = around(points, (*EYES, *MOUTH), painted.shape[-1]).clamp_max(1)
    return weighted_mean(painted.abs().mean(1, keepdim=True), 1 - openings)


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


def matte(made: Tensor, exact: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute difference of alpha; `weight` is 0 for samples that have no matte."""
    return weighted_mean((made - exact).abs(), weight)


def flow(made: Tensor, exact: Tensor) -> Tensor:
    """Mean |Δx| + |Δy| where the exact flow is known, as a fraction of the side.

    Args:
        made: (B, S, S, 2) positions in the reference, pixels.
        exact: the same; NaN where nothing is known.
    """
    known = torch.isfinite(exact).all(-1, keepdim=True)
    off = (made - torch.where(known, exact, made)).abs().sum(-1, keepdim=True)
    return weighted_mean(off, known.float()) / made.shape[1]


def draft_flow(made: Tensor, origin: Tensor, exact: Tensor, visible: Tensor) -> Tensor:
    """As `flow`, for a reference that has moved already: what is looked up in the draft should be what is looked for.

    Args:
        made: (B, S, S, 2) positions in the draft, pixels.
        origin: (B, S, S, 2) what each pixel of the draft shows: positions in the reference, NaN where unknown.
        exact: (B, S, S, 2) positions in the reference that the target shows, NaN where unknown.
        visible: (B, 1, S, S), 1 where the reference shows what the target shows, and a draft carries it along.
    """
    known = torch.isfinite(origin).all(-1, keepdim=True)
    planes = torch.cat([torch.where(known, origin, 0.0), known.float()], -1).permute(0, 3, 1, 2)
    shown = sampled(planes, made).permute(0, 2, 3, 1)
    sure = (shown[..., 2:].detach() > _SURE) & torch.isfinite(exact).all(-1, keepdim=True)
    off = (shown[..., :2] - torch.where(sure, exact, 0.0)).abs().sum(-1, keepdim=True)
    weight = sure.float() * visible.permute(0, 2, 3, 1)
    return weighted_mean(torch.where(sure, off, 0.0), weight) / made.shape[1]


def unseen_flow(made: Tensor, unseen: Tensor) -> Tensor:
    """Mean |Δx| + |Δy| by which a draft is moved where nothing can be found for it, as a fraction of the side.

    What comes into view as a head turns is in no reference. Without this loss networks would stretch the skin beside it
    over it.

    Args:
        made: (B, S, S, 2) positions in the draft, pixels.
        unseen: (B, 1, S, S), 1 where the reference is known not to show what the target shows.
    """
    off = _shift(made).abs().sum(-1, keepdim=True)
    return weighted_mean(off, unseen.permute(0, 2, 3, 1)) / made.shape[1]


def stretch(made: Tensor, most: float = 0.25) -> Tensor:
    """Mean of what a draft's shift changes by from a pixel to the next beyond `most` pixels.

    A shift that falls by 1 from a pixel to the next shows one place of the draft again and again; one that falls faster
    folds it. What has an edge has it in the draft already, so the shift needs none of its own.

    Args:
        made: (B, S, S, 2) positions in the draft, pixels.
    """
    shift = _shift(made)
    across = (shift[:, :, 1:] - shift[:, :, :-1]).abs()
    down = (shift[:, 1:] - shift[:, :-1]).abs()
    return F.relu(across - most).mean() + F.relu(down - most).mean()


def pixel_positions(shift: Tensor) -> Tensor:
    """Where pixels are looked up (B, S, S, 2) for a shift (B, 2, S, S), pixels."""
    return pixel_grid(shift.shape[-1], shift) + shift.permute(0, 2, 3, 1)


def visibility(made: Tensor, exact: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross-entropy of the logits that the reference shows a pixel, and whether it does (0 or 1)."""
    return weighted_mean(F.binary_cross_entropy_with_logits(made, exact, reduction="none"), weight)


def region_weights(points: Tensor, side: int, mouth: float, eyes: float) -> Tensor:
    """1 everywhere, rising to 1 + `mouth` and 1 + `eyes` at the middle of the mouth and of each eye.

    Args:
        points: (B, 70, 2 or 3) pixels of a square frame of `side` pixels.

    Returns:
        (B, 1, side, side); a region falls to 1/e of its extra weight at the ellipse around its landmarks.
    """
    return 1 + mouth * around(points, MOUTH, side) + eyes * around(points, EYES, side)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Σ w·v / Σ w, and 0 where no pixel has any weight."""
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)


def _shift(made: Tensor) -> Tensor:
    return made - pixel_grid(made.shape[1], made)


def _halve(image: Tensor) -> Tensor:
    """Half the size after a 4-tap binomial blur, whose taps lie evenly about each pair of pixels."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device=image.device, dtype=image.dtype) / 8
    channels = image.shape[1]
    kernel = (taps[:, None] * taps[None]).expand(channels, 1, 4, 4)
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=channels)

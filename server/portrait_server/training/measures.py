# SPDX-License-Identifier: GPL-3.0-or-later
"""What a painter does to people it never saw, beside the draft it was given: columns, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from portrait_server.corpora.crops import CropPairs
from portrait_server.geometry.crops import Crop
from portrait_server.networks.painter import Painter
from portrait_server.training.batches import CropBatch, plain
from portrait_server.training.perceptual import PerceptualLoss

COLUMNS: Final = ("middle", "opening", "rim", "perceptual", "sharp", "opening_sharp")
"""Mean absolute error in the crop's middle, in the mouth's or lids' opening, and outside of the middle; the perceptual
loss; and the gradients' sum against the target's, in the middle and in the opening: 1 is as sharp."""

ERRORS: Final = COLUMNS[:4]
_SHARP: Final = 0.25  # how much sharpness counts in a score
_MIDDLE: Final = 0.6  # of the side
_BATCH: Final = 20


@torch.inference_mode()
def measure(painter: Painter, crop: Crop, pairs: CropPairs, perceptual: PerceptualLoss) -> dict[str, dict[str, float]]:
    """Columns of ``draft`` and ``painter``, means over the pairs; and under ``worse`` the share of pairs, of each column
    that is an error, in which the painter's is larger than the draft's by more than a hundredth of it."""
    rows: dict[str, list[np.ndarray]] = {"draft": [], "painter": []}
    for first in range(0, len(pairs), _BATCH):
        batch = plain(crop, pairs, range(first, min(first + _BATCH, len(pairs)))).to(_device(painter))
        for name, image in (("draft", batch.draft), ("painter", painted(painter, batch))):
            rows[name].append(_columns(image, batch, crop, perceptual))
    draft, made = (np.concatenate(rows[name]) for name in ("draft", "painter"))
    worse = (made[:, :4] > 1.01 * draft[:, :4]).mean(0)
    return {
        "draft": _named(np.nanmean(draft, 0)), "painter": _named(np.nanmean(made, 0)), "worse": _named(worse),
    }  # fmt: skip


def painted(painter: Painter, batch: CropBatch) -> Tensor:
    """Pictures (B, 3, S, S), 0 to 1."""
    style = painter.styled(batch.references, batch.rasters)
    return painter(batch.draft, batch.raster, batch.reference, batch.seen, style).image.clamp(0, 1)


def sheet(painter: Painter, crop: Crop, corpora: Sequence[CropPairs], each: int) -> np.ndarray:
    """(H, W, 3) uint8: of each corpus some people, spread over it: reference, draft, painter, target beside each other."""
    strips = []
    with torch.inference_mode():
        for pairs in corpora:
            batch = plain(crop, pairs, np.linspace(0, len(pairs) - 1, each).round().astype(int).tolist())
            batch = batch.to(_device(painter))
            shown = torch.stack([batch.reference, batch.draft, painted(painter, batch), batch.target], 1)
            strips.append((255 * shown).round().byte().permute(0, 1, 3, 4, 2).cpu().numpy())  # (n, 4, S, S, 3)
    blocks = np.concatenate(strips)
    tiles = [np.hstack(list(block)) for block in blocks]
    tiles = [cv2.copyMakeBorder(tile, 2, 2, 2, 6, cv2.BORDER_CONSTANT) for tile in tiles]
    across = max(1, round(1600 / tiles[0].shape[1]))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    return np.vstack([np.hstack(tiles[i : i + across]) for i in range(0, len(tiles), across)])


def score(figures: dict[str, dict[str, float]]) -> float:
    """One number of what `measure` tells, less is better, the draft's is 1 where it is as sharp as the target: the mean of
    the errors against the draft's, and how far the middle is from being as sharp as the target."""
    draft, made = figures["draft"], figures["painter"]
    errors = [made[column] / draft[column] for column in ERRORS]
    return float(np.mean(errors)) + _SHARP * abs(1 - made["sharp"])


def _device(painter: Painter) -> torch.device:
    return painter.end.weight.device


def _named(values: np.ndarray) -> dict[str, float]:
    return {name: round(float(value), 5) for name, value in zip(COLUMNS, values, strict=False)}


def _columns(image: Tensor, batch: CropBatch, crop: Crop, perceptual: PerceptualLoss) -> np.ndarray:
    """(B, 6)."""
    side, around = crop.side, round(crop.side * (1 - _MIDDLE) / 2)
    inside = torch.zeros(1, 1, side, side, device=image.device)
    inside[..., around : side - around, around : side - around] = 1
    # Of the mouth what lies between the lips, of an eye between the lids; and a little around.
    opening = batch.raster[:, 1:2] if crop.pupil is None else batch.raster[:, :1]
    opening = F.max_pool2d(opening, 7, 1, 3)
    error = (image - batch.target).abs().mean(1, keepdim=True)
    means = [_mean(error, w * batch.weight) for w in (inside, opening, 1 - inside)]
    sharp = [_mean(_gradient(image), w) / _mean(_gradient(batch.target), w) for w in (inside, opening)]
    return torch.stack([*means[:3], perceptual(image, batch.target), *sharp], 1).cpu().numpy()


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    weight = weight.expand_as(values)
    return (values * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def _gradient(image: Tensor) -> Tensor:
    across = F.pad((image[..., :, 1:] - image[..., :, :-1]).abs(), (0, 1, 0, 0))
    down = F.pad((image[..., 1:, :] - image[..., :-1, :]).abs(), (0, 0, 0, 1))
    return (across + down).mean(1, keepdim=True)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a tuned painter paints a person surely better than before: paired crops, two kinds, no column worse."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from portrait_server.corpora.crops import CropPairs
from portrait_server.evaluation.metrics import ssim
from portrait_server.geometry.crops import Crop
from portrait_server.networks.painter import window
from portrait_server.training.batches import CropBatch, plain

_ROUNDING = 1e-6  # errors from 0 to 1: what another order of summing may change
_UNSEEN_SOFTNESS = 0.02  # of the gradients: what nobody could tell apart
NO_WORSE: Final = {"crop": _ROUNDING, "opening": _ROUNDING, "structure": _ROUNDING, "softness": _UNSEEN_SOFTNESS}
"""The columns of which none may rise, and by how much one does without having risen."""
_SURE: Final = 2.0  # standard errors that the score must gain
_LEAST_GAIN: Final = 0.01  # of the score: less does not outweigh harm that held-out samples cannot show
_ROWS: Final = 8
_NEAR: Final = 7  # pixels of a crop: lips and lids count with the opening between them


@dataclass(frozen=True)
class Measured:
    """Columns of a held-out set, all the better the lower.

    Attributes:
        columns: by kind (`Person.held`), by name (`NO_WORSE`): (N,), one a crop. Mean absolute errors of the `crop` and of
            the `opening` between lips or lids; `structure`, 1 − SSIM; `softness`, the share of the target's gradients that
            is missing.
    """

    columns: Mapping[str, Mapping[str, Tensor]]

    def pooled(self, name: str) -> Tensor:
        """One column of all kinds."""
        return torch.cat([columns[name] for columns in self.columns.values()])

    def score(self) -> Tensor:
        """The mean of a crop's error and of its opening's."""
        return (self.pooled("crop") + self.pooled("opening")) / 2

    def figures(self) -> dict[str, float]:
        """The mean of every column, and of the score."""
        return {name: float(self.pooled(name).mean()) for name in NO_WORSE} | {"score": float(self.score().mean())}

    def is_finite(self) -> bool:
        """Whether there is a figure for everything."""
        return all(math.isfinite(figure) for figure in self.figures().values())


class HeldOut:
    """Crops of a person that nothing is learnt from: the same at every measurement."""

    def __init__(self, crop: Crop, kinds: Mapping[str, CropPairs], device: torch.device) -> None:
        """Args: kinds: as of `Person.held`, of one painter."""
        self._crop = crop
        self._batches = {
            kind: [
                plain(crop, pairs, range(first, min(first + _ROWS, len(pairs)))).to(device)
                for first in range(0, len(pairs), _ROWS)
            ]
            for kind, pairs in kinds.items()
        }

    def measure(self, draw: Callable[[CropBatch], Tensor]) -> Measured:
        """Draws and measures all crops."""
        found = {
            kind: [self._columns(draw(batch), batch) for batch in batches] for kind, batches in self._batches.items()
        }
        return Measured(
            {
                kind: {name: torch.cat([part[name] for part in parts]) for name in NO_WORSE}
                for kind, parts in found.items()
            }
        )

    def _columns(self, image: Tensor, batch: CropBatch) -> dict[str, Tensor]:
        # Of the mouth what lies between the lips, of an eye between the lids.
        opening = batch.raster[:, 1:2] if self._crop.pupil is None else batch.raster[:, :1]
        opening = F.max_pool2d(opening, _NEAR, 1, _NEAR // 2) * batch.weight
        inside = window(self._crop.side, image.device) * batch.weight
        error = (image - batch.target).abs().mean(1, keepdim=True)
        gradients = [_mean(_gradient(picture), inside) for picture in (image, batch.target)]
        columns = {
            "crop": _mean(error, inside),
            "opening": _mean(error, opening),
            "structure": _structure(image, batch),
            "softness": (1 - gradients[0] / gradients[1].clamp_min(1e-6)).clamp_min(0),
        }
        return {name: values.cpu() for name, values in columns.items()}


def surely_better(before: Measured, after: Measured) -> bool:
    """Whether nothing has become worse, and the score has improved by more than chance may have done.

    Compared is crop by crop. In neither kind the mean of a column may rise; over both, none may reach its old value
    within one standard error; the score must gain two of them, and 1 %.
    """
    for kind, columns in before.columns.items():
        for name, noise in NO_WORSE.items():
            if float((after.columns[kind][name] - columns[name]).mean()) > noise:
                return False
    for name, noise in NO_WORSE.items():
        rise = after.pooled(name) - before.pooled(name)
        if name != "softness" and float(rise.mean()) + _standard_error(rise) > noise:
            return False
    gain = before.score() - after.score()
    least = max(_SURE * _standard_error(gain), _LEAST_GAIN * float(before.score().mean()))
    return float(gain.mean()) > least


def _standard_error(values: Tensor) -> float:
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """(B,) weighted means of (B, 1, S, S); nought where nothing counts, as in a copy whose mouth was opened."""
    return (values * weight).sum((1, 2, 3)) / weight.expand_as(values).sum((1, 2, 3)).clamp_min(1e-6)


def _gradient(image: Tensor) -> Tensor:
    across = F.pad((image[..., :, 1:] - image[..., :, :-1]).abs(), (0, 1, 0, 0))
    down = F.pad((image[..., 1:, :] - image[..., :-1, :]).abs(), (0, 0, 0, 1))
    return (across + down).mean(1, keepdim=True)


def _structure(image: Tensor, batch: CropBatch) -> Tensor:
    """1 − SSIM of each crop where it counts, (B,): what is blurred has a lower error, but less structure."""
    whole = (slice(0, image.shape[-2]), slice(0, image.shape[-1]))
    shown = torch.where(batch.weight > 0, image, batch.target)
    made, real = (_eight_bit(pictures) for pictures in (shown, batch.target))
    return torch.tensor([1 - ssim(*pair, whole) for pair in zip(made, real, strict=True)])


def _eight_bit(pictures: Tensor) -> np.ndarray:
    return (pictures.nan_to_num().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()

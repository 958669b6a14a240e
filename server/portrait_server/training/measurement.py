# SPDX-License-Identifier: GPL-3.0-or-later
"""How well people are drawn who were never trained on: the same samples at every measurement."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from portrait_shared.landmarks import GROUPS, LANDMARK_COUNT
from torch import Tensor

from portrait_server.corpora.loader import make_batch
from portrait_server.corpora.sample import Corpus
from portrait_server.training.batch import Batch

_SEED: Final = 20190520  # of every held-out set there is: figures of different runs can be compared
_ROWS: Final = 8

Drawing = Callable[[Batch], Tensor]
"""Draws a batch's targets: (B, 3, S, S) float32, 0 to 1."""

_REGIONS: Final[dict[str, tuple[tuple[int, ...], ...]]] = {
    "face": (tuple(range(LANDMARK_COUNT)),),
    "mouth": (GROUPS["outer_lip"],),
    "eyes": (GROUPS["right_eye"], GROUPS["left_eye"]),
}
_MARGIN: Final = {"face": 1.0, "mouth": 1.3, "eyes": 1.5}


class HeldOut:
    """Samples of one reference that nothing is learnt from: the same at every measurement."""

    def __init__(
        self, corpus: Corpus, samples: int, side: int, device: torch.device, *, seed: int = _SEED, rows: int = _ROWS
    ) -> None:
        """Args: samples: how many, rounded up to whole batches of `rows`; seed: which ones."""
        rows = min(rows, samples)
        self._batches = [make_batch(corpus, seed, index, rows, 1, side) for index in range(math.ceil(samples / rows))]
        self._device = device

    def first(self) -> Batch:
        """The first batch, for sample sheets."""
        return Batch.of(self._batches[0], self._device)

    @torch.no_grad()
    def columns(self, measured: Callable[[Batch], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What is `measured` of the samples of each batch, (B,) by name, for all samples: (N,) by name."""
        rows: dict[str, list[Tensor]] = {}
        for loaded in self._batches:
            for name, values in measured(Batch.of(loaded, self._device)).items():
                rows.setdefault(name, []).append(values)
        return {name: torch.cat(values) for name, values in rows.items()}

    def measure(self, draw: Drawing) -> dict[str, float]:
        """Mean absolute errors, 0 to 1, of the whole picture, the face, the mouth and the eyes; PSNR in decibels.

        `score` is the mean of the four errors: what "best" means.
        """
        columns = self.columns(lambda batch: errors(draw(batch).float(), batch))
        figures = {name: float(values.mean()) for name, values in columns.items()}
        figures["score"] = sum(figures[name] for name in ("picture", *_REGIONS)) / (1 + len(_REGIONS))
        return figures


def errors(image: Tensor, batch: Batch) -> dict[str, Tensor]:
    """The figures of each sample: (B,) tensors named `picture`, `face`, `mouth`, `eyes` and `psnr`."""
    image = image.clamp(0, 1)
    off, squared = (image - batch.target).abs(), (image - batch.target) ** 2
    figures = {"picture": _mean(off, batch.color_weight)}
    for name, groups in _REGIONS.items():
        inside = torch.zeros_like(batch.color_weight)
        for group in groups:
            inside = torch.maximum(inside, _box(batch.target_points[:, list(group), :2], batch.side, _MARGIN[name]))
        figures[name] = _mean(off, inside * batch.color_weight)
    figures["psnr"] = -10 * torch.log10(_mean(squared, batch.color_weight).clamp_min(1e-10))
    return figures


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum((1, 2, 3)) / (values.shape[1] * weight.sum((1, 2, 3))).clamp_min(1e-6)


def _box(points: Tensor, side: int, margin: float) -> Tensor:
    """(B, 1, side, side): 1 inside the points' bounding box, enlarged about its middle."""
    low, high = points.amin(1), points.amax(1)
    middle, half = (low + high) / 2, ((high - low) / 2 * margin).clamp_min(1)
    at = torch.arange(side, device=points.device)
    x = (at[None] - middle[:, :1]).abs() <= half[:, :1]
    y = (at[None] - middle[:, 1:]).abs() <= half[:, 1:]
    return (y[:, :, None] & x[:, None, :])[:, None].float()

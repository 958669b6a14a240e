# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a tuned state draws a person surely better than before: paired samples, both directions, no column worse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from portrait_server.corpora.sample import Corpus
from portrait_server.detectors.base import Detector
from portrait_server.evaluation.metrics import ssim
from portrait_server.training.batch import Batch
from portrait_server.training.measurement import Drawing, HeldOut, errors
from portrait_server.tuning.landmark_check import landmark_errors

_ROUNDING = 1e-6  # errors from 0 to 1: what another order of summing may change
_DETECTOR_NOISE = 1e-4  # sides of the frame: how far the error of 16 pictures moves that nobody could tell apart
NO_WORSE: Final = {
    "picture": _ROUNDING, "face": _ROUNDING, "mouth": _ROUNDING, "eyes": _ROUNDING, "structure": _ROUNDING,
    "landmarks": _DETECTOR_NOISE,
}  # fmt: skip
"""The columns of which none may rise, and by how much one does without having risen."""
_SCORED: Final = ("picture", "face", "mouth", "eyes")
_SURE: Final = 2.0  # standard errors that the score must gain
_LEAST_GAIN: Final = 0.01  # of the score: less does not outweigh harm that held-out samples cannot show
_ROWS: Final = 4


@dataclass(frozen=True)
class Measured:
    """Columns of a held-out set.

    Attributes:
        columns: by direction (`PersonCorpora.held`), by name: (N,), one a sample. Those named in `NO_WORSE` are the
            better the lower; `psnr` is there to be read.
    """

    columns: Mapping[str, Mapping[str, Tensor]]

    def pooled(self, name: str) -> Tensor:
        """One column of all directions."""
        return torch.cat([columns[name] for columns in self.columns.values()])

    def score(self) -> Tensor:
        """The mean of a sample's errors of the picture, the face, the mouth and the eyes."""
        return torch.stack([self.pooled(name) for name in _SCORED]).mean(0)

    def figures(self) -> dict[str, float]:
        """The mean of every column, and of the score."""
        names = next(iter(self.columns.values()))
        return {name: float(self.pooled(name).mean()) for name in names} | {"score": float(self.score().mean())}

    def is_finite(self) -> bool:
        """Whether there is a figure for everything."""
        return all(math.isfinite(figure) for figure in self.figures().values())


class HeldOutPerson:
    """Samples of a person that nothing is learnt from: the same at every measurement."""

    def __init__(
        self,
        corpora: Mapping[str, Corpus],
        samples: int,
        side: int,
        device: torch.device,
        detector: Detector,
        seed: int,
    ) -> None:
        """Args: samples: of each direction, rounded up to whole batches of 4; seed: which ones."""
        self._held_out = {
            direction: HeldOut(corpus, samples, side, device, seed=seed, rows=_ROWS)
            for direction, corpus in corpora.items()
        }
        self._detector = detector

    def measure(self, draw: Drawing) -> Measured:
        """Draws and measures all samples."""
        return Measured(
            {
                direction: held_out.columns(lambda batch: self._columns(draw(batch).float(), batch))
                for direction, held_out in self._held_out.items()
            }
        )

    def _columns(self, image: Tensor, batch: Batch) -> dict[str, Tensor]:
        marks = landmark_errors(self._detector, image.nan_to_num(), batch.target_points)
        columns = errors(image, batch) | {"structure": _structure(image, batch), "landmarks": marks}
        return {name: values.cpu() for name, values in columns.items()}


def surely_better(before: Measured, after: Measured) -> bool:
    """Whether nothing has become worse, and the score has improved by more than chance may have done.

    Compared is sample by sample. In neither direction the mean of a column may rise; over both, none may reach
    its old value within one standard error; the score must gain two of them, and 1 %.
    """
    for direction, columns in before.columns.items():
        for name, noise in NO_WORSE.items():
            if float((after.columns[direction][name] - columns[name]).mean()) > noise:
                return False
    for name, noise in NO_WORSE.items():
        rise = after.pooled(name) - before.pooled(name)
        if name != "landmarks" and float(rise.mean()) + _standard_error(rise) > noise:
            return False
    gain = before.score() - after.score()
    least = max(_SURE * _standard_error(gain), _LEAST_GAIN * float(before.score().mean()))
    return float(gain.mean()) > least


def _standard_error(values: Tensor) -> float:
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def _structure(image: Tensor, batch: Batch) -> Tensor:
    """1 − SSIM of each picture where it counts, (B,): what is blurred has a lower error, but less structure."""
    whole = (slice(0, batch.side), slice(0, batch.side))
    shown = torch.where(batch.color_weight > 0, image.nan_to_num(), batch.target)
    made, real = (_eight_bit(pictures) for pictures in (shown, batch.target))
    return torch.tensor([1 - ssim(*pair, whole) for pair in zip(made, real, strict=True)])


def _eight_bit(pictures: Tensor) -> np.ndarray:
    return (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()

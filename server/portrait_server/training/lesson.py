# SPDX-License-Identifier: GPL-3.0-or-later
"""One painter that learns: its crops, its discriminator, a step, and what going on with it needs."""

from __future__ import annotations

import copy
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import torch
from portrait_shared.errors import ErrorCode, PortraitError
from torch import Tensor, nn

from portrait_server.corpora.crops import CropPairs, read_crops
from portrait_server.geometry.crops import LEFT_EYE, MOUTH, RIGHT_EYE
from portrait_server.networks.painter import Painter
from portrait_server.training import checkpoints
from portrait_server.training.batches import CropBatch, Pairs
from portrait_server.training.configuration import PainterTraining
from portrait_server.training.measures import measure, sheet
from portrait_server.training.objective import CropDiscriminator, Objective
from portrait_server.training.perceptual import PerceptualLoss
from portrait_server.training.precision import autocast

_AHEAD: Final = 3  # batches that are made while the network learns
_WARM_UP: Final = 100
_BEFORE: Final = 300  # steps that the discriminator learns before it has a say
_BETAS, _CLIP = (0.5, 0.99), 1.0
_MOST_BAD: Final = 20  # steps in a row that were not finite: after more the run gives up


class Lesson:
    """See the module.

    Attributes:
        step: how many have been learnt.
        mean: the running mean of the painter's weights: what is measured and kept.
    """

    def __init__(
        self, part: str, told: PainterTraining, crops: Path, perceptual: PerceptualLoss, seed: int, device: torch.device
    ) -> None:
        """Args: part: `mouth` or `eye`; crops: where the folders are that `told.shares` names.

        Raises:
            PortraitError: FILE_MISSING where a corpus is missing, BAD_IMAGE where it is damaged.
        """
        torch.manual_seed(seed)
        self._told, self._seed, self._device, self._perceptual = told, seed, device, perceptual
        self.crop = {"mouth": MOUTH, "eye": RIGHT_EYE}[part]
        taught = [_read(part, crops / f"{name}-train") for name in told.shares]
        self._pairs = Pairs(self.crop, taught, list(told.shares.values()))
        self.held = {name: _read(part, crops / f"{name}-held") for name in told.shares}
        self._painter, self._judge = Painter(told.width).to(device), CropDiscriminator().to(device)
        for network in (self._painter, self._judge):
            network.to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self._painter).requires_grad_(False).eval()
        self._objective = Objective(told.weights, perceptual, told.discriminator_from)
        self._optimisers = {
            "painter": torch.optim.Adam(self._painter.parameters(), told.rate, _BETAS),
            "judge": torch.optim.Adam(self._judge.parameters(), told.discriminator_rate, _BETAS),
        }
        self.step, self._bad = 0, 0

    def batches(self) -> Generator[CropBatch, None, None]:
        """From the present step to the last one; each depends on the seed and the step alone."""

        def made(step: int) -> CropBatch:
            return self._pairs.batch(self._told.batch, np.random.default_rng((self._seed, step)))

        with ThreadPoolExecutor(1) as pool:
            coming = [pool.submit(made, self.step + ahead) for ahead in range(_AHEAD)]
            try:
                for step in range(self.step, self._told.steps):
                    coming.append(pool.submit(made, step + _AHEAD))
                    yield coming.pop(0).result().to(self._device)
            finally:
                for future in coming:
                    future.cancel()

    def learn(self, batch: CropBatch) -> dict[str, float]:
        """One step; the weighted terms of its loss, and the discriminator's loss as `judge`.

        Raises:
            PortraitError: INTERNAL where step after step is not finite.
        """
        figures: dict[str, float] = {}
        for group in self._optimisers["painter"].param_groups:
            group["lr"] = self._rate()
        with autocast(self._device):
            style = self._painter.styled(batch.references, batch.rasters)
            painting = self._painter(batch.draft, batch.raster, batch.reference, batch.seen, style)
        if self.step + _BEFORE >= self._told.discriminator_from:
            loss = self._objective.of_discriminator(painting.image, batch, self._judge)
            figures["judge"] = self._stepped("judge", self._judge, loss)
        self._judge.requires_grad_(False)
        judge = self._judge if self._objective.adversarial(self.step) > 0 else None
        terms = self._objective.of_painter(painting, batch, judge, self.step)
        figures |= {name: float(term.detach()) for name, term in terms.items()}
        figures["loss"] = self._stepped("painter", self._painter, torch.stack(list(terms.values())).sum())
        self._judge.requires_grad_(True)
        keep = min(self._told.average, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for slow, fast in zip(self.mean.parameters(), self._painter.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        self.step += 1
        return figures

    def measure(self) -> dict[str, dict[str, dict[str, float]]]:
        """Of each held-out corpus what `measures.measure` tells."""
        return {name: measure(self.mean, self.crop, pairs, self._perceptual) for name, pairs in self.held.items()}

    def sheet(self, each: int) -> np.ndarray:
        """(H, W, 3) uint8: `each` of every held-out corpus."""
        return sheet(self.mean, self.crop, list(self.held.values()), each)

    def tensors(self) -> dict[str, Tensor]:
        """What going on needs."""
        held = {f"{name}/{key}": t for name, net in self._networks().items() for key, t in net.state_dict().items()}
        for name, optimiser in self._optimisers.items():
            held |= {f"{name}-adam/{key}": t for key, t in checkpoints.optimiser_tensors(optimiser).items()}
        return held

    def load(self, tensors: dict[str, Tensor], step: int) -> None:
        """Goes on from what `tensors` gave at a step. Raises: RuntimeError, ValueError where it is of other networks."""
        for name, network in self._networks().items():
            network.load_state_dict(below(f"{name}/", tensors))
        for name, optimiser in self._optimisers.items():
            checkpoints.load_optimiser(optimiser, below(f"{name}-adam/", tensors))
        self.step = step

    def _networks(self) -> dict[str, nn.Module]:
        return {"painter": self._painter, "mean": self.mean, "judge": self._judge}

    def _rate(self) -> float:
        told, left = self._told, self._told.steps - self.step
        return told.rate * min(1.0, (self.step + 1) / _WARM_UP, left / max(told.cool_down, 1))

    def _stepped(self, name: str, network: nn.Module, loss: Tensor) -> float:
        optimiser = self._optimisers[name]
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        good = bool(torch.isfinite(norm) and torch.isfinite(loss))
        self._bad = 0 if good else self._bad + 1
        if self._bad > _MOST_BAD:
            raise PortraitError(
                ErrorCode.INTERNAL, f"Training fails again and again at step {self.step}: the {name}'s loss is not finite.",
                "Lower the rates, or delete the newest checkpoints and go on from an earlier one.",
            )  # fmt: skip
        if good:
            optimiser.step()
        return float(loss.detach())


def _read(part: str, folder: Path) -> CropPairs:
    if part == "mouth":
        return read_crops(folder, MOUTH)
    return CropPairs.joined([read_crops(folder, RIGHT_EYE), read_crops(folder, LEFT_EYE).as_right_eyes()])


def below(start: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin so, without that."""
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}

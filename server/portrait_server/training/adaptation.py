# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal tuning: the paper's fine-tuning, from 1 to 32 photographs, that never leaves things worse.

ψ′ begins as P ê and w′ as w₀ + ê. Trained are ψ′ and low-rank changes of the generator's convolutions, so that
the result is small and one photograph cannot bend everything. What counts are held-out samples: tuning stops when
they no longer improve, and only a state that draws them better, with none of their figures worse, is kept.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from portrait_shared.errors import ErrorCode, PortraitError
from torch import Tensor, nn

from portrait_server.corpora.loader import make_batch
from portrait_server.corpora.shards import Face
from portrait_server.detectors.base import Detector
from portrait_server.networks.configurations import Networks
from portrait_server.networks.discriminator import ProjectionDiscriminator
from portrait_server.networks.output import Output
from portrait_server.networks.personal import LowRank, Personal, add_low_rank
from portrait_server.training import losses
from portrait_server.training.batch import Batch
from portrait_server.training.configuration import Regions, Weights
from portrait_server.training.landmark_check import LandmarkCheck
from portrait_server.training.learner import frozen, references_of
from portrait_server.training.measurement import HeldOut
from portrait_server.training.objective import adversarial_terms, reconstruction_terms, total
from portrait_server.training.precision import autocast
from portrait_server.training.tuning_samples import aligned_face, person_corpora

MOST_PHOTOS: Final = 32
_WEIGHTS = Weights(pixel=1.0, gradient=1.0, pyramid=4.0, warped=0.5, matte=0.5)
_JUDGED = Weights(adversarial=0.01, feature_matching=0.5)
_REGIONS = Regions(mouth=4.0, eyes=4.0)
_ROUNDING = 1e-6  # errors from 0 to 1: what another order of summing may change
_DETECTOR_NOISE = 1e-4  # sides of the frame: how far the error of 16 pictures moves that nobody could tell apart
NO_WORSE: Final = {
    "picture": _ROUNDING, "face": _ROUNDING, "mouth": _ROUNDING, "eyes": _ROUNDING, "landmarks": _DETECTOR_NOISE,
}  # fmt: skip
"""The held-out figures of which none may rise, and by how much one does without having risen."""
_CLIP = 10.0
_SEED = 11


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Attributes:
        steps: at most; tuning stops earlier after `patience` measurements without a better one.
        rank: of the convolutions' changes.
        rate: Adam's; ψ′ learns at the same one.
        measured: held-out samples.
    """

    steps: int = 160
    batch_size: int = 4
    rank: int = 4
    rate: float = 1e-3
    measure_every: int = 20
    patience: int = 3
    measured: int = 16


DEFAULT_EFFORT: Final = Effort()


@dataclass(frozen=True)
class Tuned:
    """What came of it.

    Attributes:
        personal: what to save; where nothing was better, P ê and no changes at all.
        before, after: held-out figures of the untouched networks and of the kept state (`HeldOut.measure`), and
            `landmarks`, the error in sides of the frame by a detector.
        kept: whether any tuned state was better than none. step: the one that was kept.
    """

    personal: Personal
    before: dict[str, float]
    after: dict[str, float]
    kept: bool
    step: int


def adapt(
    networks: Networks,
    checksum: str,
    faces: Sequence[Face],
    detector: Detector,
    *,
    discriminator: ProjectionDiscriminator | None = None,
    effort: Effort = DEFAULT_EFFORT,
    progress: Callable[[int, int, dict[str, float]], None] = lambda step, steps, figures: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Tunes networks to one person; they themselves stay as they are.

    Args:
        networks, checksum: as `weights_file.load` gives them.
        faces: 1 to 32 photographs (`corpora.build.cut`).
        detector: measures the landmarks of what is drawn.
        discriminator: that the networks were trained with, for the paper's adversarial tuning.
        progress: called with (step, most steps, newest held-out figures) after each step.
        cancelled: asked before each step.

    Raises:
        PortraitError: BAD_IMAGE for too few or too many photographs; BAD_WEIGHTS for networks that draw nothing
            finite; CANCELLED.
    """
    if not 1 <= len(faces) <= MOST_PHOTOS:
        raise PortraitError(
            ErrorCode.BAD_IMAGE,
            f"Tuning takes 1 to {MOST_PHOTOS} photographs, not {len(faces)}.",
            "Choose the sharpest.",
        )
    with person_corpora(faces) as (learnt, held):
        side = networks.configuration.side
        device = next(networks.parameters()).device
        measured = HeldOut(held, effort.measured, side, device)
        tuning = _Tuning(networks, faces, discriminator, effort)
        check = LandmarkCheck(detector)
        before = best = _measured(measured, tuning, check)
        if not _finite(before):
            raise PortraitError(ErrorCode.BAD_WEIGHTS, "The networks draw nothing finite.", "Use other weights.")
        kept, kept_step, waited = tuning.personal(checksum, changed=False), 0, 0
        figures = before
        progress(0, effort.steps, figures)
        for step in range(1, effort.steps + 1):
            if cancelled():
                raise PortraitError(ErrorCode.CANCELLED, "Tuning was cancelled.")
            batch = Batch.of(make_batch(learnt, _SEED, step, effort.batch_size, 1, side), device)
            if not tuning.learn(batch):
                break
            if step % effort.measure_every and step != effort.steps:
                progress(step, effort.steps, figures)
                continue
            measurement = _measured(measured, tuning, check)
            if not _finite(measurement):
                break
            figures = measurement
            progress(step, effort.steps, figures)
            waited += 1
            if figures["score"] < best["score"] and no_worse(before, figures):
                best, kept, kept_step, waited = figures, tuning.personal(checksum, changed=True), step, 0
            if waited >= effort.patience:
                break
    return Tuned(kept, before, best, kept_step > 0, kept_step)


def no_worse(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Whether none of the held-out figures has risen."""
    return all(after[name] <= before[name] + noise for name, noise in NO_WORSE.items())


def _finite(figures: Mapping[str, float]) -> bool:
    return all(math.isfinite(figure) for figure in figures.values())


class _Tuning:
    """A copy of the networks on its way to one person."""

    def __init__(
        self, networks: Networks, faces: Sequence[Face], discriminator: ProjectionDiscriminator | None, effort: Effort
    ) -> None:
        torch.manual_seed(_SEED)
        self._networks = copy.deepcopy(networks).requires_grad_(False).eval()
        self._generator = self._networks.generator
        embedding = _embedding(self._networks, faces)
        self._style = nn.Parameter(self._generator.style(embedding).clone())
        self._changes: dict[str, LowRank] = add_low_rank(self._generator, effort.rank)
        learning = [self._style, *(p for change in self._changes.values() for p in change.parameters())]
        self._optimiser = torch.optim.Adam(learning, lr=effort.rate)
        self._judge = copy.deepcopy(discriminator)
        if self._judge is not None:
            self._judge.become_personal(embedding[0])
            self._judge_optimiser = torch.optim.Adam(self._judge.parameters(), lr=2e-4)

    def draw(self, batch: Batch) -> Output:
        style = self._style.expand(len(batch.target), -1)
        with autocast(batch.target.device):
            return self._generator(references_of(batch), batch.target_points, style)

    def learn(self, batch: Batch) -> bool:
        """One step; False where a loss or a gradient was not finite and nothing was learnt."""
        output = self.draw(batch)
        terms = reconstruction_terms(output, batch, _WEIGHTS, _REGIONS, {})
        if self._judge is not None:
            terms |= self._judged(self._judge, output, batch)
        loss = total(terms)
        if not torch.isfinite(loss):
            return False
        self._optimiser.zero_grad()
        loss.backward()
        learning = [p for group in self._optimiser.param_groups for p in group["params"]]
        if not torch.isfinite(nn.utils.clip_grad_norm_(learning, _CLIP)):
            return False
        self._optimiser.step()
        return True

    def personal(self, checksum: str, *, changed: bool) -> Personal:
        """A copy of what has been learnt so far."""
        changes = {name: (c.left.detach().clone(), c.right.detach().clone()) for name, c in self._changes.items()}
        return Personal(self._style.detach()[0].clone(), changes if changed else {}, checksum)

    def _judged(self, judge: ProjectionDiscriminator, output: Output, batch: Batch) -> dict[str, Tensor]:
        me = torch.zeros_like(batch.identity)
        real = judge(batch.target, batch.target_points, me)
        fake = judge(output.image.detach().float(), batch.target_points, me)
        self._judge_optimiser.zero_grad()
        losses.discriminator_hinge(real.scores, fake.scores).backward()
        self._judge_optimiser.step()
        with frozen(judge):
            fake = judge(output.image.float(), batch.target_points, me)
            with torch.no_grad():
                real = judge(batch.target, batch.target_points, me)
        nothing = real.scores.new_zeros(1)
        return adversarial_terms(fake, real, nothing, nothing, _JUDGED)


@torch.no_grad()
def _embedding(networks: Networks, faces: Sequence[Face]) -> Tensor:
    """(1, E): the mean over all photographs."""
    device = next(networks.parameters()).device
    side = networks.configuration.side
    found = []
    for face in faces:
        image, points, _ = aligned_face(face, side)
        picture = torch.from_numpy(image).to(device).permute(2, 0, 1).float()[None, None] / 255
        found.append(networks.embedder(picture, torch.from_numpy(points).to(device)[None, None]))
    return torch.stack(found).mean(0)


@torch.no_grad()
def _measured(held_out: HeldOut, tuning: _Tuning, check: LandmarkCheck) -> dict[str, float]:
    check.begin()

    def draw(batch: Batch) -> Tensor:
        image = tuning.draw(batch).image
        check.look(image, batch.target_points)
        return image

    figures = held_out.measure(draw)
    figures["landmarks"] = check.error()
    return figures

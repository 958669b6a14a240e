# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal tuning: the paper's fine-tuning, from 1 to 32 photographs, that does nothing rather than harm.

ψ′ begins as P ê and w′ as w₀ + ê. Trained are ψ′ and low-rank changes of the generator's convolutions, so that
the result is small and one photograph cannot bend everything. Held-out samples choose a state, and how much of it;
further ones, by which nothing was chosen, must then agree, or nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import TunedPerson
from portrait_shared.protocol.references import MAX_REFERENCES

from portrait_server.corpora.loader import make_batch
from portrait_server.corpora.sample import Corpus
from portrait_server.corpora.shards import Face
from portrait_server.detectors.base import Detector
from portrait_server.networks.configurations import Networks
from portrait_server.networks.discriminator import ProjectionDiscriminator
from portrait_server.networks.personal import Personal, to_file
from portrait_server.training.batch import Batch
from portrait_server.tuning.guard import HeldOutPerson, Measured, surely_better
from portrait_server.tuning.samples import person_corpora
from portrait_server.tuning.tuned_networks import TunedNetworks

_STRENGTHS: Final = (1.0, 0.5, 0.25)  # shares of what has been learnt that are tried
_SEED, _CHOOSING, _CONFIRMING = 11, 20190520, 20190521  # of learning, and of the two held-out sets


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Attributes:
        steps: at most; tuning stops earlier after `patience` measurements without a better one.
        rank: of the convolutions' changes.
        rate: Adam's; ψ′ learns at the same one.
        measured: samples of each held-out set and direction.
    """

    steps: int = 120
    batch_size: int = 4
    rank: int = 2
    rate: float = 5e-4
    measure_every: int = 30
    patience: int = 2
    measured: int = 12


DEFAULT_EFFORT: Final = Effort()


def tune_networks(
    networks: Networks,
    checksum: str,
    faces: Sequence[Face],
    detector: Detector,
    *,
    discriminator: ProjectionDiscriminator | None = None,
    effort: Effort = DEFAULT_EFFORT,
    progress: Callable[[int, int, dict[str, float]], None] = lambda step, steps, figures: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TunedPerson:
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
    if not 1 <= len(faces) <= MAX_REFERENCES:
        raise PortraitError(
            ErrorCode.BAD_IMAGE,
            f"Tuning takes 1 to {MAX_REFERENCES} photographs, not {len(faces)}.",
            "Choose the sharpest.",
        )
    side, device = networks.configuration.side, next(networks.parameters()).device
    with person_corpora(faces) as corpora:

        def held_out(seed: int) -> HeldOutPerson:
            return HeldOutPerson(corpora.held, effort.measured, side, device, detector, seed)

        tuning = TunedNetworks(networks, faces, discriminator, rank=effort.rank, rate=effort.rate, seed=_SEED)
        search = _Search(tuning, checksum, held_out(_CHOOSING))
        progress(0, effort.steps, search.figures)
        for step in range(1, effort.steps + 1):
            if cancelled():
                raise PortraitError(ErrorCode.CANCELLED, "Tuning was cancelled.")
            if not tuning.learn(_batch(corpora.learnt, step, effort.batch_size, side, device)):
                break
            measured_now = step % effort.measure_every == 0 or step == effort.steps
            if measured_now and not search.look(step):
                break
            progress(step, effort.steps, search.figures)
            if search.waited >= effort.patience:
                break
        if search.best[1]:
            return _confirmed(tuning, search, held_out(_CONFIRMING))
        return search.nothing(search.before)


class _Search:
    """Looks for the state, and how much of it, that draws one held-out set best.

    Attributes:
        before: the measurement of the networks as they were.
        best: what is kept so far, its step (0: nothing tuned is) and its measurement.
        waited: measurements since.
        figures: of what was looked at last.
    """

    def __init__(self, tuning: TunedNetworks, checksum: str, held_out: HeldOutPerson) -> None:
        """Raises: PortraitError: BAD_WEIGHTS for networks that draw nothing finite."""
        self._tuning, self._checksum, self._held_out = tuning, checksum, held_out
        tuning.blend(0.0)
        self.before = held_out.measure(tuning.draw)
        if not self.before.is_finite():
            raise PortraitError(ErrorCode.BAD_WEIGHTS, "The networks draw nothing finite.", "Use other weights.")
        self.figures = self.before.figures()
        self._untuned = tuning.personal(checksum)
        self.best: tuple[Personal, int, Measured] = (self._untuned, 0, self.before)
        self.waited = 0

    def look(self, step: int) -> bool:
        """Measures what has been learnt; False where it draws nothing finite any more."""
        self.waited += 1
        for strength in _STRENGTHS:
            self._tuning.blend(strength)
            found = self._held_out.measure(self._tuning.draw)
            if not found.is_finite():
                return False
            if strength == 1:
                self.figures = found.figures()
            better = found.figures()["score"] < self.best[2].figures()["score"]
            if better and surely_better(self.before, found):
                self.best, self.waited = (self._tuning.personal(self._checksum), step, found), 0
        return True

    def nothing(self, before: Measured) -> TunedPerson:
        """That the networks stay as they are."""
        return TunedPerson(to_file(self._untuned), False, 0, before.figures(), before.figures())


def _confirmed(tuning: TunedNetworks, search: _Search, held_out: HeldOutPerson) -> TunedPerson:
    """What was found, if samples that had no say in it agree."""
    personal, step, _ = search.best
    tuning.blend(0.0)
    before = held_out.measure(tuning.draw)
    tuning.restore(personal)
    after = held_out.measure(tuning.draw)
    if after.is_finite() and surely_better(before, after):
        return TunedPerson(to_file(personal), True, step, before.figures(), after.figures())
    return search.nothing(before)


def _batch(corpus: Corpus, step: int, size: int, side: int, device: torch.device) -> Batch:
    return Batch.of(make_batch(corpus, _SEED, step, size, 1, side), device)

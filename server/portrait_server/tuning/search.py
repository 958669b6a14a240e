# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal tuning: the paper's fine-tuning, from 1 to 32 photographs, that does nothing rather than harm.

What references give as style is what tuning begins with. Trained are something added to it and low-rank changes of the
last convolutions, so that the result is small and one photograph cannot bend everything. Held-out crops choose a state,
and how much of it, of a single photograph never more than a quarter; further ones, by which nothing was chosen, must then
agree, or nothing is kept. Mouth and eyes are tuned and judged each for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import TunedPerson
from portrait_shared.protocol.references import MAX_REFERENCES

from portrait_server.corpora.crops import CropPairs
from portrait_server.corpora.shards import Face
from portrait_server.geometry.crops import MOUTH, RIGHT_EYE
from portrait_server.networks.painter import Painter
from portrait_server.networks.painters import PARTS, Painters
from portrait_server.networks.personal import Personal, PersonalPainter, to_file
from portrait_server.training.batches import CropBatch, Pairs
from portrait_server.tuning.guard import HeldOut, Measured, surely_better
from portrait_server.tuning.samples import CropsOfParts, Person
from portrait_server.tuning.tuned_painter import TunedPainter

_STRENGTHS: Final = (1.0, 0.5, 0.25)  # shares of what has been learnt that are tried
# One photograph is judged by moved copies of itself, which say too much good of what was learnt from it.
_STRENGTHS_OF_ONE: Final = (0.25,)
_SEED, _CHOOSING, _CONFIRMING = 11, 20190520, 20190521  # of learning, and of the two held-out sets
_CROPS: Final = {"mouth": MOUTH, "eye": RIGHT_EYE}
_NAMES: Final = {
    "mouth": ("mouth", "crop"), "mouth_opening": ("mouth", "opening"),
    "eyes": ("eye", "crop"), "eyes_opening": ("eye", "opening"),
}  # fmt: skip
_MEANS: Final = ("structure", "softness", "score")


@dataclass(frozen=True)
class Effort:
    """How much is tried, for each painter.

    Attributes:
        steps: at most; tuning stops earlier after `patience` measurements without a better one.
        rank: of the convolutions' changes.
        rate: Adam's.
        pairs: that are learnt from, drawn anew with other colours and places at each step.
        measured: pairs of each held-out set and kind.
    """

    steps: int = 80
    batch_size: int = 8
    rank: int = 2
    rate: float = 1e-3
    measure_every: int = 20
    patience: int = 2
    pairs: int = 64
    measured: int = 12


DEFAULT_EFFORT: Final = Effort()


def tune_painters(
    painters: Painters,
    checksum: str,
    faces: Sequence[Face],
    *,
    effort: Effort = DEFAULT_EFFORT,
    progress: Callable[[int, int, dict[str, float]], None] = lambda step, steps, figures: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TunedPerson:
    """Tunes painters to one person; they themselves stay as they are.

    Args:
        painters, checksum: as `painters.load` gives them.
        faces: 1 to 32 photographs (`corpora.build.cut`).
        progress: called with (step, most steps, newest held-out figures) after each step, of mouth and eyes together.
        cancelled: asked before each step.

    Raises:
        PortraitError: BAD_IMAGE for too few or too many photographs; BAD_WEIGHTS for painters that draw nothing
            finite; CANCELLED.
    """
    if not 1 <= len(faces) <= MAX_REFERENCES:
        raise PortraitError(
            ErrorCode.BAD_IMAGE,
            f"Tuning takes 1 to {MAX_REFERENCES} photographs, not {len(faces)}.",
            "Choose the sharpest.",
        )
    person, device = Person(faces), next(painters.parameters()).device
    learnt, choosing = person.learnt(effort.pairs, _SEED), person.held(effort.measured, _CHOOSING)
    strengths = _STRENGTHS if len(faces) > 1 else _STRENGTHS_OF_ONE
    searches = [
        _Search(part, getattr(painters, part), _of(part, choosing), device, effort, strengths) for part in PARTS
    ]
    steps = effort.steps * len(searches)
    for number, search in enumerate(searches):
        pairs, first = Pairs(search.crop, [learnt[search.part]], [1.0]), number * effort.steps
        progress(first, steps, _figures({each.part: each.newest for each in searches}))
        for step in range(1, effort.steps + 1):
            if cancelled():
                raise PortraitError(ErrorCode.CANCELLED, "Tuning was cancelled.")
            if not search.goes_on(step, pairs.batch(effort.batch_size, np.random.default_rng((_SEED, step)))):
                break
            progress(first + step, steps, _figures({each.part: each.newest for each in searches}))
    if not any(search.best for search in searches):
        figures = _figures({search.part: search.before for search in searches})
        return TunedPerson(to_file(Personal({}, checksum)), False, 0, figures, figures)
    confirming = person.held(effort.measured, _CONFIRMING)
    return _confirmed([search.confirmed(_of(search.part, confirming)) for search in searches], checksum)


@dataclass(frozen=True)
class _Found:
    """What is kept of one painter: nothing where it stays as it was."""

    part: str
    personal: PersonalPainter | None
    step: int
    before: Measured
    after: Measured


class _Search:
    """Looks for the state of one painter, and how much of it, that paints one held-out set best.

    Attributes:
        part, crop: which painter it is, and what it paints.
        before, newest: the measurement of the painter as it was, and of what was looked at last.
        best: the best state so far and its step; None where nothing is surely better than before.
    """

    def __init__(
        self,
        part: str,
        painter: Painter,
        held: Mapping[str, CropPairs],
        device: torch.device,
        effort: Effort,
        strengths: Sequence[float],
    ) -> None:
        """Args: strengths: that are tried, the greatest first.

        Raises: PortraitError: BAD_WEIGHTS for a painter that draws nothing finite.
        """
        self.part, self.crop, self._effort, self._device = part, _CROPS[part], effort, device
        self._strengths = strengths
        self._tuning = TunedPainter(painter, rank=effort.rank, rate=effort.rate, seed=_SEED)
        self._held = HeldOut(self.crop, held, device)
        self._tuning.blend(0.0)
        self.before = self.newest = self._held.measure(self._tuning.draw)
        if not self.before.is_finite():
            raise PortraitError(ErrorCode.BAD_WEIGHTS, "The painters draw nothing finite.", "Use other weights.")
        self.best: tuple[PersonalPainter, int] | None = None
        self._least, self._waited = self.before.figures()["score"], 0

    def goes_on(self, step: int, batch: CropBatch) -> bool:
        """Learns, and measures where it is time to; False where no more is to be had."""
        if not self._tuning.learn(batch.to(self._device)):
            return False
        effort = self._effort
        if (step % effort.measure_every == 0 or step == effort.steps) and not self._looked(step):
            return False
        return self._waited < effort.patience

    def confirmed(self, held: Mapping[str, CropPairs]) -> _Found:
        """What was found, if crops that had no say in it agree."""
        held_out = HeldOut(self.crop, held, self._device)
        self._tuning.blend(0.0)
        before = held_out.measure(self._tuning.draw)
        if self.best is not None:
            personal, step = self.best
            self._tuning.restore(personal)
            after = held_out.measure(self._tuning.draw)
            if after.is_finite() and surely_better(before, after):
                return _Found(self.part, personal, step, before, after)
        return _Found(self.part, None, 0, before, before)

    def _looked(self, step: int) -> bool:
        """Measures what has been learnt; False where it draws nothing finite any more."""
        self._waited += 1
        for strength in self._strengths:
            self._tuning.blend(strength)
            found = self._held.measure(self._tuning.draw)
            if not found.is_finite():
                return False
            if strength == self._strengths[0]:
                self.newest = found
            score = found.figures()["score"]
            if score < self._least and surely_better(self.before, found):
                self.best, self._least, self._waited = (self._tuning.personal(), step), score, 0
        return True


def _confirmed(found: Sequence[_Found], checksum: str) -> TunedPerson:
    kept = {each.part: each.personal for each in found if each.personal is not None}
    before, after = (_figures({each.part: getattr(each, when) for each in found}) for when in ("before", "after"))
    step = max(each.step for each in found)
    return TunedPerson(to_file(Personal(kept, checksum)), bool(kept), step, before, after)


def _of(part: str, held: Mapping[str, CropsOfParts]) -> dict[str, CropPairs]:
    """One painter's pairs of each kind."""
    return {kind: parts[part] for kind, parts in held.items()}


def _figures(measured: Mapping[str, Measured]) -> dict[str, float]:
    """As of `TunedPerson`."""
    each = {part: columns.figures() for part, columns in measured.items()}
    named = {name: each[part][column] for name, (part, column) in _NAMES.items()}
    return named | {name: float(np.mean([own[name] for own in each.values()])) for name in _MEANS}

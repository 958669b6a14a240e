# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning to a person: what it keeps helps, what would not is not kept, and the painters themselves stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portrait_server.corpora.shards import Face
from portrait_server.geometry.crops import MOUTH
from portrait_server.networks.painters import PARTS
from portrait_server.networks.personal import Personal, apply_personal, from_file, to_file
from portrait_server.training.batches import CropBatch, Pairs, plain
from portrait_server.training.measures import painted
from portrait_server.tuning.samples import Person
from portrait_server.tuning.search import Effort, tune_painters
from portrait_server.tuning.tuned_painter import TunedPainter
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.networks.conftest import shaken_painters, tiny_painters
from tests.server.tuning.test_samples import grey_faces, shown

CHECKSUM = "0" * 64
FEW = Effort(steps=2, batch_size=2, measure_every=2, pairs=4, measured=4)


def test_what_is_kept_helps_crops_that_had_no_part_in_it(face: Face) -> None:
    painters = shaken_painters().eval()
    weights = {name: tensor.clone() for name, tensor in painters.state_dict().items()}
    effort = Effort(steps=16, batch_size=4, rate=5e-3, measure_every=8, pairs=12, measured=4)
    seen: list[tuple[int, int]] = []
    tuned = tune_painters(
        painters, CHECKSUM, [face], effort=effort, progress=lambda step, steps, figures: seen.append((step, steps))
    )
    assert seen[0] == (0, 32) and seen == sorted(seen) and seen[-1][0] > 16
    assert tuned.kept and 0 < tuned.step <= 16
    for name in ("mouth", "mouth_opening", "eyes", "eyes_opening", "structure", "score"):
        assert tuned.after[name] <= tuned.before[name] + 1e-6, name
    assert tuned.after["score"] < 0.99 * tuned.before["score"]
    assert all(torch.equal(tensor, weights[name]) for name, tensor in painters.state_dict().items())

    mine = apply_personal(painters, from_file(tuned.personal), CHECKSUM)
    assert set(from_file(tuned.personal).painters) == set(PARTS)
    held = Person([face]).held(4, 77)["photograph"]
    batch = plain(MOUTH, held["mouth"], range(4))
    before, after = (
        (painted(painter, batch).detach() - batch.target).abs().mean() for painter in (painters.mouth, mine.mouth)
    )
    assert after < before


def test_tuning_that_makes_things_worse_is_not_kept(face: Face) -> None:
    effort = Effort(steps=4, batch_size=2, rate=50.0, measure_every=2, pairs=4, measured=4)
    tuned = tune_painters(tiny_painters().eval(), CHECKSUM, [face], effort=effort)
    assert not tuned.kept and tuned.step == 0 and tuned.after == tuned.before
    assert from_file(tuned.personal).painters == {}


def test_tuning_never_learns_from_what_it_is_measured_by(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    learn, draw = TunedPainter.learn, TunedPainter.draw
    seen: dict[str, set[int]] = {"learnt": set(), "measured": set()}

    def greys(pictures: torch.Tensor) -> set[int]:
        return shown(np.moveaxis(pictures.numpy() * 255, -3, -1))

    def learning(tuning: TunedPainter, batch: CropBatch) -> bool:
        seen["learnt"] |= greys(batch.target) | greys(batch.references)
        return learn(tuning, batch)

    def drawing(tuning: TunedPainter, batch: CropBatch) -> torch.Tensor:
        seen["measured"] |= greys(batch.target)
        return draw(tuning, batch)

    monkeypatch.setattr(TunedPainter, "learn", learning)
    monkeypatch.setattr(TunedPainter, "draw", drawing)
    # Colours as they are: a grey tells which photograph it is.
    monkeypatch.setattr("portrait_server.training.batches.random_colors", lambda rng: _AsTheyAre())
    effort = Effort(steps=6, batch_size=4, measure_every=3, pairs=12, measured=4)
    tune_painters(tiny_painters().eval(), CHECKSUM, grey_faces(face, 5), effort=effort)
    assert seen == {"learnt": {0, 2, 3, 4}, "measured": {1}}


class _AsTheyAre:
    def apply(self, picture: np.ndarray) -> np.ndarray:
        return picture


def test_crops_that_had_no_say_in_the_choice_must_agree(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuned painters that know by heart what they are chosen by, and paint anything else badly."""
    plain_draw, known = TunedPainter.draw, list[torch.Tensor]()

    def draw(tuning: TunedPainter, batch: CropBatch) -> torch.Tensor:
        if tuning._strength == 0:
            if not by_heart:
                known.append(batch.target)
            return plain_draw(tuning, batch)
        by_heart.append(True)
        return batch.target if any(torch.equal(batch.target, target) for target in known) else 1 - batch.target

    by_heart: list[bool] = []
    monkeypatch.setattr(TunedPainter, "draw", draw)
    tuned = tune_painters(shaken_painters().eval(), CHECKSUM, [face], effort=FEW)
    assert by_heart and not tuned.kept and tuned.step == 0 and from_file(tuned.personal).painters == {}


def test_less_of_what_was_learnt_can_be_kept(face: Face) -> None:
    """Blending: nothing of it paints as before tuning, a half lies between, and the file paints the same."""
    painters = shaken_painters().eval()
    tuning = TunedPainter(painters.mouth, rank=2, rate=0.02, seed=1)
    crops = Person([face]).learnt(2, 1)["mouth"]
    batch = Pairs(MOUTH, [crops], [1.0]).batch(2, np.random.default_rng(1))
    for _ in range(4):
        assert tuning.learn(batch)
    drawn = {}
    for strength in (0.0, 0.5, 1.0):
        tuning.blend(strength)
        drawn[strength] = tuning.draw(batch)
        file = to_file(Personal({"mouth": tuning.personal()}, CHECKSUM))
        again = apply_personal(painters, from_file(file), CHECKSUM).mouth
        assert torch.allclose(drawn[strength], painted(again, batch), atol=1e-5)
    assert torch.equal(drawn[0.0], painted(painters.mouth, batch))
    assert 0 < (drawn[0.5] - drawn[0.0]).abs().mean() < (drawn[1.0] - drawn[0.0]).abs().mean()
    tuning.blend(0.5)
    half = tuning.personal()
    tuning.learn(batch)
    tuning.restore(half)
    assert torch.allclose(tuning.draw(batch), drawn[0.5], atol=1e-5)


@pytest.mark.parametrize(("count", "most"), [(1, 0.25), (2, 1.0)])
def test_of_a_single_photograph_no_more_than_a_quarter_is_kept(
    face: Face, monkeypatch: pytest.MonkeyPatch, count: int, most: float
) -> None:
    """Its copies, the only judges it has, would let more through."""
    measured, drawing = set[float](), TunedPainter.draw

    def draw(tuning: TunedPainter, batch: CropBatch) -> torch.Tensor:
        measured.add(tuning._strength)
        return drawing(tuning, batch)

    monkeypatch.setattr(TunedPainter, "draw", draw)
    # Nothing of what was learnt is kept, so that a state is never restored as a whole.
    monkeypatch.setattr("portrait_server.tuning.search.surely_better", lambda before, after: False)
    tune_painters(tiny_painters().eval(), CHECKSUM, [face] * count, effort=FEW)
    assert max(measured) == most


def test_cancelled_and_too_many(face: Face) -> None:
    painters = tiny_painters().eval()
    with pytest.raises(PortraitError) as raised:
        tune_painters(painters, CHECKSUM, [face], cancelled=lambda: True, effort=FEW)
    assert raised.value.code == ErrorCode.CANCELLED
    for faces in ([], [face] * 33):
        with pytest.raises(PortraitError) as raised:
            tune_painters(painters, CHECKSUM, faces)
        assert raised.value.code == ErrorCode.BAD_IMAGE


def test_painters_that_draw_nothing_finite_are_refused(face: Face) -> None:
    painters = tiny_painters().eval()
    with torch.no_grad():
        for parameter in painters.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(PortraitError, match="nothing finite") as raised:
        tune_painters(painters, CHECKSUM, [face], effort=FEW)
    assert raised.value.code == ErrorCode.BAD_WEIGHTS

# SPDX-License-Identifier: GPL-3.0-or-later
"""That learning works on a photograph: what no reference shows is painted, and tuning leaves alone what it cannot help."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from portrait_server.corpora.assembly import aligned_face
from portrait_server.corpora.loader import make_batch
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.shards import Face, write_shard
from portrait_server.detectors.base import Detector
from portrait_server.networks.configurations import Networks, build
from portrait_server.networks.personal import apply_personal, from_file, to_file
from portrait_server.networks.regions import head
from portrait_server.training.batch import Batch
from portrait_server.training.learner import Learner, references_of
from portrait_server.training.measurement import HeldOut
from portrait_server.tuning.guard import NO_WORSE, Measured, surely_better
from portrait_server.tuning.samples import Copies, person_corpora
from portrait_server.tuning.search import Effort, tune_networks
from portrait_server.tuning.tuned_networks import TunedNetworks
from portrait_shared.errors import ErrorCode, PortraitError

CPU = torch.device("cpu")
CHECKSUM = "0" * 64


def test_what_no_reference_shows_is_painted(learner: Callable[[str, int], Learner], face: Face, tmp_path: Path) -> None:
    """Colours that no flow can fetch: the copying generator must paint them. Half of the error in 120 steps."""
    write_shard(tmp_path / "0.shard", [(0, 0, face)], ["a"], {})
    samples = HeldOut(ReposedPhotos(tmp_path, augmented=False), 4, 64, CPU)
    learning = learner("tiny-portrait", 120)
    batch = samples.first()
    recolored = dataclasses.replace(batch, target=batch.target.flip(1))  # red for blue
    shown = head(64, CPU)

    def error(image: torch.Tensor, other: torch.Tensor) -> float:
        return float(((image - other).abs() * shown).sum() / shown.sum())

    before = error(learning.draw(recolored).image, recolored.target)
    for step in range(120):
        learning.step(recolored, step)
    after = learning.draw(recolored)
    assert error(after.image, recolored.target) < before / 2
    assert after.warped is not None and error(after.image, after.warped) > before / 4


def _drawn(networks: Networks, style: torch.Tensor, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return networks.generator(references_of(batch), batch.target_points, style.expand(len(batch.target), -1)).image


def test_tuning_that_makes_things_worse_is_not_kept(face: Face, detector: Detector) -> None:
    torch.manual_seed(1)
    networks = build("tiny-portrait").eval()
    tuned = tune_networks(
        networks, CHECKSUM, [face], detector, effort=Effort(steps=6, measure_every=2, rate=50.0, measured=4)
    )
    assert not tuned.kept and tuned.after == tuned.before and from_file(tuned.personal).changes == {}


def test_the_paper_s_tuning_asks_the_discriminator(face: Face, detector: Detector) -> None:
    torch.manual_seed(1)
    networks = build("tiny-zakharov2019").eval()
    judge = networks.new_discriminator(3)
    people = judge.people.detach().clone()
    effort = Effort(steps=12, batch_size=2, rate=5e-3, measure_every=12, measured=4)
    plain = tune_networks(networks, CHECKSUM, [face], detector, effort=effort)
    judged = tune_networks(networks, CHECKSUM, [face], detector, effort=effort, discriminator=judge)
    assert torch.equal(judge.people, people)
    assert plain.kept and judged.kept
    assert not torch.equal(from_file(judged.personal).style, from_file(plain.personal).style)


def _grey_faces(face: Face, count: int) -> list[Face]:
    """Photographs of one grey each, which tells them apart in whatever is made of them: 30, 50, 70, …"""
    return [dataclasses.replace(face, image=np.full_like(face.image, 30 + 20 * number)) for number in range(count)]


def _shown(pictures: np.ndarray) -> set[int]:
    """Which of the grey faces pictures (N, H, W, 3), 0 to 255, are of: most of each is its grey."""
    return {round((float(np.median(picture)) - 30) / 20) for picture in pictures}


@pytest.mark.parametrize(("count", "left_out"), [(1, set()), (2, {1}), (7, {1, 6})], ids=str)
def test_one_photograph_in_five_is_left_out_of_learning(face: Face, count: int, left_out: set[int]) -> None:
    learnt = set(range(count)) - left_out
    held = left_out or learnt
    targets, references = {}, {}
    with person_corpora(_grey_faces(face, count)) as corpora:
        for name, corpus, draws in [("learnt", corpora.learnt, 24), *((n, c, 10) for n, c in corpora.held.items())]:
            samples = [corpus.sample(np.random.default_rng(seed), 1, 32) for seed in range(draws)]
            targets[name] = _shown(np.stack([sample.target for sample in samples]))
            references[name] = _shown(np.stack([sample.references[0] for sample in samples]))
    assert targets == {"learnt": learnt, "photograph": held, "copy": held}
    assert references["learnt"] == learnt and references["copy"] == held
    # As a user will draw: from what was learnt from; and from re-posed copies of itself.
    assert references["photograph"] <= learnt | held
    assert references["photograph"] & learnt and references["photograph"] & held


def test_tuning_never_learns_from_what_it_is_measured_by(
    face: Face, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, draw = TunedNetworks.learn, TunedNetworks.draw
    seen: dict[str, set[int]] = {"learnt": set(), "measured": set()}

    def shown(pictures: torch.Tensor) -> set[int]:
        return _shown(pictures.flatten(0, -4).permute(0, 2, 3, 1).numpy() * 255)

    def learning(tuning: TunedNetworks, batch: Batch) -> bool:
        seen["learnt"] |= shown(batch.target) | shown(batch.references)
        return learn(tuning, batch)

    def drawing(tuning: TunedNetworks, batch: Batch) -> torch.Tensor:
        seen["measured"] |= shown(batch.target)
        return draw(tuning, batch)

    monkeypatch.setattr(TunedNetworks, "learn", learning)
    monkeypatch.setattr(TunedNetworks, "draw", drawing)
    torch.manual_seed(1)
    effort = Effort(steps=6, batch_size=4, measure_every=3, measured=4)
    tune_networks(build("tiny-portrait").eval(), CHECKSUM, _grey_faces(face, 5), detector, effort=effort)
    assert seen == {"learnt": {0, 2, 3, 4}, "measured": {1}}


def test_cancelled_and_too_many(face: Face, detector: Detector) -> None:
    networks = build("tiny-portrait").eval()
    with pytest.raises(PortraitError) as raised:
        tune_networks(networks, CHECKSUM, [face], detector, cancelled=lambda: True, effort=Effort(measured=2))
    assert raised.value.code == ErrorCode.CANCELLED
    for faces in ([], [face] * 33):
        with pytest.raises(PortraitError) as raised:
            tune_networks(networks, CHECKSUM, faces, detector)
        assert raised.value.code == ErrorCode.BAD_IMAGE


def _measurement(change: float = 0.0, **changes: Callable[[torch.Tensor], torch.Tensor]) -> Measured:
    """Eight samples a direction, each lowered by a share; changes by names as `copy_eyes`."""
    columns = {}
    for start, direction in enumerate(("photograph", "copy")):
        spread = 0.1 + 0.01 * torch.arange(8.0) + 0.05 * start
        columns[direction] = {name: spread * (1 - change) for name in NO_WORSE} | {"psnr": 200 * spread}
        for name in NO_WORSE:
            columns[direction][name] = changes.get(f"{direction}_{name}", lambda x: x)(columns[direction][name])
    return Measured(columns)


def test_no_column_of_what_is_kept_may_rise_in_either_direction() -> None:
    before = _measurement()
    assert not surely_better(before, before)
    assert surely_better(before, _measurement(0.2))
    assert not surely_better(before, _measurement(0.005)), "too little to be worth anything"
    for direction in ("photograph", "copy"):
        for name in NO_WORSE:
            worse = _measurement(0.2, **{f"{direction}_{name}": lambda x: x * 1.26})
            assert not surely_better(before, worse), (direction, name)


def test_a_gain_that_chance_may_have_made_is_not_kept() -> None:
    """Every column's mean falls by a tenth, but of sample to sample it swings by many times that."""
    before = _measurement()
    swing = torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1])
    swinging = {f"{way}_{name}": lambda x: x + 0.05 * swing for way in ("photograph", "copy") for name in NO_WORSE}
    assert surely_better(before, _measurement(0.1))
    assert not surely_better(before, _measurement(0.1, **swinging))


_FEW = Effort(steps=2, batch_size=2, measure_every=2, measured=4)


def _drawing_when_tuned(
    monkeypatch: pytest.MonkeyPatch, networks: Networks, draw: Callable[[Batch], torch.Tensor]
) -> list[Batch]:
    """Whatever has been learnt now draws so; returns what was drawn untuned before that first happened."""
    plain, untuned, tuned_once = TunedNetworks.draw, [], []

    def drawn(tuning: TunedNetworks, batch: Batch) -> torch.Tensor:
        if tuning._strength == 0:
            untuned.extend([] if tuned_once else [batch])
            return plain(tuning, batch)
        tuned_once.append(True)
        return draw(batch)

    monkeypatch.setattr(TunedNetworks, "draw", drawn)
    return untuned


def test_what_helps_the_photograph_alone_is_not_kept(
    face: Face, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tuned networks that have the photograph by heart and always draw it, and such as draw whatever is asked."""
    torch.manual_seed(1)
    networks = build("tiny-zakharov2019").eval()
    picture = torch.from_numpy(aligned_face(face, 64).image).permute(2, 0, 1).float() / 255
    with monkeypatch.context() as patch:
        _drawing_when_tuned(patch, networks, lambda batch: batch.target)
        assert tune_networks(networks, CHECKSUM, [face], detector, effort=_FEW).kept
    copying = build("tiny-portrait").eval()  # which draws the copies well: the photograph is nearer to none of them
    with monkeypatch.context() as patch:
        _drawing_when_tuned(patch, copying, lambda batch: picture.expand_as(batch.target))
        tuned = tune_networks(copying, CHECKSUM, [face], detector, effort=_FEW)
    assert not tuned.kept and tuned.after == tuned.before and from_file(tuned.personal).changes == {}


def test_samples_that_had_no_say_in_the_choice_must_agree(
    face: Face, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tuned networks that know by heart what they are chosen by, and draw anything else badly."""
    torch.manual_seed(1)
    networks = build("tiny-portrait").eval()
    with monkeypatch.context() as patch:
        seen = _drawing_when_tuned(
            patch, networks,
            lambda batch: batch.target if any(torch.equal(batch.target, known.target) for known in seen)
            else 1 - batch.target,
        )  # fmt: skip
        tuned = tune_networks(networks, CHECKSUM, [face], detector, effort=_FEW)
    assert not tuned.kept and tuned.step == 0 and from_file(tuned.personal).changes == {}


def test_less_of_what_was_learnt_is_kept_where_all_is_too_much(face: Face, detector: Detector) -> None:
    """Blending: nothing of it draws as before tuning, a half lies between, and the file draws the same."""
    torch.manual_seed(1)
    networks = build("tiny-portrait").eval()
    tuning = TunedNetworks(networks, [face], None, rank=2, rate=0.02, seed=1)
    batch = Batch.of(make_batch(Copies([face], (0.2, 0.6)), 1, 0, 2, 1, 64), CPU)
    for _ in range(4):
        assert tuning.learn(batch)
    drawn = {}
    for strength in (0.0, 0.5, 1.0):
        tuning.blend(strength)
        with torch.no_grad():
            drawn[strength] = tuning.draw(batch)
        personal = from_file(to_file(tuning.personal(CHECKSUM)))
        again = _drawn(apply_personal(networks, personal, CHECKSUM), personal.style, batch)
        assert torch.allclose(drawn[strength], again, atol=1e-5)
    plain = networks.generator.style(networks.embedder(*_whole_reference(face)))
    assert torch.equal(drawn[0.0], _drawn(networks, plain, batch))
    far = (drawn[1.0] - drawn[0.0]).abs().mean()
    assert 0 < (drawn[0.5] - drawn[0.0]).abs().mean() < far
    half = tuning.blend(0.5) or tuning.personal(CHECKSUM)
    tuning.learn(batch)
    tuning.restore(half)
    with torch.no_grad():
        assert torch.allclose(tuning.draw(batch), drawn[0.5], atol=1e-5)


def test_copies_differ_and_count_where_the_photograph_shows_them(face: Face) -> None:
    corpus = Copies([face], (0.2, 0.6))
    samples = [corpus.sample(np.random.default_rng(seed), 1, 128) for seed in range(6)]
    photograph = aligned_face(face, 128)
    picture, points = photograph.image, photograph.points
    for sample in samples:
        assert np.array_equal(sample.references[0], picture) and np.array_equal(sample.reference_points[0], points)
        assert sample.color_weight is not None and 0.5 < (sample.color_weight > 0).mean() < 1
        moved = np.abs(sample.target_points[:, :2] - points[:, :2]).mean()
        assert 0.1 < moved < 0.08 * 128, "little, so that a warp is to be believed"
    assert len({sample.target.tobytes() for sample in samples}) == len(samples)


def test_networks_that_draw_nothing_finite_are_refused(face: Face, detector: Detector) -> None:
    networks = build("tiny-zakharov2019").eval()
    with torch.no_grad():
        for parameter in networks.generator.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(PortraitError, match="nothing finite") as raised:
        tune_networks(networks, CHECKSUM, [face], detector, effort=Effort(measured=2))
    assert raised.value.code == ErrorCode.BAD_WEIGHTS


def _whole_reference(face: Face) -> tuple[torch.Tensor, torch.Tensor]:
    view = aligned_face(face, 64)
    picture = torch.from_numpy(view.image).permute(2, 0, 1).float()[None, None] / 255
    return picture, torch.from_numpy(view.points)[None, None]

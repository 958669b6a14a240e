# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples hold together; a mixture keeps its people apart; batches depend on seed and number alone."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from portrait_server.corpora.loader import Loader, make_batch
from portrait_server.corpora.pool import Pool, pool_key
from portrait_server.corpora.sample import Corpus, Mixture, Sample
from portrait_server.training.batch import Batch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import MIRROR

from tests.server.corpora.made_up import Dying, Noise, Refusing

SIDE = 8


def full_sample() -> Sample:
    rng = np.random.default_rng(0)
    bare = Noise().sample(rng, 2, SIDE)
    plane = lambda *shape: rng.integers(0, 256, (*shape, SIDE, SIDE)).astype(np.uint8)  # noqa: E731
    return Sample(
        bare.references, bare.reference_points, bare.target, bare.target_points, 1,
        plane(), plane(2), rng.integers(0, 256, (SIDE, SIDE, 4)).astype(np.uint8), rng.random((SIDE, SIDE, 2), np.float32) * SIDE, plane(), plane(),
        rng.random((SIDE, SIDE, 2), np.float32) * SIDE, plane(), rng.random((SIDE, SIDE, 2), np.float32) * SIDE, plane(),
    )  # fmt: skip


class Whole(Corpus):
    """Samples that know everything, of two references or one."""

    identities = 1

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        whole = full_sample()
        if references == 2:
            return whole
        return replace(
            whole, references=whole.references[:1], reference_points=whole.reference_points[:1],
            reference_mattes=whole.reference_mattes[:1], first_flow=None, first_visibility=None,
        )  # fmt: skip


def load(corpus: Corpus, workers: int, start: int = 0) -> Loader:
    return Loader(corpus, seed=3, batch_size=2, references=2, side=SIDE, workers=workers, start=start)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(torch.nan_to_num(one[name].float(), -1), torch.nan_to_num(other[name].float(), -1)) for name in one
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target", np.zeros((SIDE, SIDE + 1, 3), np.uint8)),
        ("references", np.zeros((2, SIDE, SIDE, 3), np.float32)),
        ("target_points", np.zeros((68, 3), np.float32)),
        ("draft", np.zeros((SIDE, SIDE, 3), np.uint8)),
        ("flow", np.zeros((SIDE, SIDE, 2))),
        ("draft_origin", np.zeros((SIDE, SIDE, 3), np.float32)),
        ("matte", np.zeros((SIDE, SIDE, 1), np.uint8)),
        ("visibility", None),
        ("identity", -1),
    ],
)
def test_a_sample_that_does_not_fit_together_is_refused(name: str, value: object) -> None:
    fields = {field: getattr(full_sample(), field) for field in Sample.__dataclass_fields__}
    with pytest.raises(ValueError, match=name if name != "identity" else "identity"):
        Sample(**{**fields, name: value})


def test_as_many_references_as_pixels_a_side_are_halved_one_by_one() -> None:
    sample = Noise().sample(np.random.default_rng(0), SIDE, SIDE)
    assert np.array_equal(sample.halved().references[3], replace(sample, target=sample.references[3]).halved().target)


def test_mirrored_twice_is_as_before() -> None:
    sample = full_sample()
    again = sample.mirrored().mirrored()
    for name in Sample.__dataclass_fields__:
        assert np.allclose(getattr(again, name), getattr(sample, name), atol=1e-5), name


def test_mirrored_points_and_flow_follow_the_pictures() -> None:
    sample = full_sample()
    mirrored = sample.mirrored()
    assert np.array_equal(mirrored.target[2, 1], sample.target[2, SIDE - 2])
    assert np.array_equal(mirrored.draft[2, 1], sample.draft[2, SIDE - 2])
    left = sample.target_points[36]
    assert np.allclose(mirrored.target_points[MIRROR[36]], [SIDE - 1 - left[0], left[1], left[2]])
    x, y = sample.flow[2, SIDE - 2]
    assert np.allclose(mirrored.flow[2, 1], [SIDE - 1 - x, y])
    x, y = sample.draft_origin[2, SIDE - 2]
    assert np.allclose(mirrored.draft_origin[2, 1], [SIDE - 1 - x, y])


def test_halved_pictures_points_and_flow_stay_together() -> None:
    """A ramp of colours whose value tells the place, before and after."""
    place = np.arange(SIDE) * 8.0
    ramp = np.tile(place, (SIDE, 1)).astype(np.uint8)
    shift = np.stack(np.meshgrid(np.arange(SIDE) + 2.0, np.arange(SIDE)), -1).astype(np.float32)
    whole = full_sample()
    sample = replace(whole, target=np.dstack([ramp] * 3), matte=ramp, reference_mattes=np.stack([ramp] * 2), flow=shift)
    half = sample.halved()
    assert half.references.shape == (2, SIDE // 2, SIDE // 2, 3) and half.reference_mattes.shape == (
        2,
        SIDE // 2,
        SIDE // 2,
    )
    assert np.array_equal(half.target[0, :, 0], [4, 20, 36, 52]), "each pixel is the mean of two"
    assert np.array_equal(half.reference_mattes[1, 0], [4, 20, 36, 52])
    # The middle of whole pixels 2 and 3 is at 2.5, and is the middle of pixel 1 of the halved picture.
    points = np.full((70, 3), 2.5, np.float32)
    assert np.allclose(replace(whole, target_points=points).halved().target_points[:, :2], 1.0)
    assert np.allclose(half.flow[1, :, 0], np.arange(SIDE // 2) + 1.0), "two pixels are one"
    hole = shift.copy()
    hole[3, 5] = np.nan
    gone = np.isnan(replace(whole, flow=hole).halved().flow[..., 0])
    assert gone[1, 2] and gone.sum() == 1


def test_a_mixture_draws_by_weight_and_numbers_people_one_after_another() -> None:
    mixture = Mixture([Noise(5), Noise(3)], [3, 1])
    drawn = [mixture.sample(np.random.default_rng(seed), 1, SIDE).identity for seed in range(400)]
    assert mixture.identities == 8 and set(drawn) == set(range(8))
    assert 0.68 < np.mean(np.array(drawn) < 5) < 0.82


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0]])
def test_a_mixture_wants_a_positive_weight_each(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        Mixture([Noise(), Noise()], weights)


def test_a_pool_makes_each_of_its_samples_once(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    pool = Pool(Noise(), 3, folder)
    drawn = [pool.sample(np.random.default_rng(seed), 2, SIDE) for seed in range(20)]
    assert len({sample.target.tobytes() for sample in drawn}) == 3 == len(list(folder.iterdir()))
    kept = Pool(Refusing(), 3, folder)
    for seed, sample in enumerate(drawn):
        again = kept.sample(np.random.default_rng(seed), 2, SIDE)
        assert all(np.array_equal(getattr(again, f.name), getattr(sample, f.name)) for f in fields(Sample))


def test_a_pool_of_larger_samples_serves_smaller_ones(tmp_path: Path) -> None:
    pool = Pool(Noise(), 2, tmp_path, side=2 * SIDE)
    sample = pool.sample(np.random.default_rng(0), 1, SIDE)
    whole = Pool(Refusing(), 2, tmp_path).sample(np.random.default_rng(0), 1, 2 * SIDE)
    assert np.array_equal(sample.target, whole.halved().target) and sample.target.shape == (SIDE, SIDE, 3)


def test_a_pool_may_show_its_samples_mirrored_too(tmp_path: Path) -> None:
    pool = Pool(Noise(), 1, tmp_path, mirrored=True)
    drawn = {pool.sample(np.random.default_rng(seed), 1, SIDE).target.tobytes() for seed in range(12)}
    (kept,) = tmp_path.iterdir()
    with np.load(kept) as arrays:
        target = arrays["target"]
    assert drawn == {target.tobytes(), np.ascontiguousarray(target[:, ::-1]).tobytes()}


def test_a_pool_makes_a_damaged_sample_anew(tmp_path: Path) -> None:
    pool = Pool(Noise(), 1, tmp_path)
    before = pool.sample(np.random.default_rng(0), 1, SIDE)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    assert np.array_equal(pool.sample(np.random.default_rng(1), 1, SIDE).target, before.target)


def test_workers_make_the_same_batches_and_resume_where_asked() -> None:
    expected = [make_batch(Noise(), 3, index, 2, 2, SIDE) for index in range(6)]
    with load(Noise(), workers=2) as loader:
        assert all(same(next(loader), batch) for batch in expected)
    with load(Noise(), workers=0, start=4) as loader:
        assert same(next(loader), expected[4]) and same(next(loader), expected[5])
    assert not same(expected[0], expected[1])


def test_a_batch_says_what_its_samples_lack() -> None:
    batch = make_batch(Noise(), 1, 0, 2, 2, SIDE)
    assert batch["references"].shape == (2, 2, 3, SIDE, SIDE) and batch["references"].dtype == torch.uint8
    assert not batch["has_flow"].any() and batch["flow"].isnan().all()
    assert not batch["has_draft"].any() and batch["draft"].shape == (2, 4, SIDE, SIDE)
    assert not batch["has_matte"].any() and (batch["color_weight"] == 255).all()
    assert batch["reference_mattes"].shape == (2, 2, 1, SIDE, SIDE) and batch["visibility"].shape == (2, 1, SIDE, SIDE)


def test_with_fewer_references_the_way_leads_to_the_last_that_is_left() -> None:
    batch = Batch.of(make_batch(Whole(), 1, 0, 2, 2, SIDE), torch.device("cpu"))
    assert not torch.equal(batch.flow, batch.first_flow) and batch.has_first_flow.all()
    one = batch.with_references(1)
    assert one.references.shape[1] == 1 and torch.equal(one.references[:, 0], batch.references[:, 0])
    assert torch.equal(one.flow, batch.first_flow) and torch.equal(one.visibility, batch.first_visibility)
    alone = Batch.of(make_batch(Whole(), 1, 0, 2, 1, SIDE), torch.device("cpu"))
    assert torch.equal(alone.first_flow, alone.flow) and alone.has_first_flow.all()


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_corpus_raises_arrives_whole(workers: int) -> None:
    with load(Refusing(), workers) as loader, pytest.raises(PortraitError, match=r"00003\.shard") as caught:
        next(loader)
    assert caught.value.code == ErrorCode.BAD_IMAGE and caught.value.remedy


def test_a_worker_that_dies_is_an_error_and_not_a_wait() -> None:
    with load(Dying(), workers=1) as loader, pytest.raises(PortraitError, match="batch 0") as caught:
        next(loader)
    assert caught.value.code == ErrorCode.INTERNAL


def test_a_pool_is_another_when_what_it_was_made_of_has_changed(tmp_path: Path) -> None:
    shard = tmp_path / "corpus" / "00000.shard"
    shard.parent.mkdir()
    shard.write_bytes(b"one")
    before = pool_key("corpora", [shard.parent])
    assert pool_key("corpora", [shard.parent]) == before != pool_key("others", [shard.parent])
    shard.write_bytes(b"another")
    assert pool_key("corpora", [shard.parent]) != before

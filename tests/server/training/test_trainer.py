# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs: exact resume, roll-back, what stays on disk, several processes, and that something is learnt."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from portrait_server.networks import weights_file
from portrait_server.training import checkpoints
from portrait_server.training.configuration import TrainingConfiguration
from portrait_server.training.team import Team
from portrait_server.training.trainer import Trainer
from portrait_shared.errors import ErrorCode, PortraitError

from tests.waiting import PATIENCE_SECONDS

Tiny = Callable[..., TrainingConfiguration]


def after(steps: int, trainer: Trainer) -> Callable[[], bool]:
    return lambda: trainer.progress.step >= steps


def events(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == event]


@pytest.mark.parametrize("network", ["tiny-portrait", "tiny-zakharov2019"])
def test_resume_is_exact(tiny: Tiny, tmp_path: Path, network: str) -> None:
    straight = Trainer(tiny(network), tmp_path / "straight", Team("cpu"), resume=False)
    straight.run()
    first = Trainer(tiny(network), tmp_path / "halves", Team("cpu"), resume=False)
    first.run(stop=after(5, first))
    second = Trainer(tiny(network), tmp_path / "halves", Team("cpu"), resume=True)
    assert second.progress.step == 5
    second.run()
    expected, found = straight.learner.tensors(), second.learner.tensors()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    assert second.progress.step == 10


def test_a_run_leaves_weights_sheets_and_figures(tiny: Tiny, corpus: Path, tmp_path: Path) -> None:
    configuration = tiny()
    configuration = dataclasses.replace(
        configuration, keeping=dataclasses.replace(configuration.keeping, measure_every=5)
    )
    trainer = Trainer(configuration, tmp_path, Team("cpu"), resume=False)
    trainer.run()
    networks, info = weights_file.load(tmp_path / "last.safetensors")
    assert info.step == 10 and info.configuration.name == "tiny-portrait"
    average = trainer.learner.average.state_dict()
    assert all(
        torch.allclose(tensor, average[name], rtol=1e-3, atol=1e-4) for name, tensor in networks.state_dict().items()
    )
    assert len(list((tmp_path / "samples").glob("*.png"))) == 2
    assert any((tmp_path / "tensorboard").iterdir())
    measured = events(tmp_path, f"held_out_{corpus.stem}")
    assert [line["step"] for line in measured] == [0, 5, 10]
    assert not list(tmp_path.glob("**/*.p*kl")) and not list(tmp_path.glob("**/*.pt"))


def test_held_out_corpora_of_one_name_are_measured_apart(tiny: Tiny, corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / corpus.name
    shutil.copytree(corpus, other)
    made = tiny()
    here = made.data.held_out[0]
    held_out = (here, dataclasses.replace(here, path=other))
    configuration = dataclasses.replace(made, data=dataclasses.replace(made.data, held_out=held_out))
    Trainer(configuration, tmp_path / "run", Team("cpu"), resume=False).run(minutes=0)
    for name in (corpus.stem, f"{corpus.stem}-2"):
        assert len(events(tmp_path / "run", f"held_out_{name}")) == 2, name
        assert (tmp_path / "run" / "samples" / f"00000001-{name}.png").is_file()


def test_time_runs_out(tiny: Tiny, tmp_path: Path) -> None:
    progress = Trainer(tiny(), tmp_path, Team("cpu"), resume=False).run(minutes=0)
    assert progress.step == 1 and [p.name for p in checkpoints.find(tmp_path)] == ["checkpoint-00000001"]


def test_networks_that_blow_up_go_back(tiny: Tiny, tmp_path: Path) -> None:
    trainer = Trainer(tiny(), tmp_path, Team("cpu"), resume=False)
    poisoned: list[int] = []

    def poison() -> bool:
        if trainer.progress.step == 3 and not poisoned:
            poisoned.append(3)
            for parameter in trainer.learner.networks.generator.parameters():
                parameter.data.fill_(torch.nan)
        return False

    progress = trainer.run(stop=poison)
    assert progress.step == 10 and progress.rollbacks == 1 and progress.batch == 14
    assert events(tmp_path, "rollback")[0]["back_to"] == 0
    assert all(torch.isfinite(p).all() for p in trainer.learner.networks.parameters())


def test_going_back_twice_is_exact(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a step where the optimisers remember something, with steps learnt between."""
    trainer = Trainer(tiny(), tmp_path, Team("cpu"), resume=False)
    poisoned: list[int] = []
    back: list[dict[str, torch.Tensor]] = []
    going_back = trainer._go_back

    def observed(reason: str) -> None:
        going_back(reason)
        back.append({name: tensor.clone() for name, tensor in trainer.learner.tensors().items()})

    def poison() -> bool:
        if len(poisoned) < 2 and trainer.progress.step >= 6:
            poisoned.append(trainer.progress.batch)
            for parameter in trainer.learner.networks.generator.parameters():
                parameter.data.fill_(torch.nan)
        return False

    monkeypatch.setattr(trainer, "_go_back", observed)
    monkeypatch.setattr("portrait_server.training.trainer._SNAPSHOT_STEPS", 5)
    assert trainer.run(stop=poison).rollbacks == 2
    assert [event["back_to"] for event in events(tmp_path, "rollback")] == [5, 5]
    first, second = back
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    assert any("adam" in name and "exp_avg" in name for name in first)


def test_networks_that_stay_broken_end_the_run(tiny: Tiny, tmp_path: Path) -> None:
    rates = dataclasses.replace(tiny().optimiser, generator_rate=float("inf"))
    with pytest.raises(PortraitError) as raised:
        Trainer(tiny(optimiser=rates), tmp_path, Team("cpu"), resume=False).run()
    assert raised.value.code == ErrorCode.INTERNAL


def test_a_folder_with_a_run_is_not_started_over(tiny: Tiny, tmp_path: Path) -> None:
    Trainer(tiny(), tmp_path, Team("cpu"), resume=False).run(minutes=0)
    with pytest.raises(PortraitError, match="a run already"):
        Trainer(tiny(), tmp_path, Team("cpu"), resume=False)
    with pytest.raises(PortraitError, match="no checkpoint"):
        Trainer(tiny(), tmp_path / "empty", Team("cpu"), resume=True)
    with pytest.raises(PortraitError) as raised:
        Trainer(tiny("tiny-zakharov2019"), tmp_path, Team("cpu"), resume=True)
    assert raised.value.code == ErrorCode.BAD_WEIGHTS


_PEER = """
import sys, torch
from pathlib import Path
from dataclasses import replace
from portrait_server.training.configuration_file import CONFIGS, load
from portrait_server.training.team import Team
from portrait_server.training.trainer import Trainer
torch.set_num_threads(1)
team, (corpus, output) = Team("cpu"), map(Path, sys.argv[1:])
weight = torch.nn.Parameter(torch.zeros(2))
weight.grad = torch.tensor([1.0, 3.0]) * (team.rank + 1)
team.average_gradients([weight])
assert weight.grad.tolist() == [1.5, 4.5], weight.grad
made = load(CONFIGS / "tiny.toml")
here = tuple(replace(choice, path=corpus) for choice in made.data.corpora)
made = replace(made, data=replace(made.data, corpora=here, held_out=here))
trainer = Trainer(made, output, team, resume=False)
trainer.run(stop=lambda: trainer.progress.step >= 6)
total = {name: tensor.double().sum().item() for name, tensor in trainer.learner.tensors().items()}
(output / f"rank-{team.rank}.txt").write_text(repr(total))
team.close()
"""


def test_networks_of_small_frames_go_on_in_larger_ones(tiny: Tiny, tmp_path: Path) -> None:
    small = Trainer(tiny(), tmp_path / "small", Team("cpu"), resume=False)
    small.run(stop=lambda: True)
    weights = tmp_path / "small" / "last.safetensors"
    made = tiny()
    larger = dataclasses.replace(made, network=dataclasses.replace(made.network, side=2 * made.network.side))
    trainer = Trainer(larger, tmp_path / "large", Team("cpu"), resume=False, weights=weights)
    trainer.run(stop=lambda: trainer.progress.step >= 1)
    written = weights_file.load(tmp_path / "large" / "last.safetensors")[1].configuration
    assert (written.side, written.embedder_side) == (128, 64)


def test_two_processes_average_their_gradients(corpus: Path, tmp_path: Path) -> None:
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as torchrun's agent
    meeting = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    peers = []
    for rank in ("0", "1"):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", **meeting}
        command = [sys.executable, "-c", _PEER, str(corpus), str(tmp_path)]
        peers.append(subprocess.Popen(command, env=os.environ | place, stderr=subprocess.PIPE, text=True))
    for peer in peers:
        _, said = peer.communicate(timeout=PATIENCE_SECONDS)
        assert peer.returncode == 0, said
    first, second = ((tmp_path / f"rank-{rank}.txt").read_text() for rank in (0, 1))
    assert first == second
    assert len(checkpoints.find(tmp_path)) == 1


def test_a_run_begins_with_weights(tiny: Tiny, tmp_path: Path) -> None:
    first = Trainer(tiny(), tmp_path / "first", Team("cpu"), resume=False)
    first.run()
    weights = tmp_path / "first" / "last.safetensors"
    second = Trainer(tiny(), tmp_path / "second", Team("cpu"), resume=False, weights=weights)
    taken = weights_file.load(weights)[0].state_dict()
    assert second.progress.step == 0
    for mine in (second.learner.networks, second.learner.average):
        assert all(torch.equal(tensor, taken[name]) for name, tensor in mine.state_dict().items())
    with pytest.raises(PortraitError, match="other networks") as caught:
        Trainer(tiny("tiny-zakharov2019"), tmp_path / "third", Team("cpu"), resume=False, weights=weights)
    assert caught.value.code == ErrorCode.BAD_WEIGHTS and caught.value.remedy

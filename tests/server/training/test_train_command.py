# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait train` as a user runs it: ended by signals and by time, gone on with, begun with weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from portrait_server.cli import main
from portrait_server.networks import weights_file
from portrait_server.training import checkpoints
from portrait_server.training.configuration_file import CONFIGS

from tests.waiting import PATIENCE_SECONDS, wait_until

_STEPS = 60_000


@pytest.fixture
def configuration(corpus: Path, tmp_path: Path) -> Path:
    """The tiny one over `corpus`, with more steps than anyone waits for; the paper's networks learn all they draw."""
    text = (CONFIGS / "tiny.toml").read_text("utf-8").replace('"corpus"', json.dumps(str(corpus)))
    text = text.replace("tiny-portrait", "tiny-zakharov2019")
    path = tmp_path / "run.toml"
    path.write_text(text.replace("\nsteps = 4\n", f"\nsteps = {_STEPS - 6}\n"), "utf-8")
    return path


def started(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "portrait_server", "train", *map(str, words), "--device", "cpu"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=pipe, stderr=pipe, text=True)


def ended(run: subprocess.Popen[str]) -> str:
    """What it printed, once it has ended well."""
    try:
        said, errors = run.communicate(timeout=PATIENCE_SECONDS)
    finally:
        run.kill()
    assert run.returncode == 0, errors
    return said


def log(folder: Path) -> list[dict[str, Any]]:
    """The events so far; the last line may be half written."""
    path = folder / "log.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def interrupted(run: subprocess.Popen[str], folder: Path, number: int) -> str:
    """Sends it a signal once it has drawn the held-out people and begins to learn."""
    wait_until(lambda: any(line["event"].startswith("held_out") for line in log(folder)) or run.poll() is not None)
    assert run.poll() is None, run.communicate()[1]
    run.send_signal(number)
    return ended(run)


def score(folder: Path, which: int) -> float:
    return [line for line in log(folder) if line["event"].startswith("held_out")][which]["score"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once, without a signal to catch")
def test_a_run_is_ended_gone_on_with_and_begun_from(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, other = tmp_path / "run", tmp_path / "other"

    said = interrupted(started(configuration, "--output", output), output, signal.SIGTERM)
    (first,) = checkpoints.find(output)
    steps = checkpoints.read(first)[1]["progress"]["step"]
    assert steps >= 1 and said.startswith(f"{steps} of {_STEPS} steps in ")
    assert f"Weights: {output / 'best.safetensors'}" in said and (output / "best.safetensors").is_file()
    assert [line["event"] for line in log(output)][-2:] == ["checkpoint", "end"]

    assert main(["train", str(configuration), "--output", str(output), "--device", "cpu"]) == 1
    assert "holds a run already" in capsys.readouterr().err

    said = ended(started(configuration, "--output", output, "--resume", "--minutes", 0.01))
    newest = checkpoints.find(output)[-1]
    further = checkpoints.read(newest)[1]["progress"]["step"]
    assert further > steps and said.startswith(f"{further} of {_STEPS} steps in ")
    (resumed,) = (line for line in log(output) if line["event"] == "resume")
    assert resumed["step"] == steps
    assert further < _STEPS and log(output)[-1]["time"] - resumed["time"] >= 0.6, "0.01 minutes ended it, not its steps"

    weights = output / "last.safetensors"
    assert weights_file.load(weights)[1].step == further
    interrupted(started(configuration, "--output", other, "--from", weights), other, signal.SIGINT)
    begun = next(line for line in log(other) if line["event"] == "start")
    assert begun["step"] == 0 and len(checkpoints.find(other)) == 1
    # It draws as the weights did, which had learnt something; they are kept as 16-bit numbers.
    assert score(other, 0) == pytest.approx(score(output, -1), rel=2e-3)
    assert score(other, 0) != pytest.approx(score(output, 0), rel=2e-2)

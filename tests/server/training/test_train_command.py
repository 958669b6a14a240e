# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait train` as a user runs it: ended by signals and by time, and gone on with."""

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
from portrait_server.networks import painters
from portrait_server.training import checkpoints

from tests.server.training.made_crops import needs_perceptual, write_crops
from tests.waiting import PATIENCE_SECONDS, wait_until

_STEPS = 60_000
_WRITTEN = f"""
licence = "CC0-1.0"
[mouth]
steps = {_STEPS}
batch = 2
width = 8
[mouth.shares]
studio = 1
street = 1
"""


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


@needs_perceptual
@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once, without a signal to catch")
def test_a_run_is_ended_and_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration, output = tmp_path / "run.toml", tmp_path / "run"
    configuration.write_text(_WRITTEN, "utf-8")
    words = [configuration, "--crops", write_crops(tmp_path / "crops"), "--output", output]

    run = started(*words)
    wait_until(lambda: any(line["event"] == "mouth_step" for line in log(output)) or run.poll() is not None)
    assert run.poll() is None, run.communicate()[1]
    run.send_signal(signal.SIGTERM)
    said = ended(run)
    (first,) = checkpoints.find(output)
    steps = checkpoints.read(first)[1]["steps"]["mouth"]
    assert steps >= 20 and said.startswith(f"mouth: {steps} of {_STEPS} steps, best held-out score ")
    assert f"Weights: {output / 'portrait.safetensors'}" in said
    made, info = painters.load(output / "portrait.safetensors")
    assert made.mouth.width == 8 and info.licence == "CC0-1.0"

    assert main(["train", *map(str, words), "--device", "cpu"]) == 1
    assert "holds a run already" in capsys.readouterr().err

    said = ended(started(*words, "--resume", "--minutes", 0.01))
    further = checkpoints.read(checkpoints.find(output)[-1])[1]["steps"]["mouth"]
    assert steps < further < _STEPS and said.startswith(f"mouth: {further} of {_STEPS} steps")

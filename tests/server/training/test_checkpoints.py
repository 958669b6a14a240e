# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: which stay, and what damaged ones say."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ErrorCode.DISK_FULL),
        (errno.EDQUOT, ErrorCode.DISK_FULL),
        (errno.EIO, ErrorCode.OUTPUT_NOT_WRITABLE),
    ],
)
def test_a_full_disk_leaves_the_checkpoints_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: ErrorCode
) -> None:
    before = checkpoints.write(tmp_path, 1, {"a": torch.zeros(100)}, {"step": 1}, keep=2)

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", lambda path, mode: Full(path, mode))
    with pytest.raises(PortraitError) as raised:
        checkpoints.write(tmp_path, 2, {"a": torch.zeros(100)}, {"step": 2}, keep=2)
    assert raised.value.code == code and os.strerror(number) in raised.value.message
    assert list(tmp_path.iterdir()) == [before]


_LIMITED = """
import resource, sys, torch
from pathlib import Path
from portrait_server.training import checkpoints
from portrait_shared.errors import PortraitError
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
try:
    checkpoints.write(Path(sys.argv[1]), 7, {"a": torch.zeros(2**16)}, {"step": 7}, keep=2)
except PortraitError as error:
    print(error.code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
def test_a_file_that_cannot_be_written_whole_is_not_kept(tmp_path: Path) -> None:
    """A real write cut short, whatever writes it: the operating system takes no more than 64 KiB."""
    command = [sys.executable, "-c", _LIMITED, str(tmp_path / "run")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "output_not_writable\n"), ended.stderr
    assert list((tmp_path / "run").iterdir()) == []


def test_optimisers_remember(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    one, other = torch.optim.Adam([weight]), torch.optim.Adam([weight])
    weight.grad = torch.tensor([1.0, 2.0, 3.0])
    one.step()
    checkpoints.load_optimiser(other, checkpoints.optimiser_tensors(one))
    for name, value in one.state[weight].items():
        assert torch.equal(value, other.state[weight][name]), name


def test_going_back_twice_comes_to_the_same() -> None:
    """What was put back is a copy: steps after it change nothing of what is kept for the next time."""
    weight = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.Adam([weight])
    weight.grad = torch.tensor([1.0, 2.0, 3.0])
    optimiser.step()
    kept = {name: tensor.clone() for name, tensor in checkpoints.optimiser_tensors(optimiser).items()}
    expected = {name: tensor.clone() for name, tensor in kept.items()}
    for _ in range(2):
        checkpoints.load_optimiser(optimiser, kept)
        for name, tensor in checkpoints.optimiser_tensors(optimiser).items():
            assert torch.equal(tensor, expected[name]), name
        optimiser.step()


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from portrait_server.training import checkpoints\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "checkpoints.write(Path(sys.argv[1]), 1, {}, {}, 1)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode != 0
    assert len(list(tmp_path.iterdir())) == 1
    made = checkpoints.write(tmp_path, 2, {}, {"step": 2}, 1)
    assert list(tmp_path.iterdir()) == [made]


@pytest.mark.parametrize("state", ["[" * 100_000, "[]", "7", "null", ""], ids=range(5))
def test_a_state_that_is_none_is_refused(tmp_path: Path, state: str) -> None:
    path = checkpoints.write(tmp_path, 1, {"a": torch.zeros(3)}, {"step": 1}, keep=1)
    (path / "state.json").write_text(state)
    with pytest.raises(PortraitError) as raised:
        checkpoints.read(path)
    assert raised.value.code is ErrorCode.BAD_WEIGHTS and len(str(raised.value)) < 700

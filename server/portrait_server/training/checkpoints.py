# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints on disk: a folder each, of safetensors and JSON, there whole or not at all.

No pickle is written or read: a checkpoint from a stranger can be wrong, but it cannot run code.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.files.safetensors_header import read_header
from portrait_shared.files.whole_files import parse_json, read_bounded
from safetensors import SafetensorError
from safetensors.torch import load as deserialised
from safetensors.torch import save as serialised
from torch import Tensor

_TENSORS, _STATE, _PREFIX = "tensors.safetensors", "state.json", "checkpoint-"
_MAX_TENSORS_BYTES, _MAX_STATE_BYTES = 16 * 2**30, 64 * 2**20
_STAGE = ".checkpoint-stage-"
_REMEDY = "Delete that checkpoint's folder: the run then goes on from the one before."


def write(folder: Path, step: int, tensors: dict[str, Tensor], state: dict[str, Any], keep: int) -> Path:
    """Writes a checkpoint, then deletes old ones: the first and the newest `keep` stay.

    Raises:
        PortraitError: DISK_FULL, OUTPUT_NOT_WRITABLE.
    """
    path = folder / f"{_PREFIX}{step:08d}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with PrivateFolder(folder, _STAGE) as stage:
            partial = stage / path.name
            partial.mkdir()
            # safetensors writing files by itself would hide a full disk behind an error of its own, without a number.
            contents = {
                _TENSORS: serialised({name: tensor.contiguous() for name, tensor in tensors.items()}),
                _STATE: json.dumps(state, indent=1, default=str).encode(),
            }
            for name, content in contents.items():
                with (partial / name).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            shutil.rmtree(path, ignore_errors=True)
            partial.rename(path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        code = ErrorCode.DISK_FULL if full else ErrorCode.OUTPUT_NOT_WRITABLE
        raise PortraitError(
            code, f"No checkpoint can be written to {folder}: {error.strerror}.", "Make room, or choose another folder."
        ) from error
    for old in find(folder)[1:-keep]:
        shutil.rmtree(old)
    return path


def find(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(p for p in folder.glob(f"{_PREFIX}*") if p.name[len(_PREFIX) :].isdigit())


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint's tensors, in main memory, and its state.

    Raises:
        PortraitError: BAD_WEIGHTS where the folder is damaged.
    """
    try:
        content = read_bounded(path / _TENSORS, _MAX_TENSORS_BYTES)
        read_header(content)
        state = parse_json(read_bounded(path / _STATE, _MAX_STATE_BYTES))
        if not isinstance(state, dict):
            raise ValueError("its state is no table")
        return deserialised(content), state
    except (SafetensorError, OSError, KeyError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise PortraitError(ErrorCode.BAD_WEIGHTS, f"{path} is no whole checkpoint: {error}.", _REMEDY) from error


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's memory, one tensor a name: `PARAMETER.WHAT`."""
    return {
        f"{number}.{name}": tensor
        for number, memory in optimiser.state_dict()["state"].items()
        for name, tensor in memory.items()
    }


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts back copies of what `optimiser_tensors` took out: PyTorch keeps the tensors it is given, and learns in them."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, what = name.split(".")
        state.setdefault(int(number), {})[what] = tensor.clone()
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})

# SPDX-License-Identifier: GPL-3.0-or-later
"""`--device` means the same in every command, and one that is not there is refused before any work."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from portrait_server.cli import main
from portrait_server.networks import painters
from portrait_shared.devices import ALL_CUDA, DEVICES, missing_driver
from portrait_shared.landmarks import LANDMARK_COUNT
from portrait_shared.track import LandmarkTrack

ABSENT = next(name for name in DEVICES[1:] if missing_driver(name))
"""One that this machine does not have: no machine has all."""


@pytest.mark.parametrize("name", ["render", "serve", "demo", "landmarks", "adapt", "evaluate", "train"])
def test_all_devices_are_offered_and_auto_is_taken(name: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"portrait_server.commands.{name}").add_arguments(parser)
    (option,) = (action for action in parser._actions if "--device" in action.option_strings)
    assert option.default == "auto" and all(device in option.help for device in DEVICES)
    for device in (*DEVICES, "cuda:1", "cuda:0,cuda:1", ALL_CUDA):
        assert option.type(device) == device


@pytest.fixture
def threads() -> Iterator[None]:
    """`adapt` takes half of the cores."""
    usual = torch.get_num_threads()
    yield
    torch.set_num_threads(usual)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    "command",
    [
        ("render", "--reference", "photo.png", "--reference-points", "points.npz", "--track", "points.npz"),
        ("landmarks", "photo.png", "--detector", "face-alignment"),
        ("adapt", "photo.png"),
        ("train", "painters.toml", "--crops", "crops"),
        ("evaluate", "clip"),
    ],
)
def test_an_absent_device_is_said(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # which `train` and `adapt` set, and this process would keep
    picture = np.full((64, 64, 3), 90, np.uint8)
    cv2.imwrite("photo.png", picture)
    points = np.random.default_rng(1).uniform(20, 44, (2, LANDMARK_COUNT, 3)).astype(np.float32)
    LandmarkTrack(points[:1], (64, 64)).save(Path("points.npz"))
    Path("clip").mkdir()
    LandmarkTrack(points, (64, 64)).save(Path("clip/track.npz"))
    for number in (1, 2):
        cv2.imwrite(f"clip/{number:04d}.png", picture)
    assert main([*command, "--output", "out", "--device", ABSENT]) == 1
    said = capsys.readouterr().err
    assert f"portrait {command[0]}: {missing_driver(ABSENT)}" in said and "--device cpu" in said
    assert not list(Path().glob("out/*.*"))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "The GPU's memory is full"),
        (RuntimeError("CUDA error: unspecified launch failure"), "The GPU was lost in the middle of its work"),
    ],
)
def test_a_gpu_that_fails_a_command_is_said(
    error: Exception, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(painters, "load", fail)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    assert main(["adapt", "photo.png", "--output", str(tmp_path / "out"), "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert f"portrait adapt: {message}" in said and "--device cpu" in said

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cameras there are, as each system tells it: told here by files and reports like theirs, as no camera is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from portrait_server.live.camera_list import Camera, cameras, chosen, of_linux, of_profiler, users_of
from portrait_shared.errors import ErrorCode, PortraitError

from tests.waiting import wait_until


def kernel(folder: Path, *nodes: tuple[int, int, str]) -> tuple[Path, Path]:
    """A /sys/class/video4linux and a /dev with nodes: number, index of its device, name."""
    sysfs, devices = folder / "sys", folder / "dev"
    devices.mkdir()
    for number, index, name in nodes:
        (sysfs / f"video{number}").mkdir(parents=True)
        (sysfs / f"video{number}" / "name").write_text(f"{name}\n")
        (sysfs / f"video{number}" / "index").write_text(f"{index}\n")
        (devices / f"video{number}").touch()
    return sysfs, devices


def test_linux_names_one_node_a_camera(tmp_path: Path) -> None:
    sysfs, devices = kernel(
        tmp_path, (10, 0, "OBS"), (0, 0, "Integrated Camera: Integrated C"), (1, 1, "Integrated Camera: Integrated C")
    )
    assert of_linux(sysfs, devices) == [Camera(0, "Integrated Camera: Integrated C"), Camera(10, "OBS")]


def test_linux_without_cameras(tmp_path: Path) -> None:
    assert of_linux(tmp_path / "none", tmp_path) == []


def test_a_camera_that_is_gone_says_so(tmp_path: Path) -> None:
    sysfs, devices = kernel(tmp_path, (0, 0, "Cam"))
    (devices / "video0").unlink()
    (gone,) = of_linux(sysfs, devices)
    assert "not there" in gone.problem and gone.remedy


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells it in /proc")
def test_a_camera_that_another_program_holds_says_which(tmp_path: Path) -> None:
    sysfs, devices = kernel(tmp_path, (0, 0, "Cam"))
    device = (devices / "video0").resolve()
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[]
    )
    with open(device) as stream:
        other = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[stream.fileno()]
        )
    try:
        wait_until(lambda: any(f"process {other.pid}" in user for user in users_of(device)))
        (camera,) = of_linux(sysfs, devices.resolve())
        assert (
            f"process {other.pid}" in camera.problem and f"process {holder.pid}" not in camera.problem and camera.remedy
        )
    finally:
        for process in (holder, other):
            process.communicate()


def test_a_camera_that_one_may_not_use_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's administrator, as whom tests may run, may use every file: so the system's answer is made up."""
    sysfs, devices = kernel(tmp_path, (0, 0, "Cam"))
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("video0"))
    (camera,) = of_linux(sysfs, devices)
    assert "may not" in camera.problem and "group" in camera.remedy


def test_macos_numbers_cameras_by_their_ids() -> None:
    report = {"SPCameraDataType": [
        {"_name": "iPhone Camera", "spcamera_unique-id": "B"}, {"_name": "FaceTime HD Camera", "spcamera_unique-id": "A"}, {},
    ]}  # fmt: skip
    assert of_profiler(json.dumps(report).encode()) == [
        Camera(0, "Camera 0"), Camera(1, "FaceTime HD Camera"), Camera(2, "iPhone Camera"),
    ]  # fmt: skip
    assert of_profiler(b"{}") == []


@pytest.mark.parametrize("report", [b"", b"no json", b'{"SPCameraDataType": 3}', b'{"SPCameraDataType": [1]}'])
def test_another_report_is_refused(report: bytes) -> None:
    with pytest.raises(ValueError):
        of_profiler(report)


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="asks a system that this is not")
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_a_system_that_does_not_tell_says_what_to_do(system: str) -> None:
    with pytest.raises(PortraitError) as refused:
        cameras(system)
    assert refused.value.code is ErrorCode.LIVE_UNAVAILABLE and "number" in refused.value.remedy


THERE = [Camera(0, "Integrated Camera"), Camera(2, "USB Cam"), Camera(4, "USB Camera")]


@pytest.mark.parametrize(
    ("asked", "number"), [("", 0), ("2", 2), ("integrated", 0), ("usb cam", 2), ("USB Camera", 4), ("7", 7)]
)
def test_a_camera_by_number_or_name(asked: str, number: int) -> None:
    assert chosen(asked, THERE).number == number


@pytest.mark.parametrize("asked", ["usb", "phone"])
def test_a_name_that_is_none_or_several_lists_what_there_is(asked: str) -> None:
    with pytest.raises(PortraitError) as refused:
        chosen(asked, THERE)
    assert "2: USB Cam" in refused.value.remedy


def test_no_camera_at_all() -> None:
    with pytest.raises(PortraitError) as refused:
        chosen("", [])
    assert refused.value.code is ErrorCode.LIVE_UNAVAILABLE and refused.value.remedy

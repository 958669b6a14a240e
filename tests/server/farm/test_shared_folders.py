# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that vanish in the middle of a job, as those of a network do, and come back, or do not."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from portrait_server.cli import main
from portrait_server.farm import shared_folders
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.worker import JobWorker
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames import frame_files

from tests.server.farm.conftest import Material

pytestmark = pytest.mark.usefixtures("without_weights")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens in each pause; nothing in further ones. No time goes by."""
    planned: list[Callable[[], object]] = []
    clock = SimpleNamespace(sleep=lambda seconds: planned.pop(0)() if planned else None)
    monkeypatch.setattr(shared_folders, "time", clock)  # its own alone: others sleep, too
    return planned


@pytest.mark.parametrize("source", ["photo", "shot"])
@pytest.mark.parametrize("output", [None, "frames elsewhere"])
def test_a_folder_that_comes_back_is_gone_on_with(
    request: pytest.FixtureRequest, connected: list[str], tmp_path: Path, pauses: list[Callable[[], object]],
    caplog: pytest.LogCaptureFixture, source: str, output: str | None,
) -> None:  # fmt: skip
    material: Material = request.getfixturevalue(source)
    share, away = tmp_path / "share", tmp_path / "away"
    words = connected if source == "photo" else ["--device", "cpu"]
    assert main(["job", "write", str(share / "job"), *material.words(*words)]) == 0
    job = FarmJob.load(share / "job")
    frames = share / output if output else job.default_output
    connect = Path(connected[1]) if source == "photo" else None
    with JobWorker(job, device="cpu", connect=connect, output=frames) as worker:
        for frame in worker.render(job.frames):
            if frame.number == job.frames[1]:
                os.rename(share, away)
                share.mkdir()  # where it was mounted
                pauses += [lambda: None, lambda: (share.rmdir(), os.rename(away, share))]
    assert pauses == [] and not away.exists()
    assert "It is tried again in 1 s" in caplog.text and "in 2 s" in caplog.text and "in 4 s" not in caplog.text
    assert main(["job", "verify", str(share / "job"), "--output", str(frames)]) == 0
    assert len(list(frames.iterdir())) == len(job.frames)


def test_one_that_does_not_come_back_is_given_up(
    photo: Material, connected: list[str], tmp_path: Path, pauses: list[Callable[[], object]]
) -> None:
    assert main(["job", "write", str(tmp_path / "job"), *photo.words(*connected)]) == 0
    job = FarmJob.load(tmp_path / "job")
    pauses += [lambda: None] * (len(shared_folders.PAUSES_SECONDS) + 1)
    there = []
    with JobWorker(job, connect=Path(connected[1])) as worker, pytest.raises(PortraitError) as caught:
        for frame in worker.render(job.frames):
            there.append(frame.number)
            if len(there) == 2:
                os.rename(job.default_output, tmp_path / "away")
    assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE and caught.value.remedy
    assert len(pauses) == 1, "each pause is one look"
    assert not job.default_output.exists(), "a folder was made where none is mounted"
    kept = {path.name for path in (tmp_path / "away").iterdir()}
    assert {f"{number:04d}.png" for number in there} <= kept
    shutil.move(tmp_path / "away", job.default_output)
    assert main(["job", "render", str(job.folder), *connected]) == 0
    assert main(["job", "verify", str(job.folder)]) == 0


def test_a_full_disk_is_not_waited_for(
    photo: Material, connected: list[str], tmp_path: Path, pauses: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert main(["job", "write", str(tmp_path / "job"), *photo.words(*connected)]) == 0
    job = FarmJob.load(tmp_path / "job")
    pauses.append(lambda: pytest.fail("it waits"))
    there = []
    with JobWorker(job, connect=Path(connected[1])) as worker, pytest.raises(PortraitError) as caught:
        for frame in worker.render(job.frames):
            there.append(frame.path)
            if len(there) == 2:
                monkeypatch.setattr(frame_files, "replace_file", full)
    assert caught.value.code is ErrorCode.DISK_FULL and caught.value.remedy
    assert [path.read_bytes()[-8:-4] for path in there] == [b"IEND"] * 2


def full(path: Path, data: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_output_that_was_never_there_is_not_waited_for(
    photo: Material, connected: list[str], tmp_path: Path, pauses: list[Callable[[], object]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pauses.append(lambda: pytest.fail("it waits"))
    assert main(["job", "write", str(tmp_path / "job"), *photo.words(*connected)]) == 0
    (tmp_path / "file").write_text("no folder")
    assert main(["job", "render", str(tmp_path / "job"), "--output", str(tmp_path / "file" / "out"), *connected]) == 1
    assert f"Cannot write {tmp_path / 'file' / 'out'}" in capsys.readouterr().err

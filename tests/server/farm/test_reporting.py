# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that a farm's manager reads of a task."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from portrait_server.cli import main
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.reporting import tell_frames, tell_verified, telling_failure
from portrait_server.farm.verifying import Finding, FrameVerdict, in_words
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import ErrorCode, PortraitError

FRAMES = [StoredFrame(-1, Path("a b/-0001.png"), False), StoredFrame(7, Path("a b/0007.png"), True)]


def test_open_job_description_reads_progress_status_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_frames(FRAMES, 2, "openjd") == 0
    assert capsys.readouterr().out.splitlines() == [
        "openjd_progress: 50.0", "openjd_status: Frame -1 was there (1 of 2)", "Saved: a b/-0001.png",
        "openjd_progress: 100.0", "openjd_status: Frame 7 drawn (2 of 2)", "Saved: a b/0007.png",
    ]  # fmt: skip


def test_flamenco_reads_what_blender_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_frames(FRAMES, 2, "flamenco") == 0
    skipped, there, time, drawn = capsys.readouterr().out.splitlines()
    assert skipped.startswith("skipping existing frame") and re.match(r"Time: \d\d:\d\d\.\d\d ", time)
    assert (there, drawn) == ("Saved: 'a b/-0001.png'", "Saved: 'a b/0007.png'")


@pytest.mark.parametrize("report", ["openjd", "flamenco"])
def test_a_task_that_lacks_frames_has_failed(report: str) -> None:
    assert tell_frames(FRAMES, 3, report) == 1
    assert tell_frames([], 1, report) == 1


def test_what_is_not_valid_fails_the_task_that_verifies(small_job: FarmJob, capsys: pytest.CaptureFixture[str]) -> None:
    of_all = [FrameVerdict(number, Path(f"{number}.png"), Finding.VALID) for number in range(1, 7)]
    lost = [dataclasses.replace(of_all[number], finding=Finding.MISSING) for number in (1, 3, 5)]
    some = [*of_all[::2], *lost]
    for verdicts, told in (
        (of_all, ["openjd_progress: 100.0", "openjd_status: 6 of 6 frames are valid"]),
        (some, ["openjd_progress: 100.0", "openjd_status: 3 of 6 frames are valid", "openjd_fail: missing: 2-6:2 (3)"]),
    ):
        tell_verified(verdicts, in_words(small_job, verdicts))
        assert capsys.readouterr().out.splitlines() == told


@pytest.mark.parametrize("option", [[], ["--report", "openjd"]])
def test_a_job_without_its_frames_fails_to_be_verified(
    option: list[str], small_job: FarmJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["job", "verify", str(small_job.folder), "--output", str(tmp_path), *option]) == 1
    assert ("openjd_fail: missing: 1-" in capsys.readouterr().out) == bool(option)


@pytest.mark.parametrize(
    ("report", "told"), [("openjd", "openjd_fail: It broke. Mend it.\n"), ("flamenco", ""), (None, "")]
)
def test_why_a_task_failed_is_one_line(report: str | None, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PortraitError), telling_failure(report):
        raise PortraitError(ErrorCode.BAD_TRACK, "It broke.", "Mend\nit.")
    assert capsys.readouterr().out == told

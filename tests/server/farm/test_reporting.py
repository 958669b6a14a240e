# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that a farm's manager reads of a task."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from portrait_server.farm.reporting import tell_frames, telling_failure
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


@pytest.mark.parametrize(
    ("report", "told"), [("openjd", "openjd_fail: It broke. Mend it.\n"), ("flamenco", ""), (None, "")]
)
def test_why_a_task_failed_is_one_line(report: str | None, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PortraitError), telling_failure(report):
        raise PortraitError(ErrorCode.BAD_TRACK, "It broke.", "Mend\nit.")
    assert capsys.readouterr().out == told

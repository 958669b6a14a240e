# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of GPU machines loses no figure: sections that fail, crash or take too long are told, and the rest measured."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from portrait_server.corpora.crops import read_crops
from portrait_server.geometry.crops import CROPS

from tests.benchmarks import gpu, host_profile
from tests.benchmarks.gpu_sections.equality import apart
from tests.benchmarks.gpu_sections.learning import write_noise
from tests.benchmarks.gpu_sections.machine import machine
from tests.benchmarks.gpu_sections.material import Plan
from tests.benchmarks.gpu_sections.report import Report, Row

PLAN = Plan("cpu", short=True)
FAR = time.monotonic() + 3600


def fine(plan: Plan) -> Iterator[Row]:
    yield Row("on", note=plan.device)
    yield Row("frames", 1234.5, "frames/s", "a | b")


def broken(plan: Plan) -> Iterator[Row]:
    yield Row("before", 1)
    raise ValueError("that's why")


def incomplete(plan: Plan) -> Iterator[Row]:
    import no_such_package  # noqa: F401

    yield Row("never")


def dying(plan: Plan) -> Iterator[Row]:
    yield Row("before", 1)
    sys.stdout.flush()
    os._exit(7)


def endless(plan: Plan) -> Iterator[Row]:
    yield Row("before", 1)
    time.sleep(3600)


def task(function: object) -> gpu.Task:
    return gpu.Task("A section", __name__, function.__name__, 600)


@pytest.fixture
def measurer() -> Iterator[gpu.Measurer]:
    made = gpu.Measurer(PLAN)
    yield made
    made.end()


def test_whatever_becomes_of_a_section_the_others_are_measured(measurer: gpu.Measurer) -> None:
    whole = [Row("on", note="cpu"), Row("frames", 1234.5, "frames/s", "a | b")]
    assert list(measurer.rows(task(fine), FAR)) == whole and measurer.ended_well
    for bad, said in (
        (broken, "ValueError: that's why"),
        (incomplete, "not measured, something is missing: No module named 'no_such_package'"),
        (dying, "the process ended with status 7"),
    ):
        *before, last = measurer.rows(task(bad), FAR)
        assert last.red and said in last.note and not measurer.ended_well
        assert before == ([] if bad is incomplete else [Row("before", 1)])
    (stopped,) = measurer.rows(task(endless), time.monotonic())
    assert stopped.red and not measurer.ended_well
    assert list(measurer.rows(task(fine), FAR)) == whole and measurer.ended_well


def test_figures_are_on_disk_at_once_and_what_is_done_is_kept(tmp_path: Path, measurer: gpu.Measurer) -> None:
    report = Report(tmp_path, "gpu.py", resume=False)
    gpu.measure(report, measurer, "fine", task(fine), FAR)
    gpu.measure(report, measurer, "broken", task(broken), FAR)
    gpu.measure(report, measurer, "late", task(fine), time.monotonic())
    kept = Report(tmp_path, "gpu.py", resume=True).sections
    assert kept == report.sections
    with pytest.raises(SystemExit, match=r"'gpu\.py', not 'gpu\.py --short'"):
        Report(tmp_path, "gpu.py --short", resume=True)
    assert {name: section.state for name, section in kept.items()} == {
        "fine": "done", "broken": "failed", "late": "no time",
    }  # fmt: skip
    assert [row.red for row in kept["broken"].rows] == [False, True]
    table = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "| frames | 1,234 | frames/s | a \\| b |" in table and "RED: failed" in table


def test_the_sections_are_there() -> None:
    """Each names a function that is there, and a real one gives rows."""
    for task in gpu.TASKS.values():
        assert callable(getattr(import_module(task.module), task.function)), task
    assert [row for row in machine(PLAN) if row.red] == []
    asked = gpu.arguments(["--output", "x", "--device", "cpu", "--short", "--sections", "machine", "engines"])
    assert asked.sections == ["machine", "engines"] and asked.minutes == gpu.MINUTES


def test_pictures_are_compared_frame_by_frame() -> None:
    one = np.full((2, 100, 100, 3), 10, np.uint8)
    other = one.copy()
    other[0] += 1
    other[1, :2, :5, 1] += 4
    assert apart(one, other) == (pytest.approx(0.1), 4)
    assert apart(one.astype(np.uint16) * 257, other.astype(np.uint16) * 257) == (pytest.approx(0.1), 4)


def test_operators_that_do_nothing_leave_the_same_calls() -> None:
    def act() -> torch.Tensor:
        planes = torch.ones(3, 4, 4).permute(2, 0, 1)
        planes.add_(1).clip(0, 1)
        return torch.stack([planes, planes]).sum(0)

    recorded = host_profile.Recorded()
    with recorded:
        made = act()
    called = host_profile.Called()
    with host_profile.Idle(recorded.shapes), called:
        again = act()
    assert called.count == 6  # ones, permute, add_, clip, stack, sum
    assert len(recorded.shapes) == host_profile.host_of(act).operators >= 6
    assert again.shape == made.shape and again.stride() == made.stride()


def test_crops_for_training_can_be_read(tmp_path: Path) -> None:
    write_noise(tmp_path / "noise")
    assert all(len(read_crops(tmp_path / "noise", crop)) == 4 for crop in CROPS.values())

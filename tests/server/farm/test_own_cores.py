# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers on one machine that know nothing of each other, each with cores of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("Windows and macOS bind no processes to cores", allow_module_level=True)

_TAKE = """
import os, sys
from portrait_server.farm.own_cores import take_cores
from portrait_server.networks.device import usable_cores
taken = take_cores(int(sys.argv[1]))
print(*taken, "of", usable_cores(), flush=True)
sys.stdin.read()
"""


class Worker:
    """A process that takes cores, and holds them until it ends."""

    def __init__(self, count: int, folder: Path) -> None:
        environment = {**os.environ, "TMPDIR": str(folder)}
        environment.pop("OMP_NUM_THREADS", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        taken, _, usable = self.process.stdout.readline().partition("of")
        self.cores, self.usable = {*map(int, taken.split())}, int(usable)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(autouse=True)
def two_cores() -> Iterator[None]:
    """At most, for this process and those that it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:2])
    yield
    os.sched_setaffinity(0, before)


def test_each_has_cores_of_its_own_until_it_ends(tmp_path: Path) -> None:
    all_cores = os.sched_getaffinity(0)
    workers = [Worker(1, tmp_path) for _ in all_cores]
    late = Worker(1, tmp_path)
    try:
        assert sorted(core for worker in workers for core in worker.cores) == sorted(all_cores)
        assert {worker.usable for worker in workers} == {1}
        assert not late.cores and late.usable == len(all_cores)
        freed = workers[0].cores
        workers[0].end()
        workers.append(Worker(1, tmp_path))
        assert workers[-1].cores == freed
    finally:
        for worker in (late, *workers):
            worker.end()


def test_who_asks_for_more_than_there_are_shares_them_all(tmp_path: Path) -> None:
    greedy = Worker(len(os.sched_getaffinity(0)) + 1, tmp_path)
    patient = Worker(1, tmp_path)
    greedy.end()
    patient.end()
    assert not greedy.cores and len(patient.cores) == 1

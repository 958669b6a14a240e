# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads that draw, or wait for a branch that does: of each device two for frames of usual size and one for large
ones, so that clients do not wait for others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from portrait_server.service.branches import Branch, BranchBatch
from portrait_server.service.open_render import OpenRender
from portrait_server.service.result_queue import ResultQueue
from portrait_server.service.scheduler import Scheduler
from portrait_server.service.sessions import Session
from portrait_server.service.tasks import FrameBatch, RequestTask
from portrait_server.service.workers import Workers

_USUAL_LANES: Final = 2
_TASKS: Final = 2
"""One that runs and one that waits, so that a lane never waits for the service."""


Task = FrameBatch | BranchBatch | RequestTask


class _Lane:
    def __init__(self, workers: Workers, for_large: bool, branch: Branch | None = None) -> None:
        self.workers = workers
        self.for_large = for_large
        self.branch = branch
        self.tasks: list[Task] = []


class Lanes:
    """Gives each lane what the scheduler says. A client has one lane of each kind on each device at a time.

    Used by the service's own thread alone.

    Args:
        branches: the further devices.
    """

    def __init__(
        self, scheduler: Scheduler, results: ResultQueue, log_file: str, branches: Sequence[Branch] = ()
    ) -> None:
        self._scheduler = scheduler
        usual = [Workers(f"engine-{number}", 1, results, log_file) for number in range(_USUAL_LANES)]
        large = Workers("large-engine", 1, results, log_file, yields=True)
        self._lanes = [*(_Lane(workers, False) for workers in usual), _Lane(large, True)]
        for branch in branches:
            for number in range(_USUAL_LANES + 1):
                # As many threads as tasks: the one that waits, waits at the branch.
                workers = Workers(f"{branch.device}-{number}", _TASKS, results, log_file)
                self._lanes.append(_Lane(workers, number == _USUAL_LANES, branch))

    @property
    def busy(self) -> bool:
        return any(lane.tasks for lane in self._lanes)

    def dispatch(self) -> Iterator[Task]:
        """Begins all that may be begun, one task a lane after another, and tells what."""
        begun = True
        while begun:
            begun = False
            for lane in sorted(self._lanes, key=lambda lane: len(lane.tasks)):
                if (task := self._next(lane)) is not None:
                    lane.tasks.append(task)
                    lane.workers.give(task)
                    begun = True
                    yield task

    def returned(self, task: Task) -> None:
        """Takes note that a lane is done with a task."""
        lane = next(lane for lane in self._lanes if task in lane.tasks)
        lane.tasks.remove(task)
        lane.workers.returned()

    def stop(self, timeout_s: float) -> None:
        for lane in self._lanes:
            lane.workers.stop(timeout_s)

    def _next(self, lane: _Lane) -> Task | None:
        if len(lane.tasks) >= _TASKS:
            return None
        if lane.tasks and self._scheduler.others_wait(lane.tasks[0].session):
            return None  # whose turn it is, is decided when the lane is free

        def allowed(session: Session, work: OpenRender | RequestTask) -> bool:
            if lane.tasks and session is not lane.tasks[0].session:
                return False
            if (isinstance(work, OpenRender) and work.is_large) != lane.for_large:
                return False
            if lane.branch and not (isinstance(work, OpenRender) and lane.branch.draws(work.portrait)):
                return False
            beside = [
                other for other in self._lanes
                if other is not lane and other.for_large == lane.for_large and other.branch is lane.branch
            ]  # fmt: skip
            return all(task.session is not session for other in beside for task in other.tasks)

        task = self._scheduler.next(bool(lane.tasks), allowed)
        return lane.branch.batch(task.render, task.indices) if lane.branch and isinstance(task, FrameBatch) else task

# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads that draw: two for frames of usual size and one for large ones, so that clients do not wait for others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from portrait_server.service.open_render import OpenRender
from portrait_server.service.result_queue import ResultQueue
from portrait_server.service.scheduler import Scheduler
from portrait_server.service.sessions import Session
from portrait_server.service.tasks import FrameBatch, RequestTask
from portrait_server.service.workers import Workers

_USUAL_LANES: Final = 2
_TASKS: Final = 2
"""One that runs and one that waits, so that a lane never waits for the service."""


class _Lane:
    def __init__(self, workers: Workers, for_large: bool) -> None:
        self.workers = workers
        self.for_large = for_large
        self.tasks: list[FrameBatch | RequestTask] = []


class Lanes:
    """Gives each lane what the scheduler says. A client has one lane of each kind at a time.

    Used by the service's own thread alone.
    """

    def __init__(self, scheduler: Scheduler, results: ResultQueue, log_file: str) -> None:
        self._scheduler = scheduler
        usual = [Workers(f"engine-{number}", 1, results, log_file) for number in range(_USUAL_LANES)]
        large = Workers("large-engine", 1, results, log_file, yields=True)
        self._lanes = [*(_Lane(workers, False) for workers in usual), _Lane(large, True)]

    @property
    def busy(self) -> bool:
        return any(lane.tasks for lane in self._lanes)

    def dispatch(self) -> Iterator[FrameBatch | RequestTask]:
        """Begins all that may be begun, and tells what."""
        for lane in sorted(self._lanes, key=lambda lane: len(lane.tasks)):
            while (task := self._next(lane)) is not None:
                lane.tasks.append(task)
                lane.workers.give(task)
                yield task

    def returned(self, task: FrameBatch | RequestTask) -> None:
        """Takes note that a lane is done with a task."""
        lane = next(lane for lane in self._lanes if task in lane.tasks)
        lane.tasks.remove(task)
        lane.workers.returned()

    def stop(self, timeout_s: float) -> None:
        for lane in self._lanes:
            lane.workers.stop(timeout_s)

    def _next(self, lane: _Lane) -> FrameBatch | RequestTask | None:
        if len(lane.tasks) >= _TASKS:
            return None
        if lane.tasks and self._scheduler.others_wait(lane.tasks[0].session):
            return None  # whose turn it is, is decided when the lane is free

        def allowed(session: Session, work: OpenRender | RequestTask) -> bool:
            if lane.tasks and session is not lane.tasks[0].session:
                return False
            if (isinstance(work, OpenRender) and work.is_large) != lane.for_large:
                return False
            beside = [other for other in self._lanes if other is not lane and other.for_large == lane.for_large]
            return all(task.session is not session for other in beside for task in other.tasks)

        return self._scheduler.next(bool(lane.tasks), allowed)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that do for the service what takes time."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any, Protocol

from portrait_shared.errors import PortraitError

from portrait_server.service.large_frames import yield_to_others
from portrait_server.service.result_queue import Result, ResultQueue
from portrait_server.service.service_errors import as_portrait_error

log = logging.getLogger(__name__)


class Task(Protocol):
    def run(self) -> Any:
        """Does the work, on a worker's thread; returns what came of it."""


class Workers:
    """Threads that run tasks in the order given. They end with the process: an engine may hang.

    Args:
        results: where the tasks come back, each in a `Result`.
        yields: whether the threads yield to others.
    """

    def __init__(self, name: str, count: int, results: ResultQueue, log_file: str, *, yields: bool = False) -> None:
        self._under_way = 0
        self._yields = yields
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._results = results
        self._log_file = log_file
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether a task was given whose result the service has not taken yet."""
        return self._under_way > 0

    def give(self, task: Task) -> None:
        """Queues a task. Called, as `returned` is, by the service's own thread alone."""
        self._under_way += 1
        self._tasks.put(task)

    def returned(self) -> None:
        """Takes note that the result of a task was taken."""
        self._under_way -= 1

    def stop(self, timeout_s: float) -> None:
        """Ends the threads; one that hangs is left behind."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self) -> None:
        if self._yields:
            yield_to_others()
        while (task := self._tasks.get()) is not None:
            self._results.put(self._run(task))
            del task  # what it holds is let go of before the wait for the next

    def _run(self, task: Task) -> Result:
        begun = time.monotonic()
        try:
            value = task.run()
            return Result(task, value, None, time.monotonic() - begun)
        except PortraitError as error:
            return Result(task, None, error, time.monotonic() - begun)
        except Exception as error:  # the server outlives whatever goes wrong in one request
            log.exception("A task failed: %r", task)
            return Result(task, None, as_portrait_error(error, self._log_file), time.monotonic() - begun)

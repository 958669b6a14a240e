# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that owns the client. It knows nothing of Blender's data: what it learns goes into a queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.references import ServerInfo

from . import server
from .releases import explained


@dataclass(frozen=True)
class Connected:
    """The worker reached the server."""

    info: ServerInfo


@dataclass(frozen=True)
class Finished:
    """The task ended; `error` is None where it did all it should."""

    error: PortraitError | None = None


Task = Callable[[Client, Callable[[Any], None], Callable[[], bool]], None]
"""A task gets the client, a function that posts events, and one that tells whether it is cancelled."""


class Worker(threading.Thread):
    """Runs one task with a client of its own.

    Attributes:
        events: what the task posts, `Connected` first and `Finished` last.
        cancel: set it to end the task soon.
    """

    def __init__(self, task: Task, launch: server.Launch) -> None:
        super().__init__(name="portrait worker", daemon=True)
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.cancel = threading.Event()
        self.task = task
        self._launch = launch

    def run(self) -> None:
        error: PortraitError | None = PortraitError(
            ErrorCode.INTERNAL, "The worker stopped by an error of its own.", "See Blender's console, and report it."
        )
        try:
            self.do_task()
            error = None
        except PortraitError as caught:
            error = explained(caught, self._launch)
        finally:
            self.events.put(Finished(error))

    def do_task(self) -> None:
        """Runs the task; raises PortraitError."""
        with Client(server.acquire(self._launch, self.cancel.is_set), name="Blender") as client:
            self.events.put(Connected(client.ask_who()))
            self.task(client, self.events.put, self.cancel.is_set)

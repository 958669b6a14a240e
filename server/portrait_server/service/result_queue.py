# SPDX-License-Identifier: GPL-3.0-or-later
"""What worker threads tell the service: results of their tasks, and how far work has come that goes on."""

from __future__ import annotations

import queue
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from portrait_shared.errors import PortraitError
from portrait_shared.protocol.messages import Message

from portrait_server.service.counters import State
from portrait_server.service.sessions import Session
from portrait_server.service.sockets.wakener import Wakener


@dataclass(frozen=True, eq=False)
class Result:
    """What became of a task: exactly one of `value` and `error` counts.

    Attributes:
        seconds: how long a thread was at it.
    """

    task: Any
    value: Any
    error: PortraitError | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Update:
    """A message for a client about work that goes on."""

    session: Session
    message: Message


@dataclass(frozen=True, eq=False)
class StateWish:
    """Another thread asks what the service does now."""

    state: Future[State] = field(default_factory=Future)


class ResultQueue(Wakener):
    """Read by the service's own thread, which `reader` wakes, so that it can wait for this and for clients at once."""

    def __init__(self) -> None:
        super().__init__()
        self._items: queue.SimpleQueue[Result | Update | StateWish] = queue.SimpleQueue()

    def put(self, item: Result | Update | StateWish) -> None:
        """Called by any thread."""
        self._items.put(item)
        self.wake()

    def take_all(self) -> list[Result | Update | StateWish]:
        self.clear()  # first: what is put from here on wakes again
        items: list[Result | Update | StateWish] = []
        while not self._items.empty():
            items.append(self._items.get_nowait())
        return items

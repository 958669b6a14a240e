# SPDX-License-Identifier: GPL-3.0-or-later
"""What worker threads tell the service: results of their tasks, and how far work has come that goes on."""

from __future__ import annotations

import queue
import socket
from dataclasses import dataclass
from typing import Any

from portrait_shared.errors import PortraitError
from portrait_shared.messages import Message

from portrait_server.sessions import Session


@dataclass(frozen=True, eq=False)
class Result:
    """What became of a task: exactly one of `value` and `error` counts."""

    task: Any
    value: Any
    error: PortraitError | None


@dataclass(frozen=True, eq=False)
class Update:
    """A message for a client about work that goes on."""

    session: Session
    message: Message


class ResultQueue:
    """Read by the service's own thread, which its socket wakes, so that it can wait for this and for clients at once.

    Attributes:
        reader: becomes readable when something was put.
    """

    def __init__(self) -> None:
        self.reader, self._waker = socket.socketpair()
        self.reader.setblocking(False)
        self._waker.setblocking(False)
        self._items: queue.SimpleQueue[Result | Update] = queue.SimpleQueue()

    def put(self, item: Result | Update) -> None:
        """Called by any thread."""
        self._items.put(item)
        self.wake()

    def wake(self) -> None:
        """Ends the service's wait."""
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            return  # it is full of wake-up calls already

    def take_all(self) -> list[Result | Update]:
        try:
            self.reader.recv(4096)
        except BlockingIOError:
            return []
        items: list[Result | Update] = []
        while not self._items.empty():
            items.append(self._items.get_nowait())
        return items

    def close(self) -> None:
        self.reader.close()
        self._waker.close()

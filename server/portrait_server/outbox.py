# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits to be sent on one connection."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

_SMALL_BYTES: Final = 1 << 16
_MESSAGE_COST_BYTES: Final = 256
"""What a queued message takes beside its own bytes."""


class Outbox:
    """Never blocks. Large buffers are not copied.

    Attributes:
        queued_bytes: what waits, and the cost of keeping it.
        moved: when the connection last took something, or nothing waited; seconds.
        broken: the connection takes nothing any more.
    """

    def __init__(self, connection: socket.socket, now: float) -> None:
        self.queued_bytes = 0
        self.moved = now
        self.broken = False
        self._connection = connection
        self._queue: deque[tuple[memoryview, int]] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def put(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Queues a message's buffers; those that are small travel in one."""
        if self.broken:
            return
        cost, small = _MESSAGE_COST_BYTES, bytearray()
        for buffer in buffers:
            if len(buffer) <= _SMALL_BYTES:
                small += buffer
                continue
            cost = self._append(small, cost)
            small = bytearray()
            cost = self._append(buffer, cost)
        self._append(small, cost)

    def flush(self, now: float) -> None:
        """Sends what the connection takes."""
        if not self._queue:
            self.moved = now
        while self._queue:
            data, cost = self._queue[0]
            try:
                count = self._connection.send(data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # what the peer has said before it left may still be read
                self.broken = True
                self.clear()
                return
            self.moved = now
            self.queued_bytes -= count
            if count < len(data):
                self._queue[0] = data[count:], cost
            else:
                self._queue.popleft()
                self.queued_bytes -= cost

    def clear(self) -> None:
        self._queue.clear()
        self.queued_bytes = 0

    def _append(self, data: bytes | bytearray | memoryview, cost: int) -> int:
        if data:
            self._queue.append((memoryview(data), cost))
            self.queued_bytes += len(data) + cost
            return 0
        return cost

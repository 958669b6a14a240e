# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits to be sent on one connection."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Final

_SMALL_BYTES: Final = 1 << 16
_MESSAGE_COST_BYTES: Final = 256
"""What a queued message takes beside its own bytes."""
_ENTRIES_AHEAD: Final = 4
"""Two large frames and what stands before each: one is sent while the next is sealed."""


@dataclass(frozen=True, eq=False)
class Unsealed:
    """A large frame that another thread encrypts when its turn is near, so that few are held twice.

    Attributes:
        seal: begins it.
        plain_bytes: what it takes until then.
        sealed_bytes: what it comes to.
    """

    seal: Callable[[], Future[memoryview]]
    plain_bytes: int
    sealed_bytes: int


@dataclass(eq=False)
class _Entry:
    """A buffer that waits, or what is left of it.

    Attributes:
        data: what is sent; None while it is not sealed.
        held_bytes: what it counts for now.
    """

    data: memoryview | None
    held_bytes: int
    unsealed: Unsealed | None = None
    sealing: Future[memoryview] | None = None


class Outbox:
    """Never blocks. Large buffers are not copied.

    Attributes:
        queued_bytes: what waits, and the cost of keeping it.
        moved: when the connection last took something, or nothing waited for it; seconds.
        broken: the connection takes nothing any more.
    """

    def __init__(self, connection: socket.socket, now: float) -> None:
        self.queued_bytes = 0
        self.moved = now
        self.broken = False
        self._connection = connection
        self._queue: deque[_Entry] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    @property
    def sendable(self) -> bool:
        """Whether something waits for nothing but the connection."""
        return bool(self._queue) and self._queue[0].data is not None

    def put(self, buffers: Sequence[bytes | memoryview | Unsealed]) -> None:
        """Queues a message's buffers; those that are small travel in one."""
        if self.broken:
            return
        cost, small = _MESSAGE_COST_BYTES, bytearray()
        for buffer in buffers:
            if not isinstance(buffer, Unsealed) and len(buffer) <= _SMALL_BYTES:
                small += buffer
                continue
            cost = self._append(small, cost)
            small = bytearray()
            cost = self._append(buffer, cost)
        self._append(small, cost)

    def flush(self, now: float) -> None:
        """Sends what the connection takes."""
        self._seal()
        while self.sendable:
            entry = self._queue[0]
            assert entry.data is not None
            try:
                count = self._connection.send(entry.data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # what the peer has said before it left may still be read
                self._break()
                return
            self.moved = now
            if count < len(entry.data):
                entry.data = entry.data[count:]
                self._count(entry, entry.held_bytes - count)
            else:
                self._queue.popleft()
                self._count(entry, 0)
                self._seal()
        self.moved = now

    def clear(self) -> None:
        for entry in self._queue:
            if entry.sealing is not None:
                entry.sealing.cancel()
        self._queue.clear()
        self.queued_bytes = 0

    def _append(self, data: bytes | bytearray | memoryview | Unsealed, cost: int) -> int:
        if isinstance(data, Unsealed):
            entry = _Entry(None, 0, data)
            self._count(entry, data.plain_bytes + cost)
        elif data:
            entry = _Entry(memoryview(data), 0)
            self._count(entry, len(data) + cost)
        else:
            return cost
        self._queue.append(entry)
        return 0

    def _seal(self) -> None:
        """Takes what was sealed, and begins with what is next."""
        for entry in islice(self._queue, _ENTRIES_AHEAD):
            if entry.unsealed is None:
                continue
            if entry.sealing is None:
                entry.sealing = entry.unsealed.seal()
                self._count(entry, entry.held_bytes + entry.unsealed.sealed_bytes)
            elif entry.sealing.done():
                if entry.sealing.exception() is not None:  # no memory
                    self._break()
                    return
                entry.data = entry.sealing.result()
                self._count(entry, entry.held_bytes - entry.unsealed.plain_bytes)
                entry.unsealed = entry.sealing = None

    def _count(self, entry: _Entry, held_bytes: int) -> None:
        self.queued_bytes += held_bytes - entry.held_bytes
        entry.held_bytes = held_bytes

    def _break(self) -> None:
        self.broken = True
        self.clear()

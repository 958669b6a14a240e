# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that encrypt and decrypt large frames, so that the one that serves all clients does not wait for them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from portrait_server.large_frames import LARGE_PIXELS, yield_to_others

DIRECT_BYTES: Final = 1 << 19
"""Less is encrypted in a few milliseconds, where it is sent."""
_LARGE_BYTES: Final = 4 * LARGE_PIXELS

Value = TypeVar("Value")


class Ciphering:
    """One thread for frames of usual size, and one, which yields to others, for large ones.

    Attributes:
        reader: becomes readable when something is done.
    """

    def __init__(self) -> None:
        self.reader, self._waker = socket.socketpair()
        self.reader.setblocking(False)
        self._waker.setblocking(False)
        self._usual = ThreadPoolExecutor(1, "cipher")
        self._large = ThreadPoolExecutor(1, "large-cipher", yield_to_others)

    def begin(self, work: Callable[[], Value], count: int) -> Future[Value]:
        """Starts some work on `count` bytes."""
        future = (self._usual if count <= _LARGE_BYTES else self._large).submit(work)
        future.add_done_callback(self._wake)
        return future

    def clear(self) -> None:
        """Takes note of what is done: `reader` is not readable until there is more."""
        try:
            self.reader.recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """What is under way comes to nothing."""
        for threads in (self._usual, self._large):
            threads.shutdown(wait=False, cancel_futures=True)
        self.reader.close()
        self._waker.close()

    def _wake(self, future: Future[Value]) -> None:
        try:
            self._waker.send(b"\0")
        except OSError:
            return  # it is full of wake-up calls already, or nobody waits any more

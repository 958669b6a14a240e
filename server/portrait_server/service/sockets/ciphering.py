# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that encrypt and decrypt large frames, so that the one that serves all clients does not wait for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from portrait_server.service.large_frames import LARGE_PIXELS, yield_to_others
from portrait_server.service.sockets.wakener import Wakener

DIRECT_BYTES: Final = 1 << 19
"""Less is encrypted in a few milliseconds, where it is sent."""
_LARGE_BYTES: Final = 4 * LARGE_PIXELS

Value = TypeVar("Value")


class Ciphering(Wakener):
    """One thread for frames of usual size, and one, which yields to others, for large ones. Wakes when one is done."""

    def __init__(self) -> None:
        super().__init__()
        self._usual = ThreadPoolExecutor(1, "cipher")
        self._large = ThreadPoolExecutor(1, "large-cipher", yield_to_others)

    def begin(self, work: Callable[[], Value], count: int) -> Future[Value]:
        """Starts some work on `count` bytes."""
        future = (self._usual if count <= _LARGE_BYTES else self._large).submit(work)
        future.add_done_callback(lambda _: self.wake())
        return future

    def close(self) -> None:
        """Gives up what is under way."""
        for threads in (self._usual, self._large):
            threads.shutdown(wait=False, cancel_futures=True)
        super().close()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A place for one thing: whoever is quick puts the newest there, whoever is slow takes it and misses what was between."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Used by one thread that puts and one that takes.

    Attributes:
        error: why it was closed, None where all went well.
        closed: whether nothing comes any more.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.closed = False
        self._value: T | None = None
        self._change = threading.Condition()

    def put(self, value: T) -> None:
        """Takes the place of what nobody has taken."""
        with self._change:
            self._value = value
            self._change.notify_all()

    def close(self, error: Exception | None = None) -> None:
        """Nothing more is put. The first call's error stays. From any thread."""
        with self._change:
            if not self.closed:
                self.closed, self.error = True, error
            self._change.notify_all()

    def take(self, timeout_s: float) -> T | None:
        """What is newest, and not taken yet; None where nothing comes within the time, or ever again."""
        with self._change:
            if self._value is None and not self.closed and timeout_s > 0:
                self._change.wait_for(lambda: self._value is not None or self.closed, timeout_s)
            value, self._value = self._value, None
            return value

# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made last, kept for the next time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A few values by key. Used from several threads; two that ask for the same at once may both make it.

    Attributes:
        values: the newest last.
    """

    def __init__(self, count: int) -> None:
        self.values: OrderedDict[Hashable, Value] = OrderedDict()
        self._count = count
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        with self._lock:
            if key in self.values:
                self.values.move_to_end(key)
                return self.values[key]
        value = make()
        with self._lock:
            self.values[key] = value
            self.values.move_to_end(key)
            while len(self.values) > self._count:
                self.values.popitem(last=False)
        return value

    def clear(self) -> None:
        with self._lock:
            self.values.clear()

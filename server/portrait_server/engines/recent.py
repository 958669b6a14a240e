# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine made for one size of frames, kept for the frames that follow."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

_SIZES_KEPT: Final = 2  # a preview's and a render's


class Recent(Generic[Value]):
    """Values by size, (width, height) pixels; only of the sizes last asked for.

    Used from several threads; two that ask for the same at once may both make it.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[int, int], Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, size: tuple[int, int], make: Callable[[tuple[int, int]], Value]) -> Value:
        """What was made for a size, or is made now."""
        with self._lock:
            if size in self._values:
                self._values.move_to_end(size)
                return self._values[size]
        value = make(size)
        with self._lock:
            self._values[size] = value
            self._values.move_to_end(size)
            while len(self._values) > _SIZES_KEPT:
                self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        with self._lock:
            self._values.clear()

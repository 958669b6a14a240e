# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers: what an engine builds of a portrait for frames of one size. As many are kept as a budget of bytes allows."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final, TypeVar

from portrait_server.networks.device_errors import out_of_memory

DEFAULT_BUDGET_BYTES: Final = 2 << 30
_REFUSED: Final = ("Insufficient memory", "DefaultCPUAllocator")  # how OpenCV and torch say it of the machine's memory

Value = TypeVar("Value")


class LayerMemory:
    """Layers of all portraits that are drawn in one place, within a budget: what was used longest ago goes first.

    What does not fit is drawn from and not kept, and built again for the next frames. Used from several threads; two
    that ask for the same at once may both build it.

    Attributes:
        held_bytes: of all that is kept.
        needed_bytes: of the largest that did not fit since `limit` was called.
    """

    def __init__(self, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.held_bytes = 0
        self.needed_bytes = 0
        self._budget = budget_bytes
        self._entries: OrderedDict[tuple[int, Hashable], tuple[Any, int]] = OrderedDict()
        self._owners: dict[int, weakref.finalize] = {}
        self._lock = threading.RLock()  # an owner may die while this thread is inside, and calls `_forget`

    def get(self, owner: Any, key: Hashable, expected_bytes: int, build: Callable[[], Value]) -> Value:
        """An owner's layers, kept or built now.

        Args:
            owner: a portrait; its layers are let go of when it is.
            key: which of them: a size, for instance.
            expected_bytes: what they will take, about; so much room is made before they are built.
            build: called without a lock; once more, with nothing else kept, where memory does not suffice.
        """
        place = id(owner), key
        with self._lock:
            if place in self._entries:
                self._entries.move_to_end(place)
                return self._entries[place][0]
            self._make_room(expected_bytes)
        value = self._built(build)
        self._keep(owner, place, value, array_bytes(value))
        return value

    def limit(self, budget_bytes: int) -> None:
        """Sets the budget, and lets go of what passes it."""
        with self._lock:
            self._budget = budget_bytes
            self.needed_bytes = 0
            self._make_room(0)

    def clear(self) -> None:
        """Lets go of everything."""
        with self._lock:
            self._entries.clear()
            self.held_bytes = 0

    def _built(self, build: Callable[[], Value]) -> Value:
        try:
            return build()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Out here, where the error is gone: it would keep all that was half built.
        self.clear()
        return build()

    def _keep(self, owner: Any, place: tuple[int, Hashable], value: Any, count: int) -> None:
        with self._lock:
            if place in self._entries:
                return
            self._make_room(count)
            if self.held_bytes + count > self._budget:
                self.needed_bytes = max(self.needed_bytes, count)
                return
            self._entries[place] = value, count
            self.held_bytes += count
            if place[0] not in self._owners:
                self._owners[place[0]] = ending = weakref.finalize(owner, self._forget, place[0])
                ending.atexit = False

    def _make_room(self, count: int) -> None:
        while self._entries and self.held_bytes + count > self._budget:
            self.held_bytes -= self._entries.popitem(last=False)[1][1]

    def _forget(self, owner: int) -> None:
        with self._lock:
            del self._owners[owner]
            for place in [place for place in self._entries if place[0] == owner]:
                self.held_bytes -= self._entries.pop(place)[1]


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python, NumPy, OpenCV or torch says that the machine's memory or a device's does not suffice."""
    return isinstance(error, MemoryError) or out_of_memory(error) or any(mark in str(error) for mark in _REFUSED)


def array_bytes(value: Any) -> int:
    """Bytes of all arrays and tensors that a value holds, through containers and dataclasses; layers count for
    themselves."""
    return sum(_arrays_within(value, set()))


def _arrays_within(value: Any, seen: set[int]) -> Iterable[int]:
    if id(value) in seen or value is None or isinstance(value, (str, bytes, int, float, LayerMemory)):
        return
    seen.add(id(value))
    if isinstance(size := getattr(value, "nbytes", None), int):
        yield size
        return
    if dataclasses.is_dataclass(value):
        parts: Iterable[Any] = [getattr(value, item.name) for item in dataclasses.fields(value)]
    elif isinstance(value, Mapping):
        parts = list(value.values())
    elif isinstance(value, (list, tuple)):
        parts = value
    else:
        parts = vars(value).values() if hasattr(value, "__dict__") else ()
    for part in parts:
        yield from _arrays_within(part, seen)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server keeps of its clients' pictures: references and portraits, by content, within a budget of bytes."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np

from portrait_server.engines.base import Engine

REFERENCE_BYTES: Final = 1 << 30
PERSONAL_BYTES: Final = 256 << 20

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Portrait:
    """References made ready by an engine.

    Attributes:
        portrait_id: content hash.
        engine: what prepared it and draws it.
        value: what `Engine.prepare` returned.
        size: (width, height) of the first reference, pixels.
        dtype: of its pixels, which is that of the frames too.
        fixed_bytes: of what belongs to it and is not in `value`: networks tuned to the person.
    """

    portrait_id: str
    engine: Engine
    value: Any
    size: tuple[int, int]
    dtype: np.dtype[Any]
    fixed_bytes: int = 0

    def held_bytes(self) -> int:
        """What it takes now: rendering keeps layers in `value`."""
        return array_bytes(self.value) + self.fixed_bytes


class Store(Generic[Value]):
    """A cache by content hash that forgets what was used longest ago; never what is pinned.

    Args:
        budget_bytes: what all entries may take.
        shrink: lets go of what an entry can make again, and returns its bytes; for pinned ones, where the rest is not
            enough.

    Attributes:
        held_bytes: of all that is kept.
    """

    def __init__(self, budget_bytes: int, shrink: Callable[[Value], int] | None = None) -> None:
        self.held_bytes = 0
        self._shrink = shrink
        self._budget = budget_bytes
        self._entries: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._pins: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: str, value: Value, size_bytes: int) -> None:
        if key in self._entries:
            return
        self._entries[key] = (value, size_bytes)
        self.held_bytes += size_bytes
        self._make_room(key)

    def resize(self, key: str, size_bytes: int) -> None:
        """Takes note that an entry takes more or less than it did; nothing where it is not there any more."""
        if key in self._entries:
            value, before = self._entries[key]
            self._entries[key] = value, size_bytes
            self.held_bytes += size_bytes - before
            self._make_room(key)

    def pin(self, key: str) -> None:
        """Keeps an entry until `unpin`, which is called once for each pin."""
        self._pins[key] = self._pins.get(key, 0) + 1

    def unpin(self, key: str) -> None:
        self._pins[key] -= 1
        if not self._pins[key]:
            del self._pins[key]
            self._make_room(None)

    def _make_room(self, newest: str | None) -> None:
        for key in list(self._entries):
            if self.held_bytes <= self._budget:
                return
            if key not in self._pins and key != newest:
                self.held_bytes -= self._entries.pop(key)[1]
        if self._shrink is not None:
            for key in list(self._entries):
                if self.held_bytes <= self._budget:
                    return
                if key != newest:
                    value, before = self._entries[key]
                    self._entries[key] = value, (now := self._shrink(value))
                    self.held_bytes += now - before


def shrunk(portrait: Portrait) -> int:
    """Lets a portrait go of what it can make again; returns its bytes then."""
    portrait.engine.shrink(portrait.value)
    return portrait.held_bytes()


def array_bytes(value: Any) -> int:
    """Bytes of all arrays and tensors that a value holds, through containers and dataclasses."""
    return sum(_arrays_within(value, set()))


def _arrays_within(value: Any, seen: set[int]) -> Iterable[int]:
    if id(value) in seen or value is None or isinstance(value, (str, bytes, int, float)):
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

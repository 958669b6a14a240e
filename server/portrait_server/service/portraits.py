# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server keeps of its clients' pictures: references and portraits, by content, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.references import ReferenceImage

from portrait_server.engines.base import Engine
from portrait_server.engines.layer_memory import LayerMemory, array_bytes

REFERENCE_BYTES: Final = 1 << 30
PERSONAL_BYTES: Final = 256 << 20

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Order:
    """What a portrait is made of: enough to prepare it on another device.

    Attributes:
        references: all with points.
        personal: what tuned the engine, where something did.
        others: (F, 70, 3), points of further faces that are driven.
    """

    references: tuple[ReferenceImage, ...]
    personal: PersonalFile | None
    others: np.ndarray | None


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
        other_faces: how many further faces are driven.
        order: what it is made of, where there are devices that may need it.
    """

    portrait_id: str
    engine: Engine
    value: Any
    size: tuple[int, int]
    dtype: np.dtype[Any]
    fixed_bytes: int = 0
    other_faces: int = 0
    order: Order | None = None

    def held_bytes(self) -> int:
        """What it takes, without the layers that frames are drawn from."""
        return array_bytes((self.value, self.order)) + self.fixed_bytes


class Store(Generic[Value]):
    """A cache by content hash that forgets what was used longest ago; never what is pinned.

    Args:
        budget_bytes: what all entries may take.
        layers: what is built of the entries while they are used: it has the rest of the budget.

    Attributes:
        held_bytes: of all that is kept, but for layers.
    """

    def __init__(self, budget_bytes: int, layers: LayerMemory | None = None) -> None:
        self.held_bytes = 0
        self._budget = budget_bytes
        self._layers = layers
        self._entries: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._pins: dict[str, int] = {}
        self.make_room()

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
        self.make_room(key)

    def pin(self, key: str) -> None:
        """Keeps an entry until `unpin`, which is called once for each pin."""
        self._pins[key] = self._pins.get(key, 0) + 1

    def unpin(self, key: str) -> None:
        self._pins[key] -= 1
        if not self._pins[key]:
            del self._pins[key]
            self.make_room()

    def make_room(self, newest: str | None = None) -> None:
        """Forgets what was used longest ago, for layers too that did not fit; leaves them what it does not take."""
        for key in list(self._entries):
            if self.held_bytes + self._layer_bytes() <= self._budget:
                break
            if key not in self._pins and key != newest:
                self.held_bytes -= self._entries.pop(key)[1]
        if self._layers is not None:
            self._layers.limit(max(0, self._budget - self.held_bytes))

    def _layer_bytes(self) -> int:
        if self._layers is None:
            return 0
        needed = self._layers.needed_bytes
        return max(self._layers.held_bytes, needed if needed <= self._budget else 0)

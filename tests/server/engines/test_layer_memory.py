# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines keep of portraits between frames: within a budget, and the frames the same whatever was let go of."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pytest
from portrait_server.engines.base import Reference
from portrait_server.engines.layer_memory import LayerMemory, array_bytes
from portrait_server.engines.warp import WarpEngine

from tests.posing import moved

Value = TypeVar("Value")


class Owner:
    """A portrait."""


class Built:
    """Builds layers of some bytes, and counts how often."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.times = 0

    def __call__(self) -> np.ndarray:
        self.times += 1
        return np.zeros(self.count, np.uint8)


class RecordingMemory(LayerMemory):
    """Takes note of what is expected."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: list[int] = []

    def get(self, owner: Any, key: Hashable, expected_bytes: int, build: Callable[[], Value]) -> Value:
        self.expected.append(expected_bytes)
        return super().get(owner, key, expected_bytes, build)


def test_layers_are_built_once_and_the_oldest_go_first() -> None:
    memory, owner = LayerMemory(100), Owner()
    builds = {key: Built(40) for key in "abc"}
    for key in "aabab":
        memory.get(owner, key, 40, builds[key])
    assert memory.held_bytes == 80 and [builds[key].times for key in "ab"] == [1, 1]
    memory.get(owner, "c", 40, builds["c"])
    memory.get(owner, "b", 40, builds["b"])
    assert memory.held_bytes == 80 and builds["b"].times == 1
    memory.get(owner, "a", 40, builds["a"])
    assert builds["a"].times == 2 and memory.held_bytes == 80


def test_room_is_made_before_layers_are_built() -> None:
    memory, owner = LayerMemory(100), Owner()
    memory.get(owner, "old", 80, Built(80))
    seen = []
    memory.get(owner, "new", 50, lambda: seen.append(memory.held_bytes) or np.zeros(50, np.uint8))
    assert seen == [0] and memory.held_bytes == 50


def test_what_does_not_fit_is_drawn_from_and_not_kept() -> None:
    memory, owner, huge = LayerMemory(100), Owner(), Built(101)
    for _ in range(2):
        assert memory.get(owner, "huge", 101, huge).nbytes == 101
        assert memory.held_bytes == 0 and memory.needed_bytes == 101
    assert huge.times == 2
    memory.limit(200)
    assert memory.needed_bytes == 0
    memory.get(owner, "huge", 101, huge)
    assert memory.held_bytes == 101
    memory.limit(100)
    assert memory.held_bytes == 0


def test_layers_go_with_their_portrait_and_its_place_in_memory_may_be_another_s() -> None:
    memory, other = LayerMemory(1000), Owner()
    memory.get(other, "a", 1, Built(1))
    for number in range(1, 20):
        owner = Owner()
        built = Built(number)
        assert len(memory.get(owner, "a", number, built)) == number and built.times == 1
        assert memory.held_bytes == number + 1
        del owner, built
        assert memory.held_bytes == 1


def test_where_memory_does_not_suffice_all_else_is_let_go_of_and_it_is_tried_once_more() -> None:
    memory, owner = LayerMemory(100), Owner()
    memory.get(owner, "old", 10, Built(10))
    tried: list[int] = []
    half_built: weakref.WeakSet[Owner] = weakref.WeakSet()

    def build() -> np.ndarray:
        tried.append(memory.held_bytes)
        assert not half_built, "what the first try had built is let go of too"
        part = Owner()
        half_built.add(part)
        if memory.held_bytes:
            raise MemoryError
        return np.zeros(20, np.uint8)

    memory.get(owner, "new", 20, build)
    assert tried == [10, 0] and memory.held_bytes == 20

    def fail() -> np.ndarray:
        raise MemoryError

    with pytest.raises(MemoryError):
        memory.get(owner, "never", 1, fail)
    assert memory.held_bytes == 0
    with pytest.raises(ZeroDivisionError):
        memory.get(owner, "wrong", 1, lambda: 1 / 0)


def test_many_portraits_at_many_sizes_stay_within_the_budget_and_look_the_same(astronaut: Reference) -> None:
    budget = 360 << 20
    memory = LayerMemory(budget)
    engine, plenty = WarpEngine(layers=memory), WarpEngine()
    target = moved(astronaut.points, 0.05)[None]
    references = [
        astronaut,
        Reference((astronaut.image // 2).astype(np.uint16) * 257, astronaut.points),
        Reference(np.dstack([astronaut.image, astronaut.image[..., :1]]), astronaut.points),
    ]
    portraits = [engine.prepare([reference]) for reference in references]
    sizes = [(64, 64), (512, 512), (1024, 768), (512, 512), (64, 64)]
    turns = [(number, size) for size in sizes for number in range(3)] + [(0, (4096, 4096)), (1, (512, 512))]
    before: dict[tuple[int, tuple[int, int]], bytes] = {}
    for number, size in turns:
        frame = engine.render(portraits[number], target, size, False).tobytes()
        assert memory.held_bytes <= budget
        assert memory.held_bytes == sum(array_bytes(value) for value, _ in memory._entries.values())
        assert before.setdefault((number, size), frame) == frame
    assert memory.held_bytes > 200 << 20, "nothing large was kept"
    for number, portrait in enumerate(plenty.prepare([reference]) for reference in references):
        assert plenty.render(portrait, target, (512, 512), False).tobytes() == before[number, (512, 512)]


def test_the_expected_bytes_are_those_that_are_built(astronaut: Reference) -> None:
    for image in (astronaut.image, astronaut.image.astype(np.uint16), astronaut.image[..., [0, 1, 2, 0]]):
        memory = RecordingMemory()
        scene = WarpEngine(layers=memory).prepare([Reference(image, astronaut.points)]).scene((1024, 1024))
        assert array_bytes(scene) == pytest.approx(memory.expected[0], rel=0.1)


def test_the_arrays_of_a_portrait_are_counted_once_and_its_layers_for_themselves() -> None:
    @dataclass
    class Prepared:
        mesh: np.ndarray
        layers: list[dict[str, np.ndarray]]
        memory: LayerMemory
        name: str = "x"

    memory, mesh = LayerMemory(), np.zeros(10, np.float32)
    prepared = Prepared(mesh, [{"a": np.zeros(5, np.uint8), "again": mesh}], memory)
    memory.get(prepared, "a", 100, Built(100))
    assert array_bytes(prepared) == 45 and memory.held_bytes == 100
    assert array_bytes(None) == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients draw side by side: whoever has large frames keeps nobody waiting, and nobody takes both lanes."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from portrait_server.engines.base import Engine, Reference
from portrait_server.service.lanes import Lanes
from portrait_server.service.large_frames import LARGE_PIXELS
from portrait_server.service.open_render import OpenRender
from portrait_server.service.portraits import Portrait
from portrait_server.service.result_queue import Result, ResultQueue
from portrait_server.service.scheduler import Scheduler
from portrait_server.service.sessions import Session
from portrait_server.service.tasks import FrameBatch
from portrait_shared.other_faces import OtherFaces
from portrait_shared.protocol.messages import Render

LARGE_SIDE = int(LARGE_PIXELS**0.5) + 1


class GateEngine(Engine):
    """Draws each frame when it is told to."""

    name = "gate"
    fingerprint = "gate-1"

    def __init__(self) -> None:
        self.open = threading.Semaphore(0)

    def prepare(self, references: Sequence[Reference], others: np.ndarray | None = None) -> None:
        return None

    def render(
        self, portrait: None, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None = None,
        others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        self.open.acquire()
        return np.zeros((len(points), size[1], size[0], 3), np.uint8)


class Room:
    """Lanes, and clients that ask for frames."""

    def __init__(self) -> None:
        self.results = ResultQueue()
        self.scheduler = Scheduler()
        self.lanes = Lanes(self.scheduler, self.results, "")
        self.gates: list[GateEngine] = []

    def client(self, name: str, side: int) -> OpenRender:
        engine, session = GateEngine(), Session(name.encode(), name)
        self.gates.append(engine)
        message = Render(
            1, "a" * 64, (side, side), False, "raw", 40, np.arange(40, dtype="<i4"), np.zeros((40, 70, 3), "<f4")
        )
        job = OpenRender(session, message, Portrait("a" * 64, engine, None, (side, side), np.dtype(np.uint8)))
        self.scheduler.add(session, job)
        return job

    def begin(self) -> list[str]:
        return [task.session.name for task in self.lanes.dispatch()]

    def finish(self, job: OpenRender) -> FrameBatch:
        """Lets a batch of a client's be drawn, and takes it."""
        job.portrait.engine.open.release()
        while True:
            select.select([self.results.reader], [], [])
            for result in self.results.take_all():
                assert isinstance(result, Result) and result.error is None and result.task.render is job
                self.lanes.returned(result.task)
                return result.task


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    for gate in room.gates:
        gate.open.release(100)
    room.lanes.stop(60.0)
    room.results.close()


def test_a_client_alone_has_one_batch_that_runs_and_one_that_waits(room: Room) -> None:
    job = room.client("anne", 64)
    assert room.begin() == ["anne", "anne"] and room.begin() == []
    assert room.finish(job).indices == range(0, 4)
    assert room.begin() == ["anne"]


def test_small_frames_are_drawn_while_a_large_one_is_under_way(room: Room) -> None:
    large, small = room.client("large", LARGE_SIDE), room.client("small", 64)
    assert sorted(room.begin()) == ["large", "small"]
    for _ in range(5):
        room.finish(small)
        assert room.begin() == ["small"]
    assert room.finish(large).indices == range(0, 1)


def test_two_with_large_frames_leave_room_for_one_with_small_ones(room: Room) -> None:
    first, second = room.client("first", LARGE_SIDE), room.client("second", LARGE_SIDE)
    assert room.begin() == ["first"]
    small = room.client("small", 64)
    assert room.begin() == ["small"]
    room.finish(small)
    room.finish(first)
    assert sorted(room.begin()) == ["second", "small"]
    room.finish(second)
    assert room.begin() == ["first"]


def test_a_third_client_takes_turns_with_the_others(room: Room) -> None:
    jobs = {name: room.client(name, 64) for name in ("anne", "ben", "cleo")}
    assert room.begin() == ["anne", "ben"]
    served = []
    running = ["anne", "ben"]
    for _ in range(9):
        room.finish(jobs[running.pop(0)])
        running += room.begin()
        served.append(running[-1])
    assert {name: served.count(name) for name in jobs} == {"anne": 3, "ben": 3, "cleo": 3}

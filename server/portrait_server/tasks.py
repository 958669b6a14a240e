# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of work that run outside the service's own thread, and the threads that run them."""

from __future__ import annotations

import logging
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.messages import Message, RenderedFrame

from portrait_server.output.png import encode_png
from portrait_server.sessions import RenderJob, Session

log = logging.getLogger(__name__)


class Task(Protocol):
    def run(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class Errand:
    """Work for one request that is done once: detect, prepare, verify an image, echo.

    Attributes:
        run: does it, on another thread.
        finish: called on the service's own thread with what `run` returned; gives the answer.
        place: who runs it: a helper, the thread that prepares and detects, or one of those that draw.
        held_bytes: what it holds until it has been answered.
    """

    session: Session
    request: int
    run: Callable[[], Any]
    finish: Callable[[Any], Message]
    place: Literal["helper", "preparer", "engine"] = "preparer"
    held_bytes: int = 0


class Drawn(NamedTuple):
    """What a batch came to.

    Attributes:
        frames: (N, height, width, 3 or 4) uint8 or uint16.
        portrait_bytes: what the portrait takes now that it was drawn.
    """

    frames: np.ndarray
    portrait_bytes: int


@dataclass(frozen=True, eq=False)
class Batch:
    """Some frames of one render, drawn in one call."""

    job: RenderJob
    indices: range

    @property
    def session(self) -> Session:
        return self.job.session

    @property
    def cost(self) -> int:
        """In pixels to be drawn."""
        return len(self.indices) * self.job.cost

    def run(self) -> Drawn | None:
        """The frames; None where nobody waits for them any more."""
        job = self.job
        if job.ended:
            return None
        points = job.points(self.indices)
        frames = job.portrait.engine.render(job.portrait.value, points, job.size, job.matte)
        wanted = (len(self.indices), job.size[1], job.size[0])
        if (
            frames.dtype != job.portrait.dtype
            or frames.ndim != 4
            or frames.shape[:3] != wanted
            or frames.shape[3] not in (3, 4)
        ):
            raise PortraitError(ErrorCode.INTERNAL, f"The engine drew {frames.shape} {frames.dtype}, not {wanted}.")
        return Drawn(np.ascontiguousarray(frames), job.portrait.held_bytes())


@dataclass(frozen=True, eq=False)
class Encoding:
    """One frame on its way into a PNG file."""

    job: RenderJob
    index: int
    pixels: np.ndarray

    def run(self) -> RenderedFrame | None:
        if self.job.ended:
            return None
        digest = self.job.digest(self.index)
        png = encode_png(self.pixels, digest, self.job.portrait.engine.name)
        return RenderedFrame(self.job.request, self.job.number(self.index), digest, png)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a task: exactly one of `value` and `error` counts."""

    task: Any
    value: Any
    error: PortraitError | None


@dataclass(frozen=True, eq=False)
class News:
    """A message about work that goes on."""

    session: Session
    message: Message


class Mailbox:
    """Where threads leave outcomes for the service; a socket wakes it, so that it can wait for all at once."""

    def __init__(self) -> None:
        self.reader, self.waker = socket.socketpair()
        self.reader.setblocking(False)
        self.waker.setblocking(False)
        self._outcomes: queue.SimpleQueue[Outcome | News] = queue.SimpleQueue()

    def put(self, outcome: Outcome) -> None:
        self._outcomes.put(outcome)
        self.wake()

    def tell(self, news: News) -> None:
        self._outcomes.put(news)
        self.wake()

    def wake(self) -> None:
        try:
            self.waker.send(b"\0")
        except BlockingIOError:
            return  # it is full of wake-up calls already

    def take_all(self) -> list[Outcome | News]:
        try:
            self.reader.recv(4096)
        except BlockingIOError:
            return []
        outcomes: list[Outcome | News] = []
        while not self._outcomes.empty():
            outcomes.append(self._outcomes.get_nowait())
        return outcomes

    def close(self) -> None:
        self.reader.close()
        self.waker.close()


class Workers:
    """Threads that run tasks in the order given. They end with the process: an engine may hang.

    Args:
        niceness: by how much they yield to other threads, where the system has that for threads.

    Attributes:
        busy: how many tasks were given and have not come back; counted by the service's own thread.
    """

    def __init__(self, name: str, count: int, mailbox: Mailbox, log_file: str, niceness: int = 0) -> None:
        self.busy = 0
        self._niceness = niceness
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._mailbox = mailbox
        self._log_file = log_file
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, task: Task) -> None:
        self.busy += 1
        self._tasks.put(task)

    def stop(self, timeout_s: float) -> None:
        """Ends the threads; one that hangs is left behind."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self) -> None:
        if self._niceness and sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while (task := self._tasks.get()) is not None:
            self._mailbox.put(self._run(task))
            del task

    def _run(self, task: Task) -> Outcome:
        try:
            return Outcome(task, task.run(), None)
        except PortraitError as error:
            return Outcome(task, None, error)
        except Exception as error:  # the server outlives whatever goes wrong in one request
            log.exception("A task failed: %r", task)
            return Outcome(task, None, as_portrait_error(error, self._log_file))


def as_portrait_error(error: Exception, log_file: str) -> PortraitError:
    """The words for an error that nobody foresaw."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name == "OutOfMemoryError" or "Insufficient memory" in str(error):
        return PortraitError(
            ErrorCode.IMAGE_TOO_LARGE, "The server ran out of memory.", "Render smaller frames or use a smaller photo."
        )
    return PortraitError(ErrorCode.INTERNAL, f"The server failed ({name}: {error}).", f"See its log: {log_file}")

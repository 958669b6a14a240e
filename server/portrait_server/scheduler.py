# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is served next, and with how many frames: clients in turn, and each client's requests in turn."""

from __future__ import annotations

from collections import deque

from portrait_server.sessions import RenderJob, Session
from portrait_server.tasks import Batch, Errand


class Scheduler:
    """The queue of engine work. Used by the service's own thread alone, so it needs no lock."""

    def __init__(self) -> None:
        self._queues: dict[Session, deque[Errand | RenderJob]] = {}

    def add(self, session: Session, work: Errand | RenderJob) -> int:
        """Queues work; returns how many pieces of work were queued before it."""
        ahead = sum(len(queue) for queue in self._queues.values())
        self._queues.setdefault(session, deque()).append(work)
        return ahead

    def remove(self, session: Session) -> None:
        """Forgets all that a client has asked for."""
        self._queues.pop(session, None)

    def drop(self, job: RenderJob) -> None:
        """Forgets one render, and the points that it holds, wherever it waits."""
        queue = self._queues.get(job.session)
        if queue is not None and job in queue:
            queue.remove(job)

    def clear(self) -> list[Errand | RenderJob]:
        """Forgets everything; returns it."""
        work = [item for queue in self._queues.values() for item in queue]
        self._queues.clear()
        return work

    def next(self, full_only: bool) -> Errand | Batch | None:
        """The next piece of work, or None where there is none that may be done now.

        Args:
            full_only: the engine is busy: no batch smaller than it likes, credit for more may be on its way.
        """
        for session in list(self._queues):
            queue = self._queues.pop(session)
            task = _take(queue, full_only)
            if queue:
                self._queues[session] = queue  # at the end: the others come first
            if task is not None:
                return task
        return None


def _take(queue: deque[Errand | RenderJob], full_only: bool) -> Errand | Batch | None:
    for _ in range(len(queue)):
        work = queue.popleft()
        if isinstance(work, Errand):
            return work
        count = work.drawable(full_only)
        batch = Batch(work, work.take(count)) if count else None
        if work.to_draw:
            queue.append(work)
        if batch is not None:
            return batch
    return None

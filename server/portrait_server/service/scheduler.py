# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is served next, and with how many frames: whoever has cost least so far, and each client's requests in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from portrait_server.service.open_render import FRAME_COST_PIXELS, OpenRender
from portrait_server.service.sessions import Session
from portrait_server.service.tasks import FrameBatch, RequestTask

_UNLIMITED: Final = 1 << 62


def _anyone(session: Session, work: RequestTask | OpenRender) -> bool:
    return True


def _no_limit(session: Session) -> int:
    return _UNLIMITED


class Scheduler:
    """A queue of work. Used by the service's own thread alone, so it needs no lock.

    Cost is counted in pixels to be drawn, not in seconds, so that turns do not depend on what else the machine does.

    Args:
        room: how many bytes of frames may be drawn for a client now.
    """

    def __init__(self, room: Callable[[Session], int] = _no_limit) -> None:
        self._queues: dict[Session, deque[RequestTask | OpenRender]] = {}
        self._cost: dict[Session, int] = {}
        self._room = room
        self._served_cost = 0

    def __len__(self) -> int:
        """How many pieces of work wait."""
        return sum(len(queue) for queue in self._queues.values())

    def add(self, session: Session, work: RequestTask | OpenRender) -> int:
        """Queues work; returns how many pieces of work were queued before it."""
        ahead = len(self)
        self._queues.setdefault(session, deque()).append(work)
        # Whoever was away has no claim to the time that others used meanwhile.
        self._cost[session] = max(self._cost.get(session, 0), self._served_cost)
        return ahead

    def add_again(self, render: OpenRender) -> None:
        """Queues a render, of which something is to be drawn again, as its client's next; unless it is queued."""
        queue = self._queues.setdefault(render.session, deque())
        if render not in queue:
            queue.appendleft(render)
        self._cost.setdefault(render.session, self._served_cost)

    def remove(self, session: Session) -> None:
        """Forgets all that a client has asked for."""
        self._queues.pop(session, None)
        self._cost.pop(session, None)

    def drop(self, render: OpenRender) -> None:
        """Forgets one render, and the points that it holds, wherever it waits."""
        queue = self._queues.get(render.session)
        if queue is not None and render in queue:
            queue.remove(render)

    def clear(self) -> list[RequestTask | OpenRender]:
        """Forgets everything; returns it."""
        work = [item for queue in self._queues.values() for item in queue]
        self._queues.clear()
        return work

    def others_wait(self, session: Session) -> bool:
        """Whether another client has work that may be done now."""
        return any(
            isinstance(work, RequestTask) or (work.credit and work.drawable(False, self._room(other)))
            for other, queue in self._queues.items() if other is not session
            for work in queue
        )  # fmt: skip

    def next(
        self, full_only: bool, allowed: Callable[[Session, RequestTask | OpenRender], bool] = _anyone
    ) -> RequestTask | FrameBatch | None:
        """The next piece of work, or None where there is none that may be done now.

        Args:
            full_only: gives no batch that is smaller than the engine likes, because the engine is busy meanwhile, and credit for
                more frames may be on its way.
            allowed: whether some work may be done now.
        """
        for session in sorted(self._queues, key=self._cost.__getitem__):  # of equals, whoever was served longest ago
            queue = self._queues[session]
            task = _take(queue, full_only, partial(self._room, session), partial(allowed, session))
            if task is not None:
                self._served_cost = max(self._served_cost, self._cost[session])
                self._cost[session] += task.cost if isinstance(task, FrameBatch) else FRAME_COST_PIXELS
                del self._queues[session]
                if queue:
                    self._queues[session] = queue  # at the end: others of the same cost come first
                return task
            if not queue:
                del self._queues[session]
        return None


def _take(
    queue: deque[RequestTask | OpenRender],
    full_only: bool,
    room: Callable[[], int],
    allowed: Callable[[RequestTask | OpenRender], bool],
) -> RequestTask | FrameBatch | None:
    for _ in range(len(queue)):
        work = queue.popleft()
        if not allowed(work):
            queue.append(work)
            continue
        if isinstance(work, RequestTask):
            return work
        count = work.drawable(full_only, room()) if work.credit else 0
        batch = FrameBatch(work, work.take(count)) if count else None
        if work.to_draw:
            queue.append(work)
        if batch is not None:
            return batch
    return None

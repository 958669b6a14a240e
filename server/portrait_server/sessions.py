# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected, and what each has asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from portrait_shared.digest import frame_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.messages import MAX_WINDOW, Render, RenderedFrame

from portrait_server.portraits import Portrait

if TYPE_CHECKING:
    from portrait_server.tunings import TuningJob

MAX_SESSIONS: Final = 256
MAX_PENDING: Final = 64
"""Renders and other requests that one client may have open."""
FRAME_COST_PIXELS: Final = 1 << 16
"""What a frame costs that has next to no pixels."""
LARGE_PIXELS: Final = 1 << 22
"""Frames that cost more are drawn and encoded by threads of their own, which yield to others."""
LARGE_NICENESS: Final = 5
MAX_BATCH_PIXELS: Final = 1 << 22
"""A batch of larger frames would keep others waiting for longer than it saves."""
MAX_CREDIT_BYTES: Final = 1 << 30
"""What all frames of one render's window may take, so that huge frames do not fill memory."""


@dataclass(frozen=True)
class Budgets:
    """Bytes that may be held.

    Attributes:
        client: by one client's open requests, and as much again by its frames that are drawn or wait to be sent.
        total: the same for all clients together.
        portraits: by what is prepared, with what rendering keeps of it.
    """

    client: int = 1 << 30
    total: int = 4 << 30
    portraits: int = 2 << 30


class Ledger:
    """How many bytes clients' open requests hold: photographs that are looked at, landmarks of renders.

    A client's only request may always hold more.
    """

    def __init__(self, budgets: Budgets) -> None:
        self.held = 0
        self._client_bytes = budgets.client
        self._total_bytes = budgets.total

    def charge(self, session: Session, count: int) -> None:
        """Takes note of what a request will hold.

        Raises:
            PortraitError: BUSY.
        """
        if session.held_bytes and session.held_bytes + count > self._client_bytes:
            raise PortraitError(
                ErrorCode.BUSY, f"This client's open requests hold {session.held_bytes >> 20} MB, and one more would "
                f"pass {self._client_bytes >> 20} MB.", "Wait for some of them to end.",
            )  # fmt: skip
        if self.held and self.held + count > self._total_bytes:
            raise PortraitError(
                ErrorCode.BUSY, f"The open requests of all clients hold {self.held >> 20} MB.", "Try again later."
            )
        session.held_bytes += count
        self.held += count

    def release(self, session: Session, count: int) -> None:
        """What `charge` noted is held no more."""
        if not session.gone:
            session.held_bytes -= count
            self.held -= count

    def forget(self, session: Session) -> None:
        """A client has gone; what is still computed for it is thrown away soon."""
        self.held -= session.held_bytes
        session.held_bytes = 0


@dataclass(eq=False)
class Session:
    """One client.

    Attributes:
        routing: its address on the ROUTER socket.
        name: what it calls itself.
        jobs: its open renders by request id.
        tunings: its open tunings by request id.
        held_bytes: what its open requests hold.
        frame_bytes: what its frames hold that are drawn or encoded now.
        errands: how many other requests of its wait or are worked on.
        gone: whether it has left; what is still computed for it is thrown away.
    """

    routing: bytes
    name: str
    jobs: dict[int, RenderJob] = field(default_factory=dict)
    tunings: dict[int, TuningJob] = field(default_factory=dict)
    held_bytes: int = 0
    frame_bytes: int = 0
    errands: int = 0
    gone: bool = False

    @property
    def pending(self) -> int:
        return len(self.jobs) + len(self.tunings) + self.errands


class RenderJob:
    """One render: which frames are to be drawn, are under way, were sent.

    Attributes:
        held_bytes: of its landmarks.
        frame_bytes: of one frame while it is drawn.
        cost: of one frame, in pixels to be drawn.
        credit: how many more frames the client has room for.
        outstanding: frames drawn or being drawn that the client has not consumed.
        peak_outstanding: the most there ever were.
        ended: nothing more is drawn or sent.
    """

    def __init__(self, session: Session, request: Render, portrait: Portrait) -> None:
        self.session = session
        self.portrait = portrait
        self.request = request.request
        self.size = request.size
        self.matte = request.matte
        self.as_png = request.encoding == "png"
        self.window = request.window
        self.outstanding = 0
        self.peak_outstanding = 0
        self.ended = False
        self._numbers = request.numbers
        self._points = request.points
        self.held_bytes = request.points.nbytes + request.numbers.nbytes
        self.frame_bytes = self.size[0] * self.size[1] * 4 * portrait.dtype.itemsize
        self.cost = self.size[0] * self.size[1] + FRAME_COST_PIXELS
        self._most_credit = max(1, min(MAX_WINDOW, MAX_CREDIT_BYTES // self.frame_bytes))
        self._batch_size = max(1, min(portrait.engine.batch_size, MAX_BATCH_PIXELS // self.cost))
        self.credit = min(request.window, self._most_credit)
        self._next_drawn = 0
        self._next_sent = 0
        self._ready: dict[int, RenderedFrame] = {}

    @property
    def total(self) -> int:
        return len(self._numbers)

    @property
    def is_large(self) -> bool:
        return self.cost > LARGE_PIXELS

    @property
    def sent(self) -> int:
        return self._next_sent

    @property
    def to_draw(self) -> int:
        return self.total - self._next_drawn

    def grant(self, count: int) -> None:
        """The client has consumed frames."""
        self.credit = min(self.credit + count, self._most_credit)
        self.outstanding = max(0, self.outstanding - count)

    def drawable(self, full_only: bool, room_bytes: int) -> int:
        """How many frames may be drawn now; with `full_only`, 0 where that is less than a good batch.

        Args:
            room_bytes: what they may take.
        """
        count = min(self._batch_size, self.to_draw, self.credit, room_bytes // self.frame_bytes)
        good = min(self._batch_size, self.to_draw, max(1, min(self.window, self._most_credit) // 2))
        return max(0, count) if count >= good or not full_only else 0

    def take(self, count: int) -> range:
        """The indices of the next frames, which count as under way from now on."""
        indices = range(self._next_drawn, self._next_drawn + count)
        self._next_drawn += count
        self.credit -= count
        self.outstanding += count
        self.session.frame_bytes += count * self.frame_bytes
        self.peak_outstanding = max(self.peak_outstanding, self.outstanding)
        return indices

    def points(self, indices: range) -> np.ndarray:
        """(N, 70, 2 or 3) points of the frames."""
        return self._points[indices.start : indices.stop]

    def digest(self, index: int) -> str:
        return frame_digest(self.portrait.portrait_id, self._points[index], self.size, self.matte)

    def number(self, index: int) -> int:
        return int(self._numbers[index])

    def finish(self, index: int, frame: RenderedFrame) -> list[RenderedFrame]:
        """Takes a finished frame; returns those that can be sent now, in the order asked for."""
        self._ready[index] = frame
        sendable = []
        while (ready := self._ready.pop(self._next_sent, None)) is not None:
            sendable.append(ready)
            self._next_sent += 1
        return sendable

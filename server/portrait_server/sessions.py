# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected, and what each has asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from portrait_shared.digest import frame_digest
from portrait_shared.messages import MAX_WINDOW, Render, RenderedFrame

from portrait_server.portraits import Portrait

if TYPE_CHECKING:
    from portrait_server.tunings import TuningJob

MAX_SESSIONS: Final = 256
MAX_PENDING: Final = 64
"""Renders and other requests that one client may have open."""
MAX_CREDIT_BYTES: Final = 1 << 30
"""What all frames of one render's window may take, so that huge frames do not fill memory."""


@dataclass(eq=False)
class Session:
    """One client.

    Attributes:
        routing: its address on the ROUTER socket.
        name: what it calls itself.
        jobs: its open renders by request id.
        tunings: its open tunings by request id.
        errands: how many other requests of its wait or are worked on.
        gone: whether it has left; what is still computed for it is thrown away.
    """

    routing: bytes
    name: str
    jobs: dict[int, RenderJob] = field(default_factory=dict)
    tunings: dict[int, TuningJob] = field(default_factory=dict)
    errands: int = 0
    gone: bool = False

    @property
    def pending(self) -> int:
        return len(self.jobs) + len(self.tunings) + self.errands


class RenderJob:
    """One render: which frames are to be drawn, are under way, were sent.

    Attributes:
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
        frame_bytes = self.size[0] * self.size[1] * 4
        self._most_credit = max(1, min(MAX_WINDOW, MAX_CREDIT_BYTES // frame_bytes))
        self.credit = min(request.window, self._most_credit)
        self._next_drawn = 0
        self._next_sent = 0
        self._ready: dict[int, RenderedFrame] = {}

    @property
    def total(self) -> int:
        return len(self._numbers)

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

    def drawable(self, full_only: bool) -> int:
        """How many frames may be drawn now; with `full_only`, 0 where that is less than a good batch."""
        batch_size = self.portrait.engine.batch_size
        count = min(batch_size, self.to_draw, self.credit)
        good = min(batch_size, self.to_draw, max(1, min(self.window, self._most_credit) // 2))
        return count if count >= good or not full_only else 0

    def take(self, count: int) -> range:
        """The indices of the next frames, which count as under way from now on."""
        indices = range(self._next_drawn, self._next_drawn + count)
        self._next_drawn += count
        self.credit -= count
        self.outstanding += count
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

# SPDX-License-Identifier: GPL-3.0-or-later
"""One render that a client waits for: how far it is, and what may be drawn of it next."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

import numpy as np
from portrait_shared.digest import followed_digest, frame_digest
from portrait_shared.disclosure import NOTHING_SHOWN
from portrait_shared.layers import FOLLOWING, channels_of
from portrait_shared.other_faces import OtherFaces
from portrait_shared.protocol.messages import MAX_WINDOW, Render, RenderedFrame

from portrait_server.disclosure.disclosing import Disclosing
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.service.large_frames import LARGE_PIXELS
from portrait_server.service.portraits import Portrait
from portrait_server.service.sessions import Session

FRAME_COST_PIXELS: Final = 1 << 16
"""What a frame costs that has next to no pixels."""
MAX_CREDIT_BYTES: Final = 1 << 30
"""What all frames of one render's window may take, so that huge frames do not fill memory."""


class OpenRender:
    """One render: which frames are to be drawn, are under way, were sent.

    Attributes:
        held_bytes: of its landmarks, and what it says of bodies.
        encoding: ``png``, ``raw`` or ``exr``; with the last, `layers` are drawn.
        frame_bytes: of one frame while it is drawn.
        cost: of one frame, in pixels to be drawn.
        credit: how many more frames the client has room for.
        outstanding: frames drawn or being drawn that the client has not consumed.
        peak_outstanding: the most there ever were.
        begun: when it was asked for, by `time.monotonic`.
        ended: nothing more is drawn or sent.
    """

    def __init__(
        self, session: Session, request: Render, portrait: Portrait, devices: int = 1, layers: LayerMemory | None = None
    ) -> None:
        """
        Args:
            devices: how many may draw frames of it at a time.
            layers: where what is made of its portrait is kept from render to render.
        """
        self.session = session
        self.portrait = portrait
        self.request = request.request
        self.size = request.size
        self.matte = request.matte
        self.encoding = request.encoding
        self.layers, self.colorspace, self.disclosure = request.layers, request.colorspace, request.shown
        self.window = request.window
        self.outstanding = 0
        self.peak_outstanding = 0
        self.begun = time.monotonic()
        self.ended = False
        self._layer_memory = layers or LayerMemory()
        self._numbers = request.numbers
        self._points, self._body, self._others = request.points, request.body, request.other_faces
        self.held_bytes = request.points.nbytes + request.numbers.nbytes
        extra = request.body, request.others, request.other_bodies
        self.held_bytes += sum(0 if array is None else array.nbytes for array in extra)
        pixel_bytes = 4 * len(channels_of(self.layers)) if self.layers else 4 * portrait.dtype.itemsize
        self.frame_bytes = self.size[0] * self.size[1] * pixel_bytes
        self.cost = self.size[0] * self.size[1] + FRAME_COST_PIXELS
        self._most_credit = max(1, min(MAX_WINDOW, MAX_CREDIT_BYTES // self.frame_bytes))
        self._batch_size = max(1, min(portrait.engine.batch_size, portrait.engine.batch_pixels // self.cost))
        if devices > 1:  # each has a batch that it draws and one that waits
            self._batch_size = min(self._batch_size, max(1, min(request.window, self._most_credit) // (2 * devices)))
        self.credit = min(request.window, self._most_credit)
        self._next_drawn = 0
        self._again: list[range] = []  # were given to a device that could not draw them
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
        return self.total - self._next_drawn + sum(map(len, self._again))

    @property
    def batch_size(self) -> int:
        """How many frames are drawn in one call, at most."""
        return self._batch_size

    def grant(self, count: int) -> None:
        """The client has consumed frames."""
        self.credit = min(self.credit + count, self._most_credit)
        self.outstanding = max(0, self.outstanding - count)

    def drawable(self, full_only: bool, room_bytes: int) -> int:
        """How many frames may be drawn now; with `full_only`, 0 where that is less than a good batch.

        Args:
            room_bytes: what they may take.
        """
        following = len(self._again[0]) if self._again else self.to_draw
        count = min(self._batch_size, following, self.credit, room_bytes // self.frame_bytes)
        good = min(self._batch_size, following, max(1, min(self.window, self._most_credit) // 2))
        return max(0, count) if count >= good or not full_only else 0

    def take(self, count: int) -> range:
        """The indices of the next frames, which count as under way from now on."""
        if self._again:
            first = self._again.pop(0)
            indices = first[:count]
            if len(first) > count:
                self._again.insert(0, first[count:])
        else:
            indices = range(self._next_drawn, self._next_drawn + count)
            self._next_drawn += count
        self.credit -= count
        self.outstanding += count
        self.session.frame_bytes += count * self.frame_bytes
        self.peak_outstanding = max(self.peak_outstanding, self.outstanding)
        return indices

    def take_back(self, indices: range) -> None:
        """Frames that were taken were not drawn: they are the next."""
        self._again.append(indices)
        self.credit += len(indices)
        self.outstanding -= len(indices)
        self.let_go(len(indices))

    def let_go(self, count: int) -> None:
        """Some of the frames that were taken hold no memory here any more: they were sent, queued to be, or given up."""
        self.session.frame_bytes -= count * self.frame_bytes

    def points(self, indices: range) -> np.ndarray:
        """(N, 70, 2 or 3) points of the frames; with `forward` (2 N, …), then of those that follow."""
        return self._points[self._rows(indices)]

    def body(self, indices: range) -> np.ndarray | None:
        """As many, (…, 2), see `portrait_shared.body`; None where it is the usual one."""
        return None if self._body is None else self._body[self._rows(indices)]

    def others(self, indices: range) -> OtherFaces | None:
        """The portrait's further faces in as many frames."""
        return None if self._others is None else self._others.rows(self._rows(indices))

    def digest(self, index: int) -> str:
        own, *following = (
            frame_digest(
                self.portrait.portrait_id, self._points[row], self.size, self.matte,
                None if self._body is None else self._body[row],
                None if self._others is None else self._others.rows(row), self.layers, self.colorspace,
                self.disclosure,
            )
            for row in self._rows(range(index, index + 1)).tolist()
        )  # fmt: skip
        return followed_digest(own, following[0]) if following else own

    def disclosed(self, frames: np.ndarray, indices: range) -> list[np.ndarray]:
        """Frames as they were drawn, with what they show of having been made. Called by threads that draw.

        Args:
            frames: (N, height, width, C).
        """
        if self.disclosure == NOTHING_SHOWN:
            return list(frames)
        portrait = self.portrait
        kind = frames.dtype, frames.shape[-1]
        photo = portrait.engine.driven_photo(portrait.value)
        disclosing = self._layer_memory.get(
            portrait, (self.size, self.disclosure, kind), Disclosing.bytes_of(self.size),
            lambda: Disclosing(
                self.disclosure, self.size, portrait.portrait_id, photo.people if photo else None,
                photo.image if photo else None, kind,
            ),
        )  # fmt: skip
        put = partial(disclosing.into_layers, layers=self.layers) if self.layers else disclosing.into
        return [put(frame) for frame in frames]

    def _rows(self, indices: range) -> np.ndarray:
        rows = np.arange(indices.start, indices.stop)
        return np.concatenate([rows, rows + self.total]) if not FOLLOWING.isdisjoint(self.layers) else rows

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

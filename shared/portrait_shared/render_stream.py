# SPDX-License-Identifier: GPL-3.0-or-later
"""RenderStream: frames as they arrive, at the pace of whoever reads them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np

from portrait_shared.channel import ServerLost
from portrait_shared.digest import frame_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.messages import Credit, Done, Error, Message, Progress, Render, RenderedFrame
from portrait_shared.protocol import bad_message
from portrait_shared.references import Frame, PortraitHandle

if TYPE_CHECKING:
    from portrait_shared.client import Client

_FRUITLESS_TRIES: Final = 3
_WAIT_SECONDS: Final = 1.0


class RenderStream:
    """Iterates over the frames of one render, in the order asked for. Made by `Client.render`.

    Attributes:
        total: how many frames were asked for.
        done: how many have been handed out.
        state: ``queued`` behind other work, ``running``, ``done`` or ``cancelled``.
        ahead: how many other renders were waiting or running when this one was queued.
    """

    def __init__(
        self,
        client: Client,
        portrait: PortraitHandle,
        points: np.ndarray,
        frames: Sequence[int],
        size: tuple[int, int],
        matte: bool,
        encoding: Literal["png", "raw"],
        window: int,
    ) -> None:
        self.total = len(frames)
        self.done = 0
        self.state = "queued"
        self.ahead = 0
        self._client = client
        self._portrait = portrait
        self._size = size
        self._matte = matte
        self._encoding = encoding
        self._window = window
        self._missing = {int(number): row for number, row in zip(frames, points, strict=True)}
        self._inbox: deque[Frame] = deque()
        self._job: int | None = None
        self._generation = -1
        self._owed = 0
        self._handed_out = False
        self._fruitless = 0
        self._forgotten = False
        self._error: PortraitError | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        """The next frame; waits for it.

        Raises:
            PortraitError: whatever stopped the render; SERVER_LOST where it could not be taken up again.
        """
        while self.state not in ("done", "cancelled"):
            if (frame := self.next(_WAIT_SECONDS)) is not None:
                return frame
        raise StopIteration

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame, or None where none came in about that time, or all are done.

        Raises:
            PortraitError: as iterating does.
        """
        deadline = time.monotonic() + timeout_s
        self._owed += self._handed_out  # whoever asks for a frame has consumed the one before
        self._handed_out = False
        while self.state not in ("done", "cancelled"):
            try:
                if (frame := self._take(deadline)) is not None:
                    return frame
            except ServerLost:
                self._fruitless += 1
                if self._fruitless > _FRUITLESS_TRIES:
                    raise
                self._client.link.lost()
            if time.monotonic() >= deadline:
                break
        return None

    def cancel(self) -> None:
        """Stops the render; iteration ends. Safe to call twice, and after the end."""
        if self.state not in ("done", "cancelled"):
            self.state = "cancelled"
            self._inbox.clear()
            self._client.leave(self._job, self._generation)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def deliver(self, message: Message) -> None:
        """Takes a message of this render from the client."""
        if isinstance(message, RenderedFrame):
            self._inbox.append(self._checked(message))
            del self._missing[message.number]
            self._fruitless = 0
            self.state = "running"
        elif isinstance(message, Progress):
            self.state, self.ahead = message.state, message.ahead
        elif isinstance(message, Done):
            if self._missing:
                self._error = PortraitError(ErrorCode.CANCELLED, "The server ended the render early.")
        elif isinstance(message, Error):
            if message.code == ErrorCode.UNKNOWN_PORTRAIT and self._fruitless < _FRUITLESS_TRIES:
                self._fruitless += 1
                self._forgotten = True
            else:
                self._error = message.as_exception()

    def _take(self, deadline: float) -> Frame | None:
        """The frame that is there, or one that comes before the deadline."""
        if not self._inbox and not self._missing:
            self.state = "done"
            self._client.leave(self._job, -1)
            return None
        if self._error is not None and not self._inbox:
            error, self._error = self._error, None
            self.cancel()
            raise error
        if self._inbox and self._client.link.channel is None:
            return self._hand_out()  # what has arrived needs no server
        if self._client.link.step(deadline - time.monotonic()):
            self._ask()
            if not self._inbox:
                self._grant()
            self._client.pump(deadline - time.monotonic() if not self._inbox else 0.0)
        return self._hand_out() if self._inbox else None

    def _hand_out(self) -> Frame:
        if self._owed >= max(1, self._window // 4):
            self._grant()
        frame = self._inbox.popleft()
        self.done += 1
        self._handed_out = True
        return frame

    def _ask(self) -> None:
        """Asks for the missing frames, unless this connection's server was asked already."""
        if self._generation == self._client.link.generation and not self._forgotten:
            return
        if not self._missing:
            return
        if self._forgotten:
            self._forgotten = False
            again = self._client.prepare(
                self._portrait.references, engine=self._portrait.engine, personal=self._portrait.personal
            )
            if again.portrait_id != self._portrait.portrait_id:
                raise PortraitError(
                    ErrorCode.VERSION_MISMATCH, "The server that came back draws with another version of the engine.",
                    "Prepare the portrait again and render all frames anew.",
                )  # fmt: skip
        self._generation = self._client.link.generation
        self._owed = 0
        numbers = np.fromiter(self._missing, "<i4", len(self._missing))
        rows = np.stack(list(self._missing.values()))
        window = max(1, self._window - len(self._inbox))
        self._job = self._client.enter(self)
        self._client.send(
            Render(
                self._job, self._portrait.portrait_id, self._size, self._matte, self._encoding, window, numbers, rows
            )
        )  # fmt: skip

    def _grant(self) -> None:
        link = self._client.link
        if self._owed and self._job is not None and self._missing and self._generation == link.generation:
            if link.channel is None:
                return  # asking the next server brings credit of its own
            link.channel.send(Credit(self._client.new_request(), self._job, self._owed))
        self._owed = 0

    def _checked(self, message: RenderedFrame) -> Frame:
        row = self._missing.get(message.number)
        if row is None:
            raise bad_message(f"The server sent frame {message.number}, which nobody asked for.")
        if message.digest != frame_digest(self._portrait.portrait_id, row, self._size, self._matte):
            raise bad_message(f"The server sent another frame {message.number} than was asked for.")
        if message.pixels is not None:
            wanted = self._portrait.references[0].image.dtype
            if self._encoding != "raw" or message.pixels.shape[1::-1] != self._size or message.pixels.dtype != wanted:
                raise bad_message(f"Frame {message.number} is {message.pixels.dtype} {message.pixels.shape}.")
            return Frame(message.number, message.digest, message.pixels)
        if self._encoding != "png" or message.png is None:
            raise bad_message(f"Frame {message.number} is not in the encoding asked for.")
        return Frame(message.number, message.digest, bytes(message.png))

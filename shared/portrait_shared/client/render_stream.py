# SPDX-License-Identifier: GPL-3.0-or-later
"""RenderStream: frames as they arrive, at the pace of whoever reads them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal, Self

import numpy as np

from portrait_shared.client.conversation import Conversation
from portrait_shared.client.remote_job import RemoteJob
from portrait_shared.digest import followed_digest, frame_digest
from portrait_shared.disclosure import Disclosure
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import FOLLOWING
from portrait_shared.other_faces import OtherFaces
from portrait_shared.protocol.framing import bad_message
from portrait_shared.protocol.messages import Credit, Done, Message, Render, RenderedFrame
from portrait_shared.protocol.references import Frame, PortraitHandle

_WAIT_SECONDS: Final = 1.0


class RenderStream(RemoteJob[Frame]):
    """Iterates over the frames of one render, in the order asked for. Made by `Client.render`.

    Attributes:
        total: how many frames were asked for.
        done: how many have been handed out.
    """

    _forgotten_code = ErrorCode.UNKNOWN_PORTRAIT

    def __init__(
        self,
        conversation: Conversation,
        portrait: PortraitHandle,
        prepare_again: Callable[[], PortraitHandle],
        points: np.ndarray,
        body: np.ndarray | None,
        others: OtherFaces | None,
        frames: Sequence[int],
        size: tuple[int, int],
        matte: bool,
        encoding: Literal["png", "raw", "exr"],
        window: int,
        layers: tuple[str, ...],
        colorspace: str,
        disclosure: Disclosure,
    ) -> None:
        super().__init__(conversation)
        self.total = len(frames)
        self.done = 0
        self._portrait = portrait
        self._prepare_again = prepare_again
        self._size = size
        self._matte = matte
        self._encoding = encoding
        self._window = window
        self._layers, self._colorspace, self._disclosure = layers, colorspace, disclosure
        self._points, self._body, self._others = points, body, others
        self._missing = {int(number): row for row, number in enumerate(frames)}
        self._inbox: deque[Frame] = deque()
        self._owed = 0  # frames consumed for which no credit was given back yet
        self._handed_out = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        """The next frame; waits for it.

        Raises:
            PortraitError: whatever stopped the render; SERVER_LOST where it could not be taken up again.
        """
        while not self.ended:
            if (frame := self.next(_WAIT_SECONDS)) is not None:
                return frame
        raise StopIteration

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame, or None where none came in about that time, or all are done.

        Raises:
            PortraitError: as iterating does.
        """
        self._owed += self._handed_out  # whoever asks for a frame has consumed the one before
        self._handed_out = False
        return super().next(timeout_s)

    def cancel(self) -> None:
        """Stops the render; iteration ends. Safe to call twice, and after the end."""
        self._inbox.clear()
        super().cancel()

    def _take(self, deadline: float) -> Frame | None:
        if not self._inbox:
            if not self._missing:
                self._finish()
                return None
            self._raise_refusal()
            self._grant()
        if self._missing and (not self._inbox or self._conversation.link.channel is not None):
            self._exchange(time.monotonic() if self._inbox else deadline)
        return self._hand_out() if self._inbox else None

    def _hand_out(self) -> Frame:
        if self._owed >= max(1, self._window // 4):
            self._grant()
        frame = self._inbox.popleft()
        self.done += 1
        self._handed_out = True
        return frame

    def _grant(self) -> None:
        """Lets the server send as many frames more as were consumed; asking the next server brings credit of its own."""
        channel = self._conversation.link.channel
        if self._owed and self._job is not None and self._missing and self._is_asked and channel is not None:
            channel.send(Credit(self._conversation.new_request(), self._job, self._owed))
        self._owed = 0

    def _receive(self, message: Message) -> None:
        if isinstance(message, RenderedFrame):
            self._inbox.append(self._checked(message))
            del self._missing[message.number]
            self._has_come_on()
            self.state = "running"
        elif isinstance(message, Done) and self._missing:
            self._error = PortraitError(ErrorCode.CANCELLED, "The server ended the render early.")

    def _hand_over(self) -> None:
        if self._forgotten and self._prepare_again().portrait_id != self._portrait.portrait_id:
            raise PortraitError(
                ErrorCode.VERSION_MISMATCH, "The server that came back draws with another version of the engine.",
                "Prepare the portrait again and render all frames anew.",
            )  # fmt: skip

    def _request(self, job: int) -> Message:
        self._owed = 0
        numbers = np.fromiter(self._missing, "<i4", len(self._missing))
        rows = self._with_following(np.array(list(self._missing.values())))
        window = max(1, self._window - len(self._inbox))
        others = None if self._others is None else self._others.rows(rows)
        return Render(
            job, self._portrait.portrait_id, self._size, self._matte, self._encoding, window, numbers,
            self._points[rows], self._body_of(rows), None if others is None else others.points,
            None if others is None else others.body, self._layers, self._colorspace,
            self._disclosure.as_json(),
        )  # fmt: skip

    def _with_following(self, rows: np.ndarray) -> np.ndarray:
        """The rows of frames (N,) and, where `forward` is asked for, of those that follow them."""
        return np.concatenate([rows, rows + self.total]) if not FOLLOWING.isdisjoint(self._layers) else rows

    def _digest(self, row: int) -> str:
        """What the frame of a row has for its hash."""
        own, *following = (
            frame_digest(
                self._portrait.portrait_id, self._points[each], self._size, self._matte, self._body_of(each),
                None if self._others is None else self._others.rows(each), self._layers, self._colorspace,
                self._disclosure,
            )
            for each in self._with_following(np.array([row])).tolist()
        )  # fmt: skip
        return followed_digest(own, following[0]) if following else own

    def _body_of(self, rows: int | np.ndarray) -> np.ndarray | None:
        return None if self._body is None else self._body[rows]

    def _checked(self, message: RenderedFrame) -> Frame:
        row = self._missing.get(message.number)
        if row is None:
            raise bad_message(f"The server sent frame {message.number}, which nobody asked for.")
        if message.digest != self._digest(row):
            raise bad_message(f"The server sent another frame {message.number} than was asked for.")
        if message.pixels is not None:
            wanted = self._portrait.references[0].image.dtype
            if self._encoding != "raw" or message.pixels.shape[1::-1] != self._size or message.pixels.dtype != wanted:
                raise bad_message(f"Frame {message.number} is {message.pixels.dtype} {message.pixels.shape}.")
            return Frame(message.number, message.digest, message.pixels)
        file = {"png": message.png, "exr": message.exr}.get(self._encoding)
        if file is None:
            raise bad_message(f"Frame {message.number} is not in the encoding asked for.")
        return Frame(message.number, message.digest, bytes(file))

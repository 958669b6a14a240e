# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning: the server's work of minutes on one person, as it comes along."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Self

from portrait_shared.channel import ServerLost
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.messages import Adapt, Adapted, AdaptProgress, Done, Error, Message, Progress
from portrait_shared.personal import PersonalFile, TunedPerson
from portrait_shared.references import ReferenceImage

if TYPE_CHECKING:
    from portrait_shared.conversation import Conversation

_FRUITLESS_TRIES: Final = 3
_WAIT_SECONDS: Final = 0.2


class Tuning:
    """One tuning to a person. Made by `Client.adapt`; begins with the first `next` or `result`.

    Attributes:
        state: ``queued`` behind others' tunings, ``running``, ``done`` or ``cancelled``.
        ahead: how many tunings were waiting or running when this one was queued.
        step: how many steps are done.
        steps: at most; 0 before the first are done.
        score: the mean held-out error now, 0 to 1; None before it is known.
        seconds_left: at most; None before it is known.
    """

    def __init__(self, client: Conversation, photos: Sequence[ReferenceImage], engine: str | None) -> None:
        self.state = "queued"
        self.ahead = 0
        self.step = 0
        self.steps = 0
        self.score: float | None = None
        self.seconds_left: float | None = None
        self._client = client
        self._photos = tuple(photos)
        self._engine = engine
        self._job: int | None = None
        self._generation = -1
        self._fruitless = 0
        self._tuned: TunedPerson | None = None
        self._error: PortraitError | None = None

    def result(
        self,
        progress: Callable[[Tuning], None] = lambda tuning: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> TunedPerson:
        """Waits for the end.

        Args:
            progress: called about five times a second.
            cancelled: asked as often.

        Raises:
            PortraitError: CANCELLED, and what `next` raises.
        """
        with self:
            while (tuned := self.next(_WAIT_SECONDS)) is None:
                if self.state == "cancelled" or cancelled():
                    raise PortraitError(ErrorCode.CANCELLED, "Tuning was cancelled.", "Tune again; it begins anew.")
                progress(self)
        progress(self)
        return tuned

    def next(self, timeout_s: float) -> TunedPerson | None:
        """What tuning came to, or None where it has not ended within about that time.

        Raises:
            PortraitError: NO_FACE, BAD_IMAGE, UNKNOWN_ENGINE, WEIGHTS_MISSING, BUSY; SERVER_LOST where the server
                did not come back. After a crash that it survives, tuning begins anew.
        """
        deadline = time.monotonic() + timeout_s
        while self.state in ("queued", "running"):
            left = deadline - time.monotonic()
            try:
                if self._client.link.step(left):
                    self._ask()
                    self._client.pump(deadline - time.monotonic())
            except ServerLost:
                self._fruitless += 1
                if self._fruitless > _FRUITLESS_TRIES:
                    raise
                self._client.link.lost()
            if self._error is not None:
                error, self._error = self._error, None
                self.cancel()
                raise error
            if self._tuned is not None:
                self.state = "done"
                self._client.leave(self._job, -1)
            elif time.monotonic() >= deadline:
                break
        return self._tuned

    def cancel(self) -> None:
        """Stops tuning, on the server too. Safe to call twice, and after the end."""
        if self.state not in ("done", "cancelled"):
            self.state = "cancelled"
            self._client.leave(self._job, self._generation)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def deliver(self, message: Message) -> None:
        """Takes a message of this tuning from the client."""
        if isinstance(message, Progress):
            self.state, self.ahead = message.state, message.ahead
        elif isinstance(message, AdaptProgress):
            self.state = "running"
            self.step, self.steps, self.score = message.step, message.steps, message.score
            self.seconds_left = message.seconds_left
        elif isinstance(message, Adapted):
            personal = PersonalFile(bytes(message.content))
            self._tuned = TunedPerson(personal, message.kept, message.step, message.before, message.after)
        elif isinstance(message, Done):
            self._error = PortraitError(ErrorCode.CANCELLED, "The server ended the tuning.", "Tune again.")
        elif isinstance(message, Error):
            if message.code == ErrorCode.UNKNOWN_REFERENCE and self._fruitless < _FRUITLESS_TRIES:
                self._fruitless += 1
                self._generation = -1  # the photos go there again
            else:
                self._error = message.as_exception()

    def _ask(self) -> None:
        """Asks, unless this connection's server was asked already."""
        if self._generation == self._client.link.generation:
            return
        for photo in self._photos:
            self._client.upload_reference(photo)
        self.state, self.step, self.steps, self.score, self.seconds_left = "queued", 0, 0, None, None
        self._generation = self._client.link.generation
        self._job = self._client.enter(self)
        self._client.send(Adapt(self._job, self._engine, tuple(photo.digest for photo in self._photos)))

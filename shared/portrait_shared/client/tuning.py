# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning: the server's work of minutes on one person, as it comes along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from portrait_shared.client.conversation import Conversation
from portrait_shared.client.remote_job import RemoteJob
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import TunedPerson
from portrait_shared.protocol.messages import Done, Message, Tune, Tuned, TuningProgress
from portrait_shared.protocol.references import ReferenceImage

_WAIT_SECONDS: Final = 0.2


class Tuning(RemoteJob[TunedPerson]):
    """One tuning to a person. Made by `Client.tune`; begins with the first `next` or `result`.

    Attributes:
        step: how many steps are done.
        steps: at most; 0 before the first are done.
        score: the mean held-out error now, 0 to 1; None before it is known.
        seconds_left: at most; None before it is known.
    """

    _forgotten_code = ErrorCode.UNKNOWN_REFERENCE

    def __init__(self, conversation: Conversation, photos: Sequence[ReferenceImage], engine: str | None) -> None:
        super().__init__(conversation)
        self.step = 0
        self.steps = 0
        self.score: float | None = None
        self.seconds_left: float | None = None
        self._photos = tuple(photos)
        self._engine = engine
        self._tuned: TunedPerson | None = None

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
        return self._tuned if self.state == "done" else super().next(timeout_s)

    def _take(self, deadline: float) -> TunedPerson | None:
        if self._tuned is None and self._error is None:
            self._exchange(deadline)
        self._raise_refusal()
        if self._tuned is not None:
            self._finish()
        return self._tuned

    def _receive(self, message: Message) -> None:
        if isinstance(message, TuningProgress):
            self.state = "running"
            self.step, self.steps, self.score = message.step, message.steps, message.score
            self.seconds_left = message.seconds_left
        elif isinstance(message, Tuned):
            self._tuned = message.as_result()
        elif isinstance(message, Done):
            self._error = PortraitError(ErrorCode.CANCELLED, "The server ended the tuning.", "Tune again.")

    def _hand_over(self) -> None:
        for photo in self._photos:
            self._conversation.upload_reference(photo)

    def _request(self, job: int) -> Message:
        self.state, self.step, self.steps, self.score, self.seconds_left = "queued", 0, 0, None, None
        return Tune(job, self._engine, tuple(photo.digest for photo in self._photos))

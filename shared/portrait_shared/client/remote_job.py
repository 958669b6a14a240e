# SPDX-License-Identifier: GPL-3.0-or-later
"""RemoteJob: a server's work that answers with many messages, and is asked for again where the server was lost."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import ClassVar, Final, Generic, Self, TypeVar

from portrait_shared.client.channel import ServerLost
from portrait_shared.client.conversation import Conversation
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.messages import Error, Message, Progress

_FRUITLESS_TRIES: Final = 3

Outcome = TypeVar("Outcome")


class RemoteJob(ABC, Generic[Outcome]):
    """One job on the server, which `next` asks for when it first needs to, and again of each server that comes back.

    Attributes:
        state: ``queued`` behind other work, ``running``, ``done`` or ``cancelled``.
        ahead: how many other jobs of its kind were waiting or running when this one was queued.
    """

    _forgotten_code: ClassVar[ErrorCode]
    """How the server says that it does not hold any more what the job works on."""

    def __init__(self, conversation: Conversation) -> None:
        self.state = "queued"
        self.ahead = 0
        self._conversation = conversation
        self._job: int | None = None
        self._generation = -1  # the link's, when the job was last asked for
        self._forgotten = False
        self._losses = 0  # of servers, since something of the job came
        self._forgettings = 0  # by the server that is asked, since then
        self._error: PortraitError | None = None

    @property
    def ended(self) -> bool:
        return self.state in ("done", "cancelled")

    def next(self, timeout_s: float) -> Outcome | None:
        """What the job gives next, or None where nothing came within about that time, or the job has ended.

        Raises:
            PortraitError: what the server answers; SERVER_LOST where it did not come back.
        """
        deadline = time.monotonic() + timeout_s
        while not self.ended:
            try:
                if (outcome := self._take(deadline)) is not None:
                    return outcome
            except ServerLost as error:
                if self._losses == _FRUITLESS_TRIES and not error.by_others:
                    raise
                self._losses += not error.by_others
                self._forgettings = 0  # the next one cannot hold anything yet
                self._conversation.link.lost()
            if time.monotonic() >= deadline:
                break
        return None

    def cancel(self) -> None:
        """Stops the job, on the server too. Safe to call twice, and after the end."""
        if not self.ended:
            self.state = "cancelled"
            self._conversation.leave(self._job, tell=self._is_asked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def deliver(self, message: Message) -> None:
        """Takes a message of this job."""
        if isinstance(message, Progress):
            self.state, self.ahead = message.state, message.ahead
        elif not isinstance(message, Error):
            self._receive(message)
        elif message.code == self._forgotten_code and self._forgettings < _FRUITLESS_TRIES:
            self._forgettings += 1
            self._forgotten = True
        else:
            self._error = message.as_exception()

    @abstractmethod
    def _take(self, deadline: float) -> Outcome | None:
        """What is there, or comes before the deadline of `time.monotonic()`; ends the job after the last."""

    @abstractmethod
    def _receive(self, message: Message) -> None:
        """Takes a message that is neither about the job's place in the queue nor an error."""

    @abstractmethod
    def _hand_over(self) -> None:
        """Gives the server what it lacks before it can be asked."""

    @abstractmethod
    def _request(self, job: int) -> Message:
        """What asks the server for the job, or for what is left of it."""

    @property
    def _is_asked(self) -> bool:
        """Whether the server at the other end knows of the job."""
        return self._generation == self._conversation.link.generation and not self._forgotten

    def _exchange(self, deadline: float) -> None:
        """Works towards a connection, asks where that server was not asked yet, and takes up to one message."""
        link = self._conversation.link
        if not link.step(deadline - time.monotonic()):
            return
        if not self._is_asked:
            self._hand_over()
            self._forgotten = False
            self._generation = link.generation
            self._job = self._conversation.enter(self)
            self._conversation.send(self._request(self._job))
        self._conversation.pump(deadline - time.monotonic())

    def _finish(self) -> None:
        """Takes note that all is there."""
        self.state = "done"
        self._conversation.leave(self._job, tell=False)

    def _raise_refusal(self) -> None:
        """Ends the job where the server has answered with an error, which is raised."""
        if self._error is not None:
            error, self._error = self._error, None
            self.cancel()
            raise error

    def _has_come_on(self) -> None:
        """Takes note that something of the job has come: what stood in its way before does not count any more."""
        self._losses = self._forgettings = 0

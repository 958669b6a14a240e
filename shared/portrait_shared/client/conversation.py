# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and their answers over one link: what `Client` is built on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from portrait_shared.client.channel import ServerLost
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.link import Link
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.framing import bad_message
from portrait_shared.protocol.messages import (
    Cancel,
    Error,
    Message,
    OfferPersonal,
    OfferReference,
    Progress,
    ReferenceState,
)
from portrait_shared.protocol.references import ReferenceImage

_TRIES: Final = 3
_WAIT_SECONDS: Final = 1.0

Answer = TypeVar("Answer", bound=Message)


class Stream(Protocol):
    """Work of the server that sends many messages."""

    def deliver(self, message: Message) -> None:
        """Takes a message."""

    def cancel(self) -> None:
        """Stops the work."""


class Conversation:
    """Used by one thread; every wait is bounded.

    Attributes:
        link: the connection to the server.
    """

    def __init__(self, connection: Connection | ServerProcess, name: str, restarts: int) -> None:
        self.link = Link(connection, name, restarts)
        self._streams: dict[int, Stream] = {}
        self._last_request = 1  # the hello's

    def new_request(self) -> int:
        self._last_request += 1
        return self._last_request

    def enter(self, stream: Stream) -> int:
        """A new request id, whose messages go to the stream from now on."""
        self._streams = {job: other for job, other in self._streams.items() if other is not stream}
        job = self.new_request()
        self._streams[job] = stream
        return job

    def leave(self, job: int | None, *, tell: bool) -> None:
        """Ends a stream's job; where `tell`, on the server too."""
        if job is None or self._streams.pop(job, None) is None:
            return
        if self.link.channel is not None and tell:
            with contextlib.suppress(ServerLost):  # the job ends with the connection; whoever asks next mends that
                self.link.channel.send(Cancel(self.new_request(), job))

    def send(self, message: Message) -> None:
        self.link.connect().send(message)

    def pump(self, timeout_s: float) -> Message | None:
        """Receives one message within about `timeout_s`; a stream's goes to the stream, another is returned."""
        message = self.link.receive(timeout_s)
        if message is None:
            return None
        stream = self._streams.get(message.request)
        if stream is None:
            return message
        stream.deliver(message)
        return None

    def ask_about(self, uploads: Sequence[Callable[[], None]], request: Message, kind: type[Answer]) -> Answer:
        """Makes sure that the server has what a request speaks of, then asks; again where it has lost it meanwhile."""
        for attempt in range(_TRIES):
            for upload in uploads:
                upload()
            try:
                return self.ask(request, kind)
            except PortraitError as error:
                if error.code != ErrorCode.UNKNOWN_REFERENCE or attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def upload_reference(self, reference: ReferenceImage) -> None:
        """Makes sure that the server has a photo."""
        self._upload(
            OfferReference(self.new_request(), reference.digest, reference.size),
            lambda: OfferReference(self.new_request(), reference.digest, reference.size, reference.image),
        )

    def upload_personal(self, personal: PersonalFile) -> None:
        """Makes sure that the server has a personal file."""
        self._upload(
            OfferPersonal(self.new_request(), personal.digest),
            lambda: OfferPersonal(self.new_request(), personal.digest, personal.content),
        )

    def _upload(self, offer: Message, handover: Callable[[], Message]) -> None:
        if not self.ask(offer, ReferenceState).known and not self.ask(handover(), ReferenceState).known:
            raise bad_message("The server did not take what it was given.")

    def ask(self, request: Message, kind: type[Answer]) -> Answer:
        """Sends a request and waits for its answer; asks the server that came back where one was lost."""
        tries = 0
        while True:
            try:
                self.send(request)
                return self._wait_for(request.request, kind)
            except ServerLost as error:
                self.link.lost()
                tries += not error.by_others
                if tries == _TRIES:
                    raise

    def _wait_for(self, request: int, kind: type[Answer]) -> Answer:
        while True:
            message = self.pump(_WAIT_SECONDS)
            if message is None or message.request != request or isinstance(message, Progress):
                continue
            if isinstance(message, Error):
                raise message.as_exception()
            if not isinstance(message, kind):
                raise bad_message(f"The server answered with `{message.type}`.")
            return message

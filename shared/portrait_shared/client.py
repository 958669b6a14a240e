# SPDX-License-Identifier: GPL-3.0-or-later
"""The one client: the extension, the command line and a farm all use it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final, Literal, Self, TypeVar

import numpy as np

from portrait_shared.bounds import check_frame_points
from portrait_shared.channel import ServerLost
from portrait_shared.connection import Connection
from portrait_shared.digest import frame_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.launcher import ServerProcess
from portrait_shared.link import Link
from portrait_shared.messages import (
    MAX_FRAMES,
    MAX_WINDOW,
    AskStats,
    Cancel,
    Detect,
    Detected,
    Echo,
    Echoed,
    Error,
    Message,
    OfferReference,
    Prepare,
    Prepared,
    Progress,
    ReferenceState,
    Shutdown,
    Stats,
    Stopping,
)
from portrait_shared.protocol import bad_message
from portrait_shared.references import (
    MAX_REFERENCES,
    Detection,
    Frame,
    PortraitHandle,
    ReferenceImage,
    ServerInfo,
)
from portrait_shared.render_stream import RenderStream

__all__ = ["Client", "Detection", "Frame", "PortraitHandle", "ReferenceImage", "RenderStream", "ServerInfo"]

_TRIES: Final = 3
_WAIT_SECONDS: Final = 1.0
_LEAST_WINDOW: Final = 8

Answer = TypeVar("Answer", bound=Message)


class Client:
    """Talks to one server. Used by one thread; every wait is bounded.

    Args:
        connection: where the server is; given a `ServerProcess`, the client starts it,
            and starts it again after a crash.
        name: what the server's log calls this client.
        restarts: how many crashes in a row are forgiven; a server that lived 10 s counts as stable.

    Attributes:
        link: the connection to the server, for `RenderStream`.
    """

    def __init__(self, connection: Connection | ServerProcess, *, name: str = "client", restarts: int = 5) -> None:
        self.link = Link(connection, name, restarts)
        self._streams: dict[int, RenderStream] = {}
        self._last_request = 1  # 1 was the hello

    @property
    def server(self) -> ServerInfo:
        """Who the server is; connects where that has not been done."""
        return self.connect()

    def connect(self) -> ServerInfo:
        """Says hello, unless connected. Other calls do it when needed.

        Raises:
            PortraitError: VERSION_MISMATCH, SERVER_UNAVAILABLE.
        """
        info = self.link.connect().server
        assert info is not None
        return info

    def detect(self, image: np.ndarray, *, detector: str | None = None, face: int | None = None) -> Detection:
        """Finds a face and its landmarks.

        Args:
            image: (H, W, 3 or 4) uint8, RGB or RGB with straight alpha.
            face: which of several, counted from 1 at the picture's left; 0 or None for the largest.

        Raises:
            PortraitError: NO_FACE, NO_SUCH_FACE, UNKNOWN_DETECTOR, WEIGHTS_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE.
        """
        return self._detect(ReferenceImage(image), detector, face)

    def prepare(self, references: Sequence[ReferenceImage], *, engine: str | None = None) -> PortraitHandle:
        """Makes a portrait ready to be driven. Points that are None are detected on the server.

        Args:
            references: 1 to 32; the first one's pixel frame is the portrait's.

        Raises:
            PortraitError: UNKNOWN_ENGINE, BAD_POINTS, BAD_IMAGE, and those of `detect`.
        """
        if not 1 <= len(references) <= MAX_REFERENCES:
            raise PortraitError(
                ErrorCode.BAD_IMAGE, f"A portrait is made of 1 to {MAX_REFERENCES} photos, not {len(references)}."
            )
        complete = []
        for reference in references:
            points = self._detect(reference, None, None).points if reference.points is None else reference.points
            check_frame_points(points[np.newaxis], ["of the reference"], reference.size)
            complete.append(ReferenceImage(reference.image, points) if reference.points is None else reference)
        points = np.stack([reference.points for reference in complete if reference.points is not None])
        request = Prepare(
            self.new_request(), engine, tuple(reference.digest for reference in complete), points.astype("<f4")
        )
        prepared = self._ask_about(complete, request, Prepared)
        return PortraitHandle(
            prepared.portrait, points[0], complete[0].size, prepared.engine, prepared.batch_size, tuple(complete)
        )

    def render(
        self,
        portrait: PortraitHandle,
        points: np.ndarray,
        frames: Sequence[int],
        *,
        size: tuple[int, int] | None = None,
        matte: bool = False,
        encoding: Literal["png", "raw"] = "png",
        window: int | None = None,
    ) -> RenderStream:
        """Asks for frames, which then stream in.

        Args:
            portrait: from `prepare`, of this client or another.
            points: (T, 70, 2 or 3) pixels of the first reference, one row a frame.
            frames: T numbers, no two alike.
            size: (width, height); the first reference's where None.
            matte: frames get the person's alpha as a fourth channel.
            encoding: ``png``: finished files; ``raw``: arrays.
            window: how many frames the server may be ahead of the reader; what keeps the engine busy where None.

        Raises:
            PortraitError: BAD_POINTS, naming the frame and the point.
        """
        numbers = [int(frame) for frame in frames]
        if len(set(numbers)) != len(numbers) or len(numbers) > MAX_FRAMES:
            raise PortraitError(
                ErrorCode.BAD_TRACK, f"Up to {MAX_FRAMES} frames, no two alike, can be asked for at once."
            )
        checked = check_frame_points(points, numbers, portrait.size)
        if window is None:
            window = max(_LEAST_WINDOW, 2 * portrait.batch_size)
        return RenderStream(
            self, portrait, checked, numbers, size or portrait.size, matte, encoding, max(1, min(window, MAX_WINDOW))
        )  # fmt: skip

    def frame_digest(
        self, portrait: PortraitHandle, row: np.ndarray, size: tuple[int, int] | None = None, matte: bool = False
    ) -> str:
        """The content hash that the frame of this row (70, 2 or 3) will have."""
        return frame_digest(portrait.portrait_id, row, size or portrait.size, matte)

    def echo(self, *, through_engine: bool = False) -> float:
        """Round-trip time in seconds, through the server's queue of engine work if asked."""
        self.connect()
        start = time.perf_counter()
        self._ask(Echo(self.new_request(), through_engine), Echoed)
        return time.perf_counter() - start

    def stats(self) -> dict[str, Any]:
        """The server's counters, and under ``jobs`` those of each render."""
        answer = self._ask(AskStats(self.new_request()), Stats)
        return {**answer.counters, "jobs": [dict(job) for job in answer.jobs]}

    def shutdown(self) -> None:
        """Asks the server to stop: it finishes the batch in hand and hands the rest back."""
        self._ask(Shutdown(self.new_request()), Stopping)

    def close(self) -> None:
        """Lets go of the server; stops it where this client has started it. Never hangs."""
        for stream in list(self._streams.values()):
            stream.cancel()
        self.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # For RenderStream

    def new_request(self) -> int:
        self._last_request += 1
        return self._last_request

    def enter(self, stream: RenderStream) -> int:
        """A new request id, whose messages go to the stream from now on."""
        self._streams = {job: other for job, other in self._streams.items() if other is not stream}
        job = self.new_request()
        self._streams[job] = stream
        return job

    def leave(self, job: int | None, generation: int) -> None:
        """Ends a stream's job, on the server too if it is still the one that was asked."""
        if job is None or self._streams.pop(job, None) is None:
            return
        if self.link.channel is not None and generation == self.link.generation:
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

    def _detect(self, reference: ReferenceImage, detector: str | None, face: int | None) -> Detection:
        request = Detect(self.new_request(), reference.digest, detector, face)
        found = self._ask_about([reference], request, Detected)
        return Detection(found.points, found.face_count, found.detector, found.mesh478)

    def _ask_about(self, references: Sequence[ReferenceImage], request: Message, kind: type[Answer]) -> Answer:
        """Makes sure that the server has the references, then asks; again where it has lost them meanwhile."""
        for attempt in range(_TRIES):
            for reference in references:
                self._upload(reference)
            try:
                return self._ask(request, kind)
            except PortraitError as error:
                if error.code != ErrorCode.UNKNOWN_REFERENCE or attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _upload(self, reference: ReferenceImage) -> None:
        offer = OfferReference(self.new_request(), reference.digest, reference.size)
        if not self._ask(offer, ReferenceState).known:
            handover = OfferReference(self.new_request(), reference.digest, reference.size, reference.image)
            if not self._ask(handover, ReferenceState).known:
                raise bad_message("The server did not take the image.")

    def _ask(self, request: Message, kind: type[Answer]) -> Answer:
        """Sends a request and waits for its answer; asks the server that came back where one was lost."""
        for attempt in range(_TRIES):
            try:
                self.send(request)
                return self._wait_for(request.request, kind)
            except ServerLost:
                self.link.lost()
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

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

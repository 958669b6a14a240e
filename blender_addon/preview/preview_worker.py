# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that draws the live preview: the newest request wins. It knows nothing of Blender's data."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.client.render_stream import RenderStream
from portrait_shared.disclosure import Disclosure
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage

from ..connection import server
from ..connection.releases import explained
from ..connection.worker import Connected
from ..rig.sampling import RigSample, other_faces
from .shot_frames import FilmedFrame, ShotFrames

_MOST_IN_FLIGHT: Final = 2  # one that is drawn and one that waits, so that the engine never waits for the way back
_RETRY_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 1.0
_BUSY_LOOK_SECONDS: Final = 0.02
_LOOK_SECONDS: Final = 0.004  # there is room for one more request: it may come at any moment
_OF_THE_SERVER: Final = (
    ErrorCode.SERVER_UNAVAILABLE, ErrorCode.SERVER_LOST, ErrorCode.SERVER_STOPPING, ErrorCode.VERSION_MISMATCH,
    ErrorCode.NOT_ALLOWED, ErrorCode.BUSY,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Subject:
    """What is drawn, and how: a new one whenever any of it changes.

    Attributes:
        references: the photo and its landmarks, then the further ones; none of a filmed frame.
        filmed: the frame of a shot that is drawn from instead; None for a photo.
        others: (F, 70, 3) landmarks of the photo's further faces that have a rig; None where there are none.
        personal: what tunes the engine to the person, or None.
        engine: its name; the server's own choice where None.
        size: (width, height) of the picture, pixels.
        matte: whether the picture carries the person's alpha.
        disclosure: what it shows of having been made, as the frames will.
    """

    references: tuple[ReferenceImage, ...]
    filmed: FilmedFrame | None
    others: np.ndarray | None
    personal: PersonalFile | None
    engine: str | None
    size: tuple[int, int]
    matte: bool
    disclosure: Disclosure


@dataclass(frozen=True, eq=False)
class Ask:
    """One request.

    Attributes:
        number: rises with each.
        row: what the rig says.
        changed_at: when what it shows was changed (time.monotonic).
        asked_at: when it was asked for.
    """

    number: int
    subject: Subject
    row: RigSample
    changed_at: float
    asked_at: float


@dataclass(frozen=True, eq=False)
class Picture:
    """The answer to a request.

    Attributes:
        pixels: (H, W, 4) float32, the lowest row first.
        come_at: when it came (time.monotonic).
    """

    ask: Ask
    pixels: np.ndarray
    come_at: float


@dataclass(frozen=True)
class Trouble:
    """Why there are no pictures now. `lost`: the server is not there; it is tried again all the time."""

    error: PortraitError
    lost: bool


class PreviewWorker(threading.Thread):
    """Owns a connection, and keeps the portrait ready.

    Attributes:
        events: `Connected`, `Picture` and `Trouble`, as they come.
    """

    def __init__(self, launch: server.Launch, offer: Callable[[np.ndarray], None]) -> None:
        """Args: offer: given the pixels of each picture that carries the watermark, on this thread; see `on_air`."""
        super().__init__(name="portrait preview", daemon=True)
        self.events: queue.SimpleQueue[Connected | Picture | Trouble] = queue.SimpleQueue()
        self._launch = launch
        self._offer = offer
        self._frames = ShotFrames()
        self._newest: Ask | None = None
        self._change = threading.Condition()
        self._stopped = threading.Event()
        self._handle: PortraitHandle | None = None
        self._prepared: Subject | None = None
        self._refused: Subject | None = None
        self._flying: deque[tuple[Ask, RenderStream]] = deque()

    def ask(self, ask: Ask) -> None:
        """Takes a request; one that still waits is forgotten."""
        with self._change:
            self._newest = ask
            self._change.notify()

    @property
    def is_full(self) -> bool:
        """Whether one more request would have to wait until a picture has come."""
        return len(self._flying) >= _MOST_IN_FLIGHT

    def stop(self) -> None:
        """Ends the thread soon."""
        self._stopped.set()
        self._frames.end()
        with self._change:
            self._change.notify()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                with Client(server.acquire(self._launch, self._stopped.is_set), name="Blender's preview") as client:
                    self.events.put(Connected(client.ask_who()))
                    self._serve(client)
            except PortraitError as error:
                if error.code is not ErrorCode.CANCELLED:
                    self.events.put(Trouble(explained(error, self._launch), lost=True))
                self._again(None)
                # No other server is started in place of a lost one: the user decides that.
                self._launch = replace(self._launch, may_start=False)
                self._stopped.wait(_RETRY_SECONDS)

    def _again(self, ask: Ask | None) -> None:
        """Keeps the last request for the next connection, after the server that had it was lost."""
        with self._change:
            if self._newest is None:
                self._newest = ask or (self._flying[-1][0] if self._flying else None)
        self._flying.clear()
        self._prepared = self._handle = None

    def _serve(self, client: Client) -> None:
        while not self._stopped.is_set():
            room = len(self._flying) < _MOST_IN_FLIGHT
            if not room and self._flying[-1][1].state == "queued" and self._newest is not None:
                self._flying.pop()[1].cancel()  # other work holds the engine: the newest takes its place
                room = True
            ask = self._take(0.0 if self._flying else _IDLE_SECONDS) if room else None
            try:
                if ask is not None:
                    self._send(client, ask)
                self._collect(_LOOK_SECONDS if len(self._flying) < _MOST_IN_FLIGHT else _BUSY_LOOK_SECONDS)
            except PortraitError as error:
                if error.code in _OF_THE_SERVER:
                    self._again(ask)
                    raise
                self._refuse(error, ask)

    def _take(self, timeout_s: float) -> Ask | None:
        with self._change:
            if self._newest is None and timeout_s and not self._stopped.is_set():
                self._change.wait(timeout_s)
            ask, self._newest = self._newest, None
        return ask

    def _send(self, client: Client, ask: Ask) -> None:
        if ask.subject is self._refused:
            return
        if ask.subject is not self._prepared:
            self._land()
            self._prepared = None
            subject = ask.subject
            references = subject.references
            if subject.filmed is not None:
                references = (self._frames.reference(client, self._launch, subject.filmed),)
            self._handle = client.prepare(
                references, engine=subject.engine, personal=subject.personal, others=subject.others
            )
            self._prepared = ask.subject
        stream = client.render(
            self._handle, ask.row.points[np.newaxis], [ask.number], size=ask.subject.size, matte=ask.subject.matte,
            encoding="raw", window=1, body=ask.row.body[np.newaxis], others=other_faces([ask.row]),
            disclosure=ask.subject.disclosure,
        )  # fmt: skip
        self._flying.append((ask, stream))
        self._receive(0.0, stream, ask)  # sends it

    def _collect(self, timeout_s: float) -> None:
        for index, (ask, stream) in enumerate(list(self._flying)):
            self._receive(timeout_s if index == 0 else 0.0, stream, ask)

    def _receive(self, timeout_s: float, stream: RenderStream, ask: Ask) -> None:
        frame = stream.next(timeout_s)
        if frame is not None:
            if ask.subject.disclosure.watermark:
                self._offer(frame.data)
            self.events.put(Picture(ask, _as_blender_holds_it(frame.data), time.monotonic()))
        if frame is not None or stream.state in ("done", "cancelled"):
            stream.next(0.0)  # tells the server that the frame was taken
            self._flying.remove((ask, stream))

    def _refuse(self, error: PortraitError, ask: Ask | None) -> None:
        """The picture cannot be drawn as asked for; another pose, or another photo, may be."""
        if ask is not None and self._prepared is None:
            self._refused = ask.subject
        self._land()
        self.events.put(Trouble(error, lost=False))

    def _land(self) -> None:
        """Cancels all requests that are under way."""
        while self._flying:
            self._flying.pop()[1].cancel()


def _as_blender_holds_it(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3 or 4) uint8, the highest row first, as (H, W, 4) float32, the lowest first."""
    height, width, channels = frame.shape
    pixels = np.ones((height, width, 4), np.float32)
    np.multiply(frame[::-1], np.float32(1 / 255), out=pixels[..., :channels])
    return pixels

# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces found and portraits prepared for clients, one after another on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from portrait_shared.bounds import check_points
from portrait_shared.digest import portrait_digest, tuned_fingerprint
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import check_others
from portrait_shared.protocol.messages import Detect, Detected, Message, Prepare, Prepared, Progress
from portrait_shared.protocol.references import ReferenceImage

from portrait_server.detectors.base import Detector
from portrait_server.detectors.registry import create_detector, default_detector_name, detector_names
from portrait_server.detectors.selection import select_face
from portrait_server.engines.base import Reference
from portrait_server.engines.layer_memory import array_bytes
from portrait_server.engines.loaded_engines import LoadedEngines, tunable
from portrait_server.media.images import eight_bit, opaque
from portrait_server.service.budgets import Ledger
from portrait_server.service.portraits import Order, Portrait, Store
from portrait_server.service.result_queue import ResultQueue
from portrait_server.service.scheduler import Scheduler
from portrait_server.service.sessions import Send, Session
from portrait_server.service.tasks import RequestTask
from portrait_server.service.uploads import Uploads
from portrait_server.service.workers import Workers


class Preparation:
    """Used by the service's own thread alone, but for what it gives to its worker.

    Args:
        device: what detectors compute on.
        portraits: where prepared ones are kept.
        send: sends a message to a client, unless it has left.
        devices: on how many frames are drawn.
    """

    def __init__(
        self, device: str, engines: LoadedEngines, uploads: Uploads, portraits: Store[Portrait], ledger: Ledger,
        results: ResultQueue, log_file: str, send: Send, devices: int = 1,
    ) -> None:  # fmt: skip
        self._device = device
        self._engines = engines
        self._uploads = uploads
        self._portraits = portraits
        self._ledger = ledger
        self._send = send
        self._devices = devices
        self._scheduler = Scheduler()
        self._worker = Workers("preparer", 1, results, log_file)
        self._detectors: dict[str, Detector] = {}

    @property
    def busy(self) -> bool:
        return self._worker.busy

    @property
    def waiting(self) -> int:
        """How many requests have not begun."""
        return len(self._scheduler)

    def detect(self, session: Session, message: Detect) -> Message:
        """Queues the search for a face.

        Raises:
            PortraitError: UNKNOWN_REFERENCE, UNKNOWN_DETECTOR, BUSY.
        """
        image = self._uploads.image(message.reference)
        name = message.detector or default_detector_name()
        if name not in detector_names():
            raise PortraitError(
                ErrorCode.UNKNOWN_DETECTOR, f"There is no detector named {name!r}.",
                f"Choose one of: {', '.join(detector_names())}.",
            )  # fmt: skip

        def detect() -> Detected:
            if name not in self._detectors:
                self._detectors[name] = create_detector(name, self._device)
            faces = self._detectors[name].detect(opaque(eight_bit(image)))
            face = select_face(faces, message.face, "the photo")
            mesh = None if face.mesh478 is None else np.asarray(face.mesh478, "<f4")
            return Detected(message.request, name, len(faces), np.asarray(face.points, "<f4"), mesh)

        return self._queue(session, message.request, detect, lambda detected: detected, image.nbytes)

    def prepare(self, session: Session, message: Prepare) -> Message:
        """The portrait, where it is prepared already; else queues its preparation.

        Raises:
            PortraitError: UNKNOWN_ENGINE, UNKNOWN_REFERENCE, BAD_POINTS, BUSY; what keeps the engine from working.
        """
        engine = self._engines.get(message.engine, tuned=message.personal is not None)
        images = [self._uploads.image(digest) for digest in message.references]
        personal = self._uploads.personal(message.personal)
        for image, points in zip(images, message.points, strict=True):
            check_points(points[np.newaxis], size=(image.shape[1], image.shape[0]))
        size = images[0].shape[1], images[0].shape[0]
        others = None if message.others is None else check_others(message.others, size)
        fingerprint = tuned_fingerprint(engine.fingerprint, message.personal)
        portrait_id = portrait_digest(
            engine.name, fingerprint, zip(message.references, message.points, strict=True), others
        )
        answer = Prepared(message.request, portrait_id, engine.name, self._devices * engine.batch_size, engine.weights)
        if self._portraits.get(portrait_id) is not None:
            return answer
        references = [Reference(image, points) for image, points in zip(images, message.points, strict=True)]
        face_count = 0 if others is None else len(others)
        order = None
        if self._devices > 1:
            pictures = (ReferenceImage(*each) for each in zip(images, message.points, strict=True))
            order = Order(tuple(pictures), personal, others)

        def prepare() -> tuple[Portrait, int]:
            if personal is None:
                value = engine.prepare(references, others)
                portrait = Portrait(portrait_id, engine, value, size, images[0].dtype, 0, face_count, order)
            else:
                tuned = self._engines.tuned(engine, personal)
                value = tuned.prepare(references, others)
                portrait = Portrait(
                    portrait_id,
                    tuned,
                    value,
                    size,
                    images[0].dtype,
                    array_bytes(tunable(tuned).painters),
                    face_count,
                    order,
                )
            return portrait, portrait.held_bytes()

        def keep(prepared: tuple[Portrait, int]) -> Message:
            self._portraits.put(portrait_id, *prepared)
            return answer

        return self._queue(session, message.request, prepare, keep, sum(image.nbytes for image in images))

    def dispatch(self) -> None:
        """Begins the next request, where the thread is free."""
        if not self._worker.busy and (task := self._scheduler.next(full_only=False)) is not None:
            assert isinstance(task, RequestTask)
            self._send(task.session, Progress(task.request, "running"))
            self._worker.give(task)

    def returned(self) -> None:
        """Takes note that the thread is done with a request."""
        self._worker.returned()

    def end_session(self, session: Session) -> None:
        """Forgets what a client has asked for and has not begun."""
        self._scheduler.remove(session)

    def clear_queue(self) -> list[RequestTask]:
        """Begins nothing more; returns what waited."""
        return [work for work in self._scheduler.clear() if isinstance(work, RequestTask)]

    def stop(self, timeout_s: float) -> None:
        """Ends the thread."""
        self._worker.stop(timeout_s)

    def close(self) -> None:
        """Lets go of the detectors, which no thread uses any more."""
        for detector in self._detectors.values():
            detector.close()

    def _queue(
        self, session: Session, request: int, run: Callable[[], Any], finish: Callable[[Any], Message], held: int
    ) -> Message:
        task = RequestTask.charged(self._ledger, session, request, run, finish, "preparer", held)
        return Progress(request, "queued", self._scheduler.add(session, task))

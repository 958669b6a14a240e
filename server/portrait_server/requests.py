# SPDX-License-Identifier: GPL-3.0-or-later
"""What each request of a client leads to: an answer at once, or work that is queued."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from portrait_shared import __version__
from portrait_shared.bounds import check_points
from portrait_shared.digest import portrait_digest, tuned_fingerprint
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.messages import (
    Adapt,
    Adapted,
    AskStats,
    Cancel,
    Credit,
    Detect,
    Detected,
    Done,
    Echo,
    Echoed,
    Message,
    OfferPersonal,
    OfferReference,
    Prepare,
    Prepared,
    Progress,
    ReadPicture,
    Render,
    Shutdown,
    Stats,
    Stopping,
    Welcome,
)
from portrait_shared.personal import TunedPerson
from portrait_shared.protocol import MAX_PART_BYTES, bad_message

from portrait_server.detectors.base import Detector
from portrait_server.detectors.registry import create_detector, default_detector_name, detector_names
from portrait_server.detectors.selection import select_face
from portrait_server.engines.base import Reference
from portrait_server.engines.registry import DEFAULT_ENGINE
from portrait_server.images import eight_bit, opaque
from portrait_server.loaded_engines import LoadedEngines, tunable
from portrait_server.portraits import Portrait, Store, array_bytes
from portrait_server.scheduler import Scheduler
from portrait_server.sessions import MAX_PENDING, Ledger, RenderJob, Session
from portrait_server.tasks import Errand, Workers
from portrait_server.tunings import Tunings
from portrait_server.uploads import Uploads

Answer = Message | None


class Requests:
    """Answers requests. All but what is given to workers runs on the service's own thread.

    Attributes:
        stopping: new work is refused.
        counters: totals since the start, for `Stats`.
    """

    def __init__(
        self, frames: Scheduler, errands: Scheduler, helpers: Workers, tunings: Tunings, device: str, log_file: str,
        ledger: Ledger, portrait_bytes: int,
    ) -> None:  # fmt: skip
        self.stopping = False
        self.sessions: dict[bytes, Session] = {}
        self.counters = dict.fromkeys(("frames_drawn", "batches", "largest_batch", "bad_messages"), 0)
        self._frames = frames
        self._errands = errands
        self._ledger = ledger
        self._uploads = Uploads(helpers, self._ledger)
        self._tunings = tunings
        self._device = device
        self._log_file = log_file
        self._started = time.monotonic()
        self._portraits: Store[Portrait] = Store(portrait_bytes, _shrunk)
        self._detectors: dict[str, Detector] = {}
        self._engines = LoadedEngines(device)
        self._handlers: dict[type[Message], Callable[[Session, Any], Answer]] = {
            Echo: self._echo,
            AskStats: self._stats,
            Shutdown: self._shutdown,
            OfferReference: self._uploads.offer_reference,
            OfferPersonal: self._uploads.offer_personal,
            Adapt: self._adapt,
            ReadPicture: self._uploads.read_picture,
            Detect: self._detect,
            Prepare: self._prepare,
            Render: self._render,
            Credit: self._credit,
            Cancel: self._cancel,
        }

    def handle(self, session: Session, message: Message) -> Answer:
        """The answer to a request, or None where it comes later or there is none.

        Raises:
            PortraitError: the request cannot be served.
        """
        handler = self._handlers.get(type(message))
        if handler is None:
            raise bad_message(f"A client does not send `{message.type}`.")
        if isinstance(message, (OfferReference, OfferPersonal, ReadPicture, Adapt, Detect, Prepare, Render)):
            if self.stopping:
                raise stopping_error()
            if session.pending >= MAX_PENDING:
                raise PortraitError(
                    ErrorCode.BUSY, f"This client has {MAX_PENDING} requests open.", "Wait for some of them to end."
                )
        return handler(session, message)

    def welcome(self, request: int) -> Welcome:
        return Welcome(
            request, __version__, os.getpid(), self._device, self._engines.fingerprints, DEFAULT_ENGINE,
            tuple(detector_names()), default_detector_name(), self._log_file,
        )  # fmt: skip

    def end_job(self, job: RenderJob) -> None:
        """Frees what a render holds; nothing of it is drawn or sent any more."""
        if not job.ended:
            job.ended = True
            job.session.jobs.pop(job.request, None)
            self._frames.drop(job)
            self._ledger.release(job.session, job.held_bytes)
            self._portraits.unpin(job.portrait.portrait_id)

    def end_session(self, session: Session) -> None:
        """Frees all that a client has asked for."""
        session.gone = True
        self.sessions.pop(session.routing, None)
        for job in list(session.jobs.values()):
            self.end_job(job)
        self._tunings.end_session(session)
        self._frames.remove(session)
        self._errands.remove(session)
        self._ledger.forget(session)

    def drawn(self, job: RenderJob, portrait_bytes: int) -> None:
        """Takes note of what a portrait holds now that frames of it were drawn."""
        self._portraits.resize(job.portrait.portrait_id, portrait_bytes)

    def answered(self, errand: Errand) -> None:
        """Takes note that a request is done."""
        errand.session.errands -= 1
        self._ledger.release(errand.session, errand.held_bytes)

    def close(self) -> None:
        for detector in self._detectors.values():
            detector.close()

    def _echo(self, session: Session, message: Echo) -> Answer:
        if not message.through_engine:
            return Echoed(message.request)
        errand = Errand(session, message.request, lambda: None, lambda _: Echoed(message.request), "engine")
        return self._queue(errand, self._frames)

    def _stats(self, session: Session, message: AskStats) -> Answer:
        sessions = self.sessions.values()
        counters = {
            **self.counters,
            "uptime_seconds": time.monotonic() - self._started,
            "clients": len(self.sessions),
            "images_received": self._uploads.images_received,
            "references": len(self._uploads.references),
            "reference_bytes": self._uploads.references.held_bytes,
            "portraits": len(self._portraits),
            "portrait_bytes": self._portraits.held_bytes,
            "personal_files": len(self._uploads.personals),
            "tunings": self._tunings.count,
        }
        jobs = [
            {
                "client": job.session.name, "total": job.total, "sent": job.sent, "window": job.window,
                "outstanding": job.outstanding, "peak_outstanding": job.peak_outstanding,
            }
            for each in sessions for job in each.jobs.values()
        ]  # fmt: skip
        return Stats(message.request, counters, tuple(jobs[:128]))

    def _shutdown(self, session: Session, message: Shutdown) -> Answer:
        self.stopping = True
        return Stopping(message.request)

    def _adapt(self, session: Session, message: Adapt) -> Answer:
        engine = tunable(self._engines.get(message.engine, tuned=True))
        images = [self._uploads.image(digest) for digest in message.references]
        return Progress(message.request, "queued", self._tunings.add(session, message.request, images, engine.checksum))

    def adapted(self, request: int, tuned: TunedPerson) -> Adapted:
        """The answer to `Adapt`. The file is kept, so that the client need not send it back to use it."""
        self._uploads.keep(tuned.personal)
        return Adapted(request, tuned.kept, tuned.step, tuned.before, tuned.after, tuned.personal.content)

    def _detect(self, session: Session, message: Detect) -> Answer:
        image = self._uploads.image(message.reference)
        name = message.detector or default_detector_name()
        if name not in detector_names():
            raise PortraitError(
                ErrorCode.UNKNOWN_DETECTOR, f"There is no detector named {name!r}.",
                f"Choose one of: {', '.join(detector_names())}.",
            )  # fmt: skip

        def detect() -> Detected:
            if name not in self._detectors:
                self._detectors[name] = create_detector(name)
            faces = self._detectors[name].detect(opaque(eight_bit(image)))
            face = select_face(faces, message.face, "the photo")
            mesh = None if face.mesh478 is None else np.asarray(face.mesh478, "<f4")
            return Detected(message.request, name, len(faces), np.asarray(face.points, "<f4"), mesh)

        return self._queue_errand(session, message.request, detect, lambda detected: detected, image.nbytes)

    def _prepare(self, session: Session, message: Prepare) -> Answer:
        engine = self._engines.get(message.engine, tuned=message.personal is not None)
        images = [self._uploads.image(digest) for digest in message.references]
        personal = self._uploads.personal(message.personal)
        for image, points in zip(images, message.points, strict=True):
            check_points(points[np.newaxis], size=(image.shape[1], image.shape[0]))
        fingerprint = tuned_fingerprint(engine.fingerprint, message.personal)
        portrait_id = portrait_digest(engine.name, fingerprint, zip(message.references, message.points, strict=True))
        answer = Prepared(message.request, portrait_id, engine.name, engine.batch_size)
        if self._portraits.get(portrait_id) is not None:
            return answer
        references = [Reference(image, points) for image, points in zip(images, message.points, strict=True)]
        size = images[0].shape[1], images[0].shape[0]

        def prepare() -> tuple[Portrait, int]:
            if personal is None:
                portrait = Portrait(portrait_id, engine, engine.prepare(references), size, images[0].dtype)
            else:
                tuned = self._engines.personalized(engine, personal)
                value = tuned.prepare(references)
                portrait = Portrait(
                    portrait_id, tuned, value, size, images[0].dtype, array_bytes(tunable(tuned).networks)
                )
            return portrait, portrait.held_bytes()

        def keep(prepared: tuple[Portrait, int]) -> Message:
            self._portraits.put(portrait_id, *prepared)
            return answer

        held = sum(image.nbytes for image in images)
        return self._queue_errand(session, message.request, prepare, keep, held)

    def _render(self, session: Session, message: Render) -> Answer:
        portrait = self._portraits.get(message.portrait)
        if portrait is None:
            raise PortraitError(
                ErrorCode.UNKNOWN_PORTRAIT, "The server does not hold this portrait any more.", "Prepare it again."
            )
        if message.request in session.jobs:
            raise bad_message("This request id is in use.")
        check_points(message.points, message.numbers, size=portrait.size)
        job = RenderJob(session, message, portrait)
        if job.frame_bytes > MAX_PART_BYTES:
            raise PortraitError(
                ErrorCode.IMAGE_TOO_LARGE,
                f"Frames of {message.size[0]}x{message.size[1]} pixels are too large for 16 bits a channel.",
                "Render smaller frames, or with a depth of 8 bits.",
            )
        self._ledger.charge(session, job.held_bytes)
        session.jobs[job.request] = job
        self._portraits.pin(portrait.portrait_id)
        return Progress(message.request, "queued", self._frames.add(session, job))

    def _credit(self, session: Session, message: Credit) -> Answer:
        if (job := session.jobs.get(message.job)) is not None:  # else it has just ended
            job.grant(message.count)
        return None

    def _cancel(self, session: Session, message: Cancel) -> Answer:
        if (job := session.jobs.get(message.job)) is not None:
            self.end_job(job)
        elif (tuning := session.tunings.get(message.job)) is not None:
            self._tunings.end(tuning)
        else:
            return None  # it has just ended
        return Done(message.job, True)

    def _queue_errand(
        self, session: Session, request: int, run: Callable[[], Any], finish: Callable[[Any], Message], held: int
    ) -> Answer:
        self._ledger.charge(session, held)
        return self._queue(Errand(session, request, run, finish, "preparer", held), self._errands)

    def _queue(self, errand: Errand, scheduler: Scheduler) -> Answer:
        if self.stopping:
            raise stopping_error()
        errand.session.errands += 1
        return Progress(errand.request, "queued", scheduler.add(errand.session, errand))


def _shrunk(portrait: Portrait) -> int:
    portrait.engine.shrink(portrait.value)
    return portrait.held_bytes()


def stopping_error(detail: str = "") -> PortraitError:
    return PortraitError(
        ErrorCode.SERVER_STOPPING, f"The server is stopping.{detail}", "Start it again; what is done stays done."
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""What each request of a client leads to: an answer at once, or work that is queued."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import TunedPerson
from portrait_shared.protocol.framing import bad_message
from portrait_shared.protocol.messages import (
    AskStats,
    Cancel,
    Credit,
    Detect,
    Done,
    Echo,
    Echoed,
    Message,
    OfferPersonal,
    OfferReference,
    Prepare,
    Progress,
    ReadPicture,
    Render,
    Shutdown,
    SignSequence,
    Stats,
    Stopping,
    Tune,
    Tuned,
    Welcome,
)

from portrait_server.detectors.registry import default_detector_name, detector_names
from portrait_server.engines.loaded_engines import LoadedEngines, tunable
from portrait_server.engines.registry import DEFAULT_ENGINE
from portrait_server.networks.device import Device
from portrait_server.service.counters import Counters, State
from portrait_server.service.portraits import Portrait, Store
from portrait_server.service.preparation import Preparation
from portrait_server.service.renders import Renders
from portrait_server.service.service_errors import stopping_error
from portrait_server.service.sessions import Session, Sessions
from portrait_server.service.signing import Signing
from portrait_server.service.tunings import Tunings
from portrait_server.service.uploads import Uploads

MAX_PENDING: Final = 64
"""Renders and other requests that one client may have open."""
_WORK: Final = (OfferReference, OfferPersonal, ReadPicture, Tune, Detect, Prepare, Render, SignSequence)
"""What is not answered at once; an `Echo` through the engine is not, either."""

Answer = Message | None


class Requests:
    """Answers requests. Used by the service's own thread alone.

    Attributes:
        stopping: new work is refused; `stop` or a client has asked for it.
    """

    def __init__(
        self, sessions: Sessions, counters: Counters, portraits: Store[Portrait], engines: LoadedEngines,
        uploads: Uploads, preparation: Preparation, renders: Renders, tunings: Tunings, signing: Signing, device: Device, asked_device: str, log_file: str,
    ) -> None:  # fmt: skip
        self.stopping = False
        self._sessions = sessions
        self._counters = counters
        self._portraits = portraits
        self._engines = engines
        self._uploads = uploads
        self._renders = renders
        self._preparation = preparation
        self._tunings = tunings
        self._device, self._asked_device = device, asked_device
        self._log_file = log_file
        self._handlers: dict[type[Message], Callable[[Session, Any], Answer]] = {
            Echo: self._echo,
            AskStats: self._stats,
            Shutdown: self._shutdown,
            OfferReference: uploads.offer_reference,
            OfferPersonal: uploads.offer_personal,
            Tune: self._tune,
            ReadPicture: uploads.read_picture,
            SignSequence: signing.sign_sequence,
            Detect: preparation.detect,
            Prepare: preparation.prepare,
            Render: renders.add,
            Credit: renders.grant,
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
        if isinstance(message, _WORK) or (isinstance(message, Echo) and message.through_engine):
            if self.stopping:
                raise stopping_error()
            if session.pending >= MAX_PENDING:
                raise PortraitError(
                    ErrorCode.BUSY, f"This client has {MAX_PENDING} requests open.", "Wait for some of them to end."
                )
        return handler(session, message)

    def welcome(self, request: int) -> Welcome:
        """The answer to `Hello`."""
        return Welcome(
            request, __version__, os.getpid(), self._asked_device, self._engines.fingerprints, DEFAULT_ENGINE,
            tuple(detector_names()), default_detector_name(), self._log_file,
        )  # fmt: skip

    def tuned(self, request: int, tuned: TunedPerson) -> Tuned:
        """The answer to `Tune`. The file is kept, so that the client need not send it back to use it."""
        self._uploads.keep(tuned.personal)
        return Tuned.of(request, tuned)

    def stop(self) -> None:
        """Refuses new work from now on."""
        self.stopping = True

    def _echo(self, session: Session, message: Echo) -> Answer:
        return self._renders.add_echo(session, message) if message.through_engine else Echoed(message.request)

    def state(self) -> State:
        """What the service has done, and what it does now."""
        renders = [render for session in self._sessions for render in self._renders.of(session)]
        return self._counters.state({
            "clients": len(self._sessions),
            "references": len(self._uploads.references),
            "reference_bytes": self._uploads.references.held_bytes,
            "portraits": len(self._portraits),
            "portrait_bytes": self._portraits.held_bytes + self._engines.layers.held_bytes,
            "personal_files": len(self._uploads.personals),
            "tunings": self._tunings.count,
            "open_renders": len(renders),
            "frames_waiting": sum(render.to_draw for render in renders),
            "frames_under_way": sum(render.outstanding for render in renders),
            "requests_waiting": self._preparation.waiting,
            "device_model": self._device.model[:256],
            "device_bytes": self._device.total_bytes or 0,
        })  # fmt: skip

    def _stats(self, session: Session, message: AskStats) -> Answer:
        jobs = [
            {
                "client": session.name, "total": render.total, "sent": render.sent, "window": render.window,
                "outstanding": render.outstanding, "peak_outstanding": render.peak_outstanding,
            }
            for session in self._sessions for render in self._renders.of(session)
        ]  # fmt: skip
        return Stats(message.request, self.state().counters, tuple(jobs[:128]))

    def _shutdown(self, session: Session, message: Shutdown) -> Answer:
        self.stop()
        return Stopping(message.request)

    def _tune(self, session: Session, message: Tune) -> Answer:
        engine = tunable(self._engines.get(message.engine, tuned=True))
        images = [self._uploads.image(digest) for digest in message.references]
        return Progress(message.request, "queued", self._tunings.add(session, message.request, images, engine.checksum))

    def _cancel(self, session: Session, message: Cancel) -> Answer:
        if self._renders.cancel(session, message.job) or self._tunings.cancel(session, message.job):
            return Done(message.job, True)
        return None  # it has just ended

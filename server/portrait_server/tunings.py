# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients' tunings: one at a time, in a process of its own, stopped when nobody wants it any more."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.messages import AdaptProgress, Progress
from portrait_shared.personal import TunedPerson
from portrait_shared.private_folders import PrivateFolder

from portrait_server.images import eight_bit
from portrait_server.sessions import Ledger, Session
from portrait_server.tasks import Mailbox, News, Workers
from portrait_server.tuning_process import Failure, Step, tune

log = logging.getLogger(__name__)

MAX_TUNINGS: Final = 8
"""That run or wait, of all clients."""
_POLL_SECONDS = 0.1
_END_SECONDS = 5.0


class TuningJob:
    """One client's tuning; run by a thread of its own that waits for the process.

    Attributes:
        held_bytes: of its photographs.
        ended: nobody waits for it any more.
    """

    def __init__(
        self, session: Session, request: int, images: Sequence[np.ndarray], checksum: str, device: str, mailbox: Mailbox
    ) -> None:
        self.session = session
        self.request = request
        self.held_bytes = sum(image.nbytes for image in images)
        self.ended = False
        self._order: tuple[Sequence[np.ndarray], str, str] | None = (images, checksum, device)
        self._mailbox = mailbox

    def run(self) -> TunedPerson | None:
        """What tuning came to; None where nobody wants it any more.

        Raises:
            PortraitError: what the process says.
        """
        order = self._order
        if order is None:
            return None
        images, checksum, device = order
        self._mailbox.tell(News(self.session, Progress(self.request, "running")))
        photos = [eight_bit(image) for image in images]  # here, where a second of work keeps no other client waiting
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        with PrivateFolder() as folder, receiver:
            process = context.Process(
                target=tune, args=(sender, photos, checksum, device, folder), name="portrait adapt", daemon=True
            )
            process.start()
            sender.close()  # so that the process's end is the pipe's
            try:
                return self._listen(receiver)
            except (EOFError, OSError):  # it ended, perhaps in the middle of a message
                process.join(_END_SECONDS)
                raise PortraitError(
                    ErrorCode.INTERNAL, f"Tuning broke off (exit status {process.exitcode}).",
                    "See the server's log; the machine may have run out of memory: use fewer or smaller photos.",
                ) from None  # fmt: skip
            finally:
                process.terminate()
                process.join(_END_SECONDS)
                if process.is_alive():
                    process.kill()
                    process.join(_END_SECONDS)

    def give_up(self) -> None:
        """Nobody waits any more: the photographs are let go at once, the process soon."""
        self.ended, self._order = True, None

    def _listen(self, receiver: Connection) -> TunedPerson | None:
        while not self.ended:
            if not receiver.poll(_POLL_SECONDS):
                continue
            said = receiver.recv()
            if isinstance(said, TunedPerson):
                return said
            if isinstance(said, Failure):
                if said.details:
                    log.error("Tuning failed: %s", said.details)
                raise PortraitError(ErrorCode(said.code), said.message, said.remedy)
            assert isinstance(said, Step)
            self._mailbox.tell(
                News(self.session, AdaptProgress(self.request, said.step, said.steps, said.score, said.seconds_left))
            )
        return None


class Tunings:
    """All tunings. Used by the service's own thread alone."""

    def __init__(self, mailbox: Mailbox, ledger: Ledger, log_file: str, device: str) -> None:
        self._mailbox = mailbox
        self._ledger = ledger
        self._device = device
        self._worker = Workers("tuner", 1, mailbox, log_file)
        self._wanted: set[TuningJob] = set()

    @property
    def count(self) -> int:
        """How many run or wait that somebody waits for."""
        return len(self._wanted)

    @property
    def busy(self) -> bool:
        """Whether a thread or a process is still at work, or on its way to its end."""
        return self._worker.busy > 0

    def add(self, session: Session, request: int, images: Sequence[np.ndarray], checksum: str) -> int:
        """Queues a tuning; returns how many are ahead of it.

        Raises:
            PortraitError: BUSY.
        """
        if session.tunings:
            raise PortraitError(
                ErrorCode.BUSY, "This client has a tuning under way.", "Wait for its end, or cancel it."
            )
        if self.count >= MAX_TUNINGS:
            raise PortraitError(
                ErrorCode.BUSY, f"{MAX_TUNINGS} tunings wait already.",
                "Try again later, or tune with `portrait adapt`.",
            )  # fmt: skip
        ahead = self.count
        job = TuningJob(session, request, images, checksum, self._device, self._mailbox)
        self._ledger.charge(session, job.held_bytes)
        session.tunings[request] = job
        self._wanted.add(job)
        self._worker.give(job)
        return ahead

    def end(self, job: TuningJob) -> None:
        """Stops a tuning. Of its progress, what is already on its way may still be sent."""
        if not job.ended:
            job.give_up()
            self._wanted.discard(job)
            self._ledger.release(job.session, job.held_bytes)
            job.session.tunings.pop(job.request, None)

    def end_session(self, session: Session) -> None:
        """Stops all that a client has asked for."""
        for job in list(session.tunings.values()):
            self.end(job)

    def returned(self, job: TuningJob) -> bool:
        """Takes note that the thread is done with a tuning; whether somebody still waits for it."""
        self._worker.busy -= 1
        wanted = not job.ended
        self.end(job)
        return wanted

    def stop(self, timeout_s: float) -> None:
        """Ends the thread."""
        self._worker.stop(timeout_s)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients' tunings: one after another, each in a process of its own, stopped when nobody waits for it any more."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.personal import TunedPerson
from portrait_shared.protocol.messages import Progress, TuningProgress

from portrait_server.media.images import eight_bit
from portrait_server.service.budgets import Ledger
from portrait_server.service.result_queue import ResultQueue, Update
from portrait_server.service.sessions import Session
from portrait_server.service.workers import Workers
from portrait_server.tuning.process import Failure, tune

log = logging.getLogger(__name__)

MAX_TUNINGS: Final = 8
"""That run or wait, of all clients."""
_POLL_SECONDS = 0.1
_END_SECONDS = 5.0


class TuningTask:
    """One client's tuning; run by a thread of its own that waits for the process.

    Attributes:
        held_bytes: of its photographs.
        ended: nobody waits for it any more.
    """

    def __init__(
        self, session: Session, request: int, images: Sequence[np.ndarray], checksum: str, device: str,
        results: ResultQueue,
    ) -> None:  # fmt: skip
        self.session = session
        self.request = request
        self.held_bytes = sum(image.nbytes for image in images)
        self.ended = False
        self._order: tuple[Sequence[np.ndarray], str, str] | None = (images, checksum, device)
        self._results = results

    def run(self) -> TunedPerson | None:
        """What tuning came to; None where nobody wants it any more.

        Raises:
            PortraitError: what the process says.
        """
        order = self._order
        if order is None:
            return None
        images, checksum, device = order
        self._results.put(Update(self.session, Progress(self.request, "running")))
        # On this thread, because the service's own would keep every client waiting for a second.
        photos = [eight_bit(image) for image in images]
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
            assert isinstance(said, TuningProgress)
            self._results.put(Update(self.session, dataclasses.replace(said, request=self.request)))
        return None


class Tunings:
    """All tunings: one runs, others wait. Used by the service's own thread alone."""

    def __init__(self, results: ResultQueue, ledger: Ledger, log_file: str, device: str) -> None:
        self._results = results
        self._ledger = ledger
        self._device = device
        self._worker = Workers("tuner", 1, results, log_file)
        self._open: dict[Session, TuningTask] = {}

    @property
    def count(self) -> int:
        """How many run or wait that somebody waits for."""
        return len(self._open)

    @property
    def busy(self) -> bool:
        """Whether a thread or a process is still at work, or on its way to its end."""
        return self._worker.busy

    def add(self, session: Session, request: int, images: Sequence[np.ndarray], checksum: str) -> int:
        """Queues a tuning; returns how many are ahead of it.

        Raises:
            PortraitError: BUSY.
        """
        if session in self._open:
            raise PortraitError(
                ErrorCode.BUSY, "This client has a tuning under way.", "Wait for its end, or cancel it."
            )
        if self.count >= MAX_TUNINGS:
            raise PortraitError(
                ErrorCode.BUSY, f"{MAX_TUNINGS} tunings wait already.",
                "Try again later, or tune with `portrait adapt`.",
            )  # fmt: skip
        ahead = self.count
        task = TuningTask(session, request, images, checksum, self._device, self._results)
        self._ledger.charge(session, task.held_bytes)
        self._open[session] = task
        self._worker.give(task)
        return ahead

    def cancel(self, session: Session, request: int) -> bool:
        """Stops a tuning; whether there was one. Of its progress, what is already on its way may still be sent."""
        task = self._open.get(session)
        if task is None or task.request != request:
            return False
        self._end(task)
        return True

    def end_session(self, session: Session) -> None:
        """Stops what a client has asked for."""
        if (task := self._open.get(session)) is not None:
            self._end(task)

    def end_all(self) -> list[TuningTask]:
        """Stops all; returns those that somebody waits for."""
        tasks = list(self._open.values())
        for task in tasks:
            self._end(task)
        return tasks

    def returned(self, task: TuningTask) -> bool:
        """Takes note that the thread is done with a tuning; whether somebody still waits for it."""
        self._worker.returned()
        wanted = not task.ended
        self._end(task)
        return wanted

    def stop(self, timeout_s: float) -> None:
        """Ends the thread."""
        self._worker.stop(timeout_s)

    def _end(self, task: TuningTask) -> None:
        if not task.ended:
            task.give_up()
            self._ledger.release(task.session, task.held_bytes)
            del self._open[task.session]

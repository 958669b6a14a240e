# SPDX-License-Identifier: GPL-3.0-or-later
"""The service: one thread that owns the socket and hands work to others. It computes nothing and never waits."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.messages import Done, Error, Hello, Message, Progress, RenderedFrame, decode
from portrait_shared.protocol import MAX_PART_BYTES, Buffer, VersionMismatch, bad_message

from portrait_server.door import Door, Gone
from portrait_server.lanes import Lanes
from portrait_server.requests import Requests, stopping_error
from portrait_server.scheduler import Scheduler
from portrait_server.sessions import LARGE_NICENESS, MAX_SESSIONS, Budgets, Ledger, RenderJob, Session
from portrait_server.tasks import Batch, Encoding, Errand, Mailbox, News, Outcome, Workers, as_portrait_error
from portrait_server.tunings import TuningJob, Tunings

log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 10.0
_LINGER_SECONDS: Final = 3.0
_PARENT_POLL_SECONDS: Final = 1.0
_MAX_HELPERS: Final = 4


class Service:
    """Serves until it is told to stop.

    Args:
        door: the socket.
        device: ``cpu`` or ``cuda``.
        log_file: where a person finds more.
        parent_alive: asked every second; the service stops when it says no.
        budgets: what clients and their portraits may hold.
    """

    def __init__(
        self, door: Door, device: str, log_file: str, parent_alive: Callable[[], bool] | None = None, *,
        budgets: Budgets | None = None,
    ) -> None:  # fmt: skip
        self._door = door
        self._log_file = log_file
        self._parent_alive = parent_alive
        self._budgets = budgets or Budgets()
        self._mailbox = Mailbox()
        self._frames = Scheduler(self._room)
        self._errands = Scheduler()
        self._lanes = Lanes(self._frames, self._mailbox, log_file)
        self._preparer = Workers("preparer", 1, self._mailbox, log_file)
        helpers = min(_MAX_HELPERS, os.cpu_count() or 1)
        self._helpers = Workers("helper", helpers, self._mailbox, log_file)
        self._large_helpers = Workers("large-helper", max(1, helpers - 1), self._mailbox, log_file, LARGE_NICENESS)
        ledger = Ledger(self._budgets)
        self._tunings = Tunings(self._mailbox, ledger, log_file, device)
        self._requests = Requests(
            self._frames, self._errands, self._helpers, self._tunings, device, log_file, ledger, self._budgets.portraits
        )
        self._stop_asked = False
        self._stop_deadline: float | None = None
        self._parent_check = time.monotonic()

    def ask_to_stop(self) -> None:
        """Stops soon; a second call stops at once. May be called from a signal handler."""
        if self._stop_asked:
            self._stop_deadline = 0.0
        self._stop_asked = True
        self._mailbox.wake()

    def run(self) -> None:
        """Serves, and returns when all is handed back and closed."""
        self._door.register(self._mailbox.reader)
        while not self._finished():
            self._take_messages()
            self._take_outcomes()
            self._dispatch()
        self._close()

    # Messages

    def _take_messages(self) -> None:  # on its own, so that nothing keeps the last message while the service waits
        for routing, parts in self._door.wait(self._patience_s()):
            self._take_message(routing, parts)
        for routing in self._door.departed():
            self._drop(routing)

    def _take_message(self, routing: bytes, parts: list[Buffer]) -> None:
        request = 0
        try:
            if not parts:
                raise bad_message("The message has more parts or bytes than any may have.")
            message = decode(parts)
            request = message.request
            session = self._requests.sessions.get(routing)
            if isinstance(message, Hello):
                self._greet(routing, message)
            elif session is None:
                raise PortraitError(ErrorCode.SERVER_LOST, "The server does not know this client.", "Say hello first.")
            elif (answer := self._requests.handle(session, message)) is not None:
                self._send(session, answer)
        except VersionMismatch as error:
            self._refuse(routing, error.request, error)
        except PortraitError as error:
            self._requests.counters["bad_messages"] += error.code == ErrorCode.BAD_MESSAGE
            self._refuse(routing, request, error)
        except Exception as error:  # one request's bug must not end every client's work
            log.exception("A request failed")
            self._refuse(routing, request, as_portrait_error(error, self._log_file))

    def _greet(self, routing: bytes, message: Hello) -> None:
        sessions = self._requests.sessions
        if routing not in sessions:
            if len(sessions) >= MAX_SESSIONS:
                raise PortraitError(ErrorCode.BUSY, f"The server has {MAX_SESSIONS} clients.", "Try again later.")
            sessions[routing] = Session(routing, message.client)
            self._door.welcome(routing)
            log.info("%s (release %s) has come", message.client, message.version)
        self._send(sessions[routing], self._requests.welcome(message.request))

    def _refuse(self, routing: bytes, request: int, error: PortraitError) -> None:
        log.debug("Refused: %s", error)
        try:
            self._door.send(routing, Error.of(request, error))
        except Gone:
            self._drop(routing)

    def _send(self, session: Session, message: Message) -> None:
        if session.gone:
            return
        try:
            self._door.send(session.routing, message)
        except Gone:
            self._drop(session.routing)

    def _drop(self, routing: bytes) -> None:
        if (session := self._requests.sessions.get(routing)) is not None:
            log.info("%s has left; %d renders freed", session.name, len(session.jobs))
            self._requests.end_session(session)

    # Work

    def _take_outcomes(self) -> None:
        for outcome in self._mailbox.take_all():
            if isinstance(outcome, News):
                self._send(outcome.session, outcome.message)
            else:
                self._take_outcome(outcome)

    def _dispatch(self) -> None:
        for task in self._lanes.dispatch():
            if isinstance(task, Errand):
                self._send(task.session, Progress(task.request, "running"))
            elif task.indices.start == 0:
                self._send(task.session, Progress(task.job.request, "running"))
        if not self._preparer.busy and (errand := self._errands.next(full_only=False)) is not None:
            assert isinstance(errand, Errand)
            self._send(errand.session, Progress(errand.request, "running"))
            self._preparer.give(errand)

    def _room(self, session: Session) -> int:
        """How many bytes of frames may be drawn for a client now; for one that has none under way, at least a frame."""
        used = session.frame_bytes + self._door.queued_bytes(session.routing)
        drawn = sum(each.frame_bytes for each in self._requests.sessions.values())
        left = self._budgets.total - drawn - self._door.all_queued_bytes
        room = min(self._budgets.client - used, left)
        return max(room, MAX_PART_BYTES) if left > 0 and not used else room

    def _take_outcome(self, outcome: Outcome) -> None:
        task = outcome.task
        if isinstance(task, Batch):
            self._lanes.returned(task)
            self._take_batch(task, outcome)
        elif isinstance(task, Encoding):
            self._encoders(task.job).busy -= 1
            task.job.session.frame_bytes -= task.job.frame_bytes
            if outcome.error is not None:
                self._fail(task.job, outcome.error)
            elif outcome.value is not None:
                self._deliver(task.job, task.index, outcome.value)
        elif isinstance(task, Errand):
            self._take_errand(task, outcome)
        elif isinstance(task, TuningJob):
            self._take_tuning(task, outcome)

    def _take_batch(self, batch: Batch, outcome: Outcome) -> None:
        job, counters = batch.job, self._requests.counters
        if outcome.error is not None:
            self._fail(job, outcome.error)
        if outcome.value is not None:
            self._requests.drawn(job, outcome.value.portrait_bytes)
        if outcome.value is None or job.ended:
            job.session.frame_bytes -= len(batch.indices) * job.frame_bytes
            return
        counters["frames_drawn"] += len(batch.indices)
        counters["batches"] += 1
        counters["largest_batch"] = max(counters["largest_batch"], len(batch.indices))
        for index, pixels in zip(batch.indices, outcome.value.frames, strict=True):
            if job.as_png:
                self._encoders(job).give(Encoding(job, index, pixels))
            else:
                job.session.frame_bytes -= job.frame_bytes
                frame = RenderedFrame(job.request, job.number(index), job.digest(index), None, pixels)
                self._deliver(job, index, frame)

    def _take_errand(self, errand: Errand, outcome: Outcome) -> None:
        if errand.place == "engine":
            self._lanes.returned(errand)
        else:
            (self._helpers if errand.place == "helper" else self._preparer).busy -= 1
        self._requests.answered(errand)
        self._send(errand.session, self._answer(errand, outcome))

    def _answer(self, errand: Errand, outcome: Outcome) -> Message:
        # No error is kept in a variable: its traceback holds this frame, and the frame what was refused.
        if outcome.error is not None:
            return Error.of(errand.request, outcome.error)
        try:
            return errand.finish(outcome.value)
        except PortraitError as error:
            return Error.of(errand.request, error)
        except Exception as error:  # one request's bug must not end every client's work
            log.exception("A request failed")
            return Error.of(errand.request, as_portrait_error(error, self._log_file))

    def _encoders(self, job: RenderJob) -> Workers:
        return self._large_helpers if job.is_large else self._helpers

    def _take_tuning(self, job: TuningJob, outcome: Outcome) -> None:
        if not self._tunings.returned(job):
            return
        if outcome.error is not None:
            self._send(job.session, Error.of(job.request, outcome.error))
        elif outcome.value is not None:
            self._send(job.session, self._requests.adapted(job.request, outcome.value))

    def _deliver(self, job: RenderJob, index: int, frame: RenderedFrame) -> None:
        if job.ended:
            return
        for ready in job.finish(index, frame):
            self._send(job.session, ready)
        if job.sent == job.total:
            self._send(job.session, Done(job.request, False))
            self._requests.end_job(job)

    def _fail(self, job: RenderJob, error: PortraitError) -> None:
        if not job.ended:
            self._send(job.session, Error.of(job.request, error))
            self._requests.end_job(job)

    # The end

    def _patience_s(self) -> float | None:
        times = [] if self._parent_alive is None else [self._parent_check]
        if self._stop_deadline is not None:
            times.append(self._stop_deadline)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _finished(self) -> bool:
        now = time.monotonic()
        if self._parent_alive is not None and now >= self._parent_check:
            self._parent_check = now + _PARENT_POLL_SECONDS
            if not self._parent_alive():
                log.info("The program that started the server has ended")
                self._stop_asked = True
        if (self._stop_asked or self._requests.stopping) and self._stop_deadline is None:
            self._begin_to_stop(now)
        if self._stop_deadline is None:
            return False
        return now >= self._stop_deadline or not self._busy

    @property
    def _busy(self) -> bool:
        workers = (self._preparer, self._helpers, self._large_helpers)
        return self._lanes.busy or self._tunings.busy or any(each.busy for each in workers)

    def _begin_to_stop(self, now: float) -> None:
        log.info("Stopping")
        self._requests.stopping = True
        self._stop_deadline = now + _STOP_SECONDS
        for session in self._requests.sessions.values():
            for tuning in list(session.tunings.values()):
                self._tunings.end(tuning)
                self._send(session, Error.of(tuning.request, stopping_error()))
        for work in (*self._errands.clear(), *self._frames.clear()):
            if isinstance(work, Errand):
                self._send(work.session, Error.of(work.request, stopping_error()))

    def _close(self) -> None:
        for session in list(self._requests.sessions.values()):
            for job in list(session.jobs.values()):
                detail = f" {job.total - job.sent} of {job.total} frames are handed back."
                log.info("%s:%s", session.name, detail)
                self._fail(job, stopping_error(detail))
            self._send(session, Error.of(0, stopping_error()))
        hangs = self._lanes.busy or self._preparer.busy > 0
        for threads in (self._lanes, self._preparer, self._helpers, self._large_helpers, self._tunings):
            threads.stop(0.0 if hangs else 1.0)
        if not hangs:
            self._requests.close()
        self._door.close(_LINGER_SECONDS)
        self._mailbox.close()

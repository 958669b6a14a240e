# SPDX-License-Identifier: GPL-3.0-or-later
"""The service: one thread that owns the socket and hands work to others. It computes nothing itself, so that no client
waits for another's work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.framing import MAX_PART_BYTES, Buffer, VersionMismatch, bad_message
from portrait_shared.protocol.messages import Error, Hello, Message, decode

from portrait_server.engines.loaded_engines import LoadedEngines
from portrait_server.networks.device import Device, further_devices, usable_cores
from portrait_server.networks.device_errors import DeviceLost
from portrait_server.service.branches import Branch, BranchBatch, KeeperTask
from portrait_server.service.budgets import Budgets, Ledger
from portrait_server.service.counters import Counters, State
from portrait_server.service.portraits import Portrait, Store
from portrait_server.service.preparation import Preparation
from portrait_server.service.renders import Renders
from portrait_server.service.requests import Requests
from portrait_server.service.result_queue import Result, ResultQueue, StateWish, Update
from portrait_server.service.service_errors import as_portrait_error, stopping_error
from portrait_server.service.sessions import Session, Sessions
from portrait_server.service.signing import Signing
from portrait_server.service.sockets.door import Door, Gone
from portrait_server.service.tasks import FrameBatch, FrameEncoding, RequestTask
from portrait_server.service.tunings import Tunings, TuningTask
from portrait_server.service.uploads import Uploads
from portrait_server.service.workers import Workers

log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 10.0
_LINGER_SECONDS: Final = 3.0
_PARENT_POLL_SECONDS: Final = 1.0
_MAX_HELPERS: Final = 4


class Service:
    """Serves until it is told to stop.

    Args:
        door: the socket.
        device: what it computes on.
        devices: what it was asked to compute on, where that is several; else `device` as it was found.
        log_file: where a person finds more.
        parent_alive: asked every second; the service stops when it says no.
        engine: the one that is loaded; every one where None.
        idle_s: the service stops when nobody has been connected for so many seconds; never by itself where None.
        budgets: what clients and their portraits may hold.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE where a further device cannot be used.

    Attributes:
        lost: why the device cannot be computed on any more, which ends the server; None where it can.
    """

    def __init__(
        self, door: Door, device: Device, log_file: str, parent_alive: Callable[[], bool] | None = None, *,
        devices: str | None = None, engine: str | None = None, idle_s: float | None = None,
        budgets: Budgets | None = None,
    ) -> None:  # fmt: skip
        self.lost: DeviceLost | None = None
        self._door = door
        self._log_file = log_file
        self._parent_alive = parent_alive
        self._budgets = budgets or Budgets()
        self._sessions = Sessions()
        further = () if devices is None else further_devices(devices)
        self._counters = Counters((device.name, *further))
        self._ledger = Ledger(self._budgets)
        self._results = ResultQueue()
        helpers = min(_MAX_HELPERS, usable_cores())
        self._helpers = Workers("helper", helpers, self._results, log_file)
        self._branches = [Branch(name, engine, self._results, log_file) for name in further]
        try:
            engines = LoadedEngines(device.name, engine)
            for branch in self._branches:
                branch.wait_ready()
        except PortraitError:
            self._stop_branches()
            raise
        portraits: Store[Portrait] = Store(self._budgets.portraits, engines.layers)
        uploads = Uploads(self._helpers, self._ledger, self._counters)
        self._preparation = Preparation(
            device.name, engines, uploads, portraits, self._ledger, self._results, log_file, self._send,
            1 + len(self._branches),
        )  # fmt: skip
        self._renders = Renders(
            portraits, engines.layers, self._ledger, self._counters, self._helpers, max(1, helpers - 1), self._results, log_file,
            self._room, self._send, device, self._branches,
        )  # fmt: skip
        self._tunings = Tunings(self._results, self._ledger, log_file, device.name)
        self._requests = Requests(
            self._sessions, self._counters, portraits, engines, uploads, self._preparation, self._renders,
            self._tunings, Signing(self._helpers, self._ledger, uploads), device, device.name if devices is None else devices, log_file,
        )  # fmt: skip
        self._stop_asked = False
        self._stop_deadline: float | None = None
        self._parent_check = self._deserted_since = time.monotonic()
        self._idle_s = idle_s

    def ask_to_stop(self) -> None:
        """Stops soon; a second call stops at once. May be called from a signal handler."""
        if self._stop_asked:
            self._stop_deadline = 0.0
        self._stop_asked = True
        self._results.wake()

    def state(self, timeout_s: float) -> State:
        """What it has done and does now. Called by any other thread, which waits until the service's own comes to it.

        Raises:
            TimeoutError: it does not come to it in time.
        """
        wish = StateWish()
        self._results.put(wish)
        return wish.state.result(timeout_s)

    def run(self) -> None:
        """Serves, and returns when all is handed back and closed."""
        self._door.register(self._results.reader)
        while not self._finished():
            self._take_messages()
            self._take_results()
            self._renders.dispatch()
            self._preparation.dispatch()
        self._close()

    # Messages

    def _take_messages(self) -> None:
        # In a function of its own, whose variables end with it: a large message is not held while the service waits.
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
            session = self._sessions.get(routing)
            if isinstance(message, Hello):
                self._greet(routing, message)
            elif session is None:
                raise PortraitError(ErrorCode.SERVER_LOST, "The server does not know this client.", "Say hello first.")
            elif (answer := self._requests.handle(session, message)) is not None:
                self._send(session, answer)
        except VersionMismatch as error:
            self._refuse(routing, error.request, error)
        except PortraitError as error:
            self._counters.refused(error)
            self._refuse(routing, request, error)
        except Exception as error:  # one request's bug must not end every client's work
            log.exception("A request failed", extra={"request": request})
            self._refuse(routing, request, as_portrait_error(error, self._log_file))

    def _greet(self, routing: bytes, message: Hello) -> None:
        session = self._sessions.get(routing)
        if session is None:
            session = self._sessions.enter(routing, message.client)
            self._door.welcome(routing)
            told = {"client": message.client, "release": message.version}
            log.info("%(client)s (release %(release)s) has come", told, extra=told)
        self._send(session, self._requests.welcome(message.request))

    def _refuse(self, routing: bytes, request: int, error: PortraitError) -> None:
        log.debug("Refused: %s", error, extra={"request": request, "code": error.code})
        try:
            self._door.send(routing, told := Error.of(request, error))
            self._counters.sent(told)
        except Gone:
            self._drop(routing)

    def _send(self, session: Session, message: Message) -> None:
        if session.gone:
            return
        try:
            self._door.send(session.routing, message)
            self._counters.sent(message)
        except Gone:
            self._drop(session.routing)

    def _drop(self, routing: bytes) -> None:
        if (session := self._sessions.get(routing)) is not None:
            told = {"client": session.name, "renders": len(self._renders.of(session))}
            log.info("%(client)s has left; %(renders)d renders freed", told, extra=told)
            self._sessions.leave(session)
            self._deserted_since = time.monotonic()
            for work in (self._renders, self._tunings, self._preparation):
                work.end_session(session)
            self._ledger.forget(session)

    # Work

    def _take_results(self) -> None:
        for item in self._results.take_all():
            if isinstance(item, Result) and isinstance(item.error, DeviceLost):
                self._lose_device(item.task, item.error)
            elif isinstance(item, Update):
                self._send(item.session, item.message)
            elif isinstance(item, StateWish):
                item.state.set_result(self._requests.state())
            elif isinstance(item.task, FrameBatch | BranchBatch):
                self._renders.take_batch(item.task, item)
            elif isinstance(item.task, KeeperTask):
                self._renders.take_keepers(item.task, item)
            elif isinstance(item.task, FrameEncoding):
                self._renders.take_encoding(item.task, item)
            elif isinstance(item.task, RequestTask):
                self._take_request(item.task, item)
            elif isinstance(item.task, TuningTask):
                self._take_tuning(item.task, item)

    def _lose_device(self, task: FrameBatch | RequestTask, error: DeviceLost) -> None:
        """Ends the server; the next one does the task. Its client is told apart, because the cause may lie in the task."""
        if self.lost is None:
            self.lost = error
            request = task.render.request if isinstance(task, FrameBatch) else task.request
            self._send(task.session, Error.of(request, error.to_clients()))

    def _room(self, session: Session) -> int:
        """How many bytes of frames may be drawn for a client now; for one that has none under way, at least a frame."""
        used = session.frame_bytes + self._door.queued_bytes(session.routing)
        left = self._budgets.total - self._sessions.frame_bytes - self._door.all_queued_bytes
        room = min(self._budgets.client - used, left)
        return max(room, MAX_PART_BYTES) if left > 0 and not used else room

    def _take_request(self, task: RequestTask, result: Result) -> None:
        if task.place == "engine":
            self._renders.returned(task)
        elif task.place == "preparer":
            self._preparation.returned()
        else:
            self._helpers.returned()
        self._ledger.release(task.session, task.held_bytes)
        self._send(task.session, self._answer(task, result))

    def _answer(self, task: RequestTask, result: Result) -> Message:
        # No error is kept in a variable: its traceback refers to this frame, and so both, and a refused image with
        # them, would stay in memory until Python looks for such circles.
        if result.error is not None:
            return Error.of(task.request, result.error)
        try:
            return task.finish(result.value)
        except PortraitError as error:
            return Error.of(task.request, error)
        except Exception as error:  # one request's bug must not end every client's work
            log.exception("A request failed", extra={"client": task.session.name, "request": task.request})
            return Error.of(task.request, as_portrait_error(error, self._log_file))

    def _take_tuning(self, task: TuningTask, result: Result) -> None:
        if not self._tunings.returned(task):
            return
        if result.error is not None:
            self._send(task.session, Error.of(task.request, result.error))
        elif result.value is not None:
            self._send(task.session, self._requests.tuned(task.request, result.value))

    # The end

    def _patience_s(self) -> float | None:
        times = [] if self._parent_alive is None else [self._parent_check]
        if self._idle_s is not None and not len(self._sessions):
            times.append(self._deserted_since + self._idle_s)
        if self._stop_deadline is not None:
            times.append(self._stop_deadline)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _finished(self) -> bool:
        if self.lost is not None:
            return True
        now = time.monotonic()
        if self._parent_alive is not None and now >= self._parent_check:
            self._parent_check = now + _PARENT_POLL_SECONDS
            if not self._parent_alive():
                log.info("The program that started the server has ended")
                self._stop_asked = True
        if self._idle_s is not None and not len(self._sessions) and now >= self._deserted_since + self._idle_s:
            log.info("Nobody has been connected for %g s", self._idle_s)
            self._stop_asked = True
        if (self._stop_asked or self._requests.stopping) and self._stop_deadline is None:
            self._begin_to_stop(now)
        if self._stop_deadline is None:
            return False
        return now >= self._stop_deadline or not self._busy

    @property
    def _busy(self) -> bool:
        return any(work.busy for work in (self._renders, self._preparation, self._helpers, self._tunings))

    def _begin_to_stop(self, now: float) -> None:
        log.info("Stopping")
        self._requests.stop()
        self._stop_deadline = now + _STOP_SECONDS
        waiting: list[RequestTask | TuningTask] = [*self._preparation.clear_queue(), *self._renders.clear_queue()]
        for task in (*self._tunings.end_all(), *waiting):
            self._send(task.session, Error.of(task.request, stopping_error()))

    def _close(self) -> None:
        for session in self._sessions:
            if self.lost is None:
                self._renders.hand_back(session)
                self._send(session, Error.of(0, stopping_error()))
            else:  # no farewell: clients ask the server that takes this one's place for what is missing
                self._send(session, Error.of(0, self.lost.to_clients()))
        self._tunings.end_all()
        self._tunings.stop(1.0)
        self._stop_branches()
        hangs = self.lost is not None or self._renders.engines_busy or self._preparation.busy
        for threads in (self._renders, self._preparation, self._helpers):
            threads.stop(0.0 if hangs else 1.0)
        if not hangs:
            self._preparation.close()
        self._door.close(_LINGER_SECONDS)
        self._results.close()

    def _stop_branches(self) -> None:
        with ThreadPoolExecutor(max(1, len(self._branches))) as each:
            list(each.map(Branch.stop, self._branches))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a client connected: finds the server, starts it again after a crash, reconnects, within bounds."""

from __future__ import annotations

import time
from typing import Final

from portrait_shared.client.channel import Channel, ServerLost
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.messages import Echo, Error, Message

START_SECONDS: Final = 60.0
RECONNECT_SECONDS: Final = 30.0
GREETING_SECONDS: Final = 10.0
STABLE_SECONDS: Final = 10.0
"""A server that lived this long counts as stable: its crash does not add to earlier ones."""
SILENCE_SECONDS: Final = 30.0
_MAY_PASS: Final = (ErrorCode.SERVER_LOST, ErrorCode.SERVER_UNAVAILABLE, ErrorCode.DEVICE_UNAVAILABLE)
"""Failures to connect after which another try may succeed; of a device, where it was there before."""
_BEAT_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 0.1
_EXIT_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 15.0


class Link:
    """A channel that is made again when it breaks. Every call returns within about its time-out.

    Attributes:
        generation: how many connections were made; requests of an earlier one are void.
        channel: the connection, None while there is none.
    """

    def __init__(self, target: Connection | ServerProcess, name: str, restarts: int) -> None:
        self.generation = 0
        self.channel: Channel | None = None
        self._target = target
        self._name = name
        self._restarts = restarts
        self._crashes = 0
        self._candidate: Channel | None = None
        self._candidate_since = 0.0
        self._process_id: int | None = None
        self._device = ""
        self._lost_at: float | None = None
        self._last_words: PortraitError | None = None  # why the server ended, where it said so
        self._started_it = False
        self._beat_at: float | None = None

    def connect(self) -> Channel:
        """The channel; made if there is none.

        Raises:
            PortraitError: SERVER_UNAVAILABLE, SERVER_LOST, VERSION_MISMATCH.
        """
        while not self.step(_RETRY_SECONDS):
            pass
        assert self.channel is not None
        return self.channel

    def step(self, timeout_s: float) -> bool:
        """Works towards a connection for about `timeout_s`; whether there is one now."""
        if self.channel is not None:
            return True
        deadline = time.monotonic() + timeout_s
        try:
            return self._try(deadline)
        except PortraitError as error:
            if error.code not in _MAY_PASS or (error.code == ErrorCode.DEVICE_UNAVAILABLE and self._lost_at is None):
                raise
            self._failed(error)
            time.sleep(max(0.0, min(_RETRY_SECONDS, deadline - time.monotonic())))
            return False

    def lost(self) -> None:
        """Takes note that the channel broke.

        Raises:
            PortraitError: SERVER_LOST where the server has crashed too often.
        """
        self._lost_at = time.monotonic()
        self._disconnect()
        # A process of ours whose connection broke is ending, or of no use any more.
        if isinstance(self._target, ServerProcess) and self._target.end_lost(
            self._process_id, self._device, _EXIT_SECONDS
        ):
            if time.monotonic() - self._target.started_at > STABLE_SECONDS:
                self._crashes = 0
            self._count_crash()

    def receive(self, timeout_s: float) -> Message | None:
        """The next message within about `timeout_s`, or None. A silent server is asked for a sign of life.

        Raises:
            ServerLost: the connection broke, or the server has been silent for too long.
            PortraitError: SERVER_STOPPING, where it says farewell.
        """
        assert self.channel is not None
        message = self.channel.receive(min(timeout_s, _BEAT_SECONDS))
        now = time.monotonic()
        if isinstance(message, Error) and message.code == ErrorCode.SERVER_LOST:
            self._last_words = message.as_exception()
            raise ServerLost(message.message, message.remedy, by_others=message.request == 0)
        if isinstance(message, Error) and message.request == 0 and message.code == ErrorCode.SERVER_STOPPING:
            self._disconnect()  # its farewell: it will not come back by itself
            raise message.as_exception()
        if message is not None:
            self._beat_at = None
        elif self._beat_at is None:
            if now - self.channel.last_heard > _BEAT_SECONDS:
                self.channel.send(Echo(0))
                self._beat_at = now
        elif now - self._beat_at > SILENCE_SECONDS:
            raise ServerLost(f"The server has been silent for {SILENCE_SECONDS:.0f} s.")
        return message

    def close(self) -> None:
        """Lets go of the server, and stops it where this link started it."""
        self._disconnect()
        if self._started_it and isinstance(self._target, ServerProcess):
            self._target.stop(_STOP_SECONDS)

    def _disconnect(self) -> None:
        for channel in (self.channel, self._candidate):
            if channel is not None:
                channel.close()
        self.channel = self._candidate = None

    def _try(self, deadline: float) -> bool:
        if self._candidate is None:
            connection = self._locate(deadline - time.monotonic())
            if connection is None:
                return False
            self._candidate = Channel(connection)
            self._candidate_since = time.monotonic()
        info = self._candidate.greet(self._name, deadline - time.monotonic())
        if info is None:
            if time.monotonic() - self._candidate_since > GREETING_SECONDS:
                raise ServerLost(f"The server did not answer within {GREETING_SECONDS:.0f} s.")
            return False
        self.channel, self._candidate = self._candidate, None
        self.generation += 1
        if isinstance(self._target, ServerProcess):
            self._process_id = self._target.pid
        self._device = info.device
        self._lost_at = self._last_words = self._beat_at = None
        return True

    def _locate(self, timeout_s: float) -> Connection | None:
        if isinstance(self._target, ServerProcess):
            return self._locate_own(self._target, timeout_s)
        if self._target.file is None:
            return self._target
        return Connection.load(self._target.file)  # the server that took the lost one's place has written it anew

    def _locate_own(self, process: ServerProcess, timeout_s: float) -> Connection | None:
        if not process.alive:
            if self._lost_at is not None and not process.wanted:
                raise PortraitError(ErrorCode.NOT_ALLOWED, "The server was stopped.", "Start it again.")
            self._started_it = self._started_it or not process.wanted
            process.launch()
        connection = process.wait_ready(timeout_s)
        if connection is None and time.monotonic() - process.started_at > START_SECONDS:
            process.kill()
            raise ServerLost(f"The server did not get ready within {START_SECONDS:.0f} s.")
        return connection

    def _failed(self, error: PortraitError) -> None:
        """One try came to nothing: raises where there is no point in another."""
        self._disconnect()
        if self._lost_at is None:
            at = f" at {self._target.address}" if isinstance(self._target, Connection) else ""
            raise PortraitError(
                ErrorCode.SERVER_UNAVAILABLE,
                f"No server answers{at}." if isinstance(error, ServerLost) else error.message,
                "Start the server." if isinstance(error, ServerLost) else error.remedy,
            ) from error
        if isinstance(self._target, ServerProcess):
            if error.code == ErrorCode.DEVICE_UNAVAILABLE:
                self._last_words = error
            self._count_crash()
        elif time.monotonic() - self._lost_at > RECONNECT_SECONDS:
            raise self._lost_for_good(
                f"The server was lost and did not come back in {RECONNECT_SECONDS:.0f} s."
            ) from error

    def _count_crash(self) -> None:
        self._crashes += 1
        if self._crashes > self._restarts:
            raise self._lost_for_good(f"The server ended {self._crashes} times in a row.")

    def _lost_for_good(self, message: str) -> PortraitError:
        """Not a `ServerLost`, which is a reason to try again."""
        words = self._last_words
        if words is None:
            return PortraitError(ErrorCode.SERVER_LOST, message, "Start the server again; its log says more.")
        return PortraitError(words.code, f"{message} {words.message}", words.remedy)

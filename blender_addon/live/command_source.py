# SPDX-License-Identifier: GPL-3.0-or-later
"""What live sources have in common that a command of the server speaks for: cameras and controllers."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from portrait_shared.errors import PortraitError

from ..connection import server
from ..connection.command_stream import CommandStream


class CommandSource(ABC):
    """A `LiveSource` but for `take` and what its lines mean.

    Attributes:
        lock: held while what the command said is looked at or kept: a thread of its own reads it.
    """

    def __init__(self, launch: server.Launch, words: Sequence[str], read_line: Callable[[str], Any]) -> None:
        """
        Args:
            words: of the command, after `portrait`.
            read_line: what a line says; it raises PortraitError for one of another release.
        """
        self.lock = threading.Lock()
        self._launch, self._words, self._read_line = launch, list(words), read_line
        self._failed = ""
        self._stream: CommandStream | None = None

    def start(self) -> None:
        """Starts the command; what it hears comes a moment later, and `problem` says where nothing can.

        Raises:
            PortraitError: SERVER_UNAVAILABLE where there is no such command.
        """
        self._launch.check_command()
        stream = CommandStream([*self._launch.command, *self._words], self._take_line)
        stream.start()
        self._stream = stream

    def stop(self) -> None:
        """See `LiveSource`."""
        if self._stream is not None:
            self._stream.end()

    @property
    def ended(self) -> bool:
        """See `LiveSource`."""
        return self._stream is not None and self._stream.ended

    @property
    def problem(self) -> str:
        """See `LiveSource`."""
        if self._failed:
            return self._failed
        if self._stream is None or self._stream.asked_to_end:
            return ""
        return self.told_problem() or ("" if self._stream.error is None else str(self._stream.error))

    @abstractmethod
    def told_problem(self) -> str:
        """What the command itself has told of; empty where nothing."""

    @abstractmethod
    def hear(self, said: Any) -> None:
        """Keeps what a line said, in the thread that reads; the lock is held."""

    def _take_line(self, line: str) -> None:
        if self._failed:
            return
        try:
            said = self._read_line(line)
        except PortraitError as error:
            self._failed = str(error)
            self.stop()
            return
        with self.lock:
            self.hear(said)

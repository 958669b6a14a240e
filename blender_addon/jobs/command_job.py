# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that a `portrait` command does in a process of its own: its progress is read, and cancelling ends it."""

from __future__ import annotations

import re
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.files.private_folders import PrivateFolder

from ..connection import server
from ..connection.command_run import CommandRun, unsigned_in
from ..connection.worker import Worker
from .job import Job

_PROGRESS: Final = re.compile(r"^Progress: (\d+)/(\d+)\s*$")


@dataclass(frozen=True)
class CommandProgress:
    """How far the command says it is: frames done, of those expected."""

    done: int
    expected: int


class CommandJob(Job):
    """Runs one command and reads the file that it writes.

    Attributes:
        taking_up: what it does with the file, for the panel.
    """

    taking_up = "Setting keys"

    def __init__(self, uid: str, launch: server.Launch) -> None:
        super().__init__(uid, launch)
        self._run = CommandRun()
        self._started = 0.0
        self._reached = CommandProgress(0, 0)
        self._unsigned = ""

    @property
    def progress(self) -> float:
        return min(self._reached.done / self._reached.expected, 1.0) if self._reached.expected else 0.0

    def new_worker(self) -> Worker:
        return CommandWorker(self.work, self._launch)

    @abstractmethod
    def words(self, output: Path) -> Sequence[str]:
        """The command after `portrait`, which writes `output`."""

    @abstractmethod
    def load(self, output: Path) -> Any:
        """What the command wrote; in the worker's thread, so without Blender's data."""

    @abstractmethod
    def take_up(self, result: Any) -> None:
        """On the main thread, with what `load` gave."""

    def begin(self) -> None:
        self._launch.check_command()
        self._started = time.monotonic()

    def work(self, client: Any, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        with PrivateFolder() as folder:
            output = folder / "result"
            said = self._run.run([*self._launch.command, *self.words(output)], lambda line: _tell(line, post))
            self._unsigned = unsigned_in(said)
            post(self.load(output))

    def handle(self, event: Any) -> None:
        if not isinstance(event, CommandProgress):
            self.note = self.taking_up
            self.take_up(event)
            if self._unsigned:
                self.notes.append(f"It has no credentials: {self._unsigned}")
            return
        self._reached = event
        spent = time.monotonic() - self._started
        left = spent * (event.expected - event.done) / max(event.done, 1)
        self.note = f"{event.done} of {event.expected}, {_clock(left)} left"

    def cancel(self) -> None:
        super().cancel()
        self._run.end()


class CommandWorker(Worker):
    """Needs no server, and so no client."""

    def do_task(self) -> None:
        self.task(None, self.events.put, self.cancel.is_set)


def progress_in(line: str) -> CommandProgress | None:
    """What a line that a command prints says of its progress; None where it says something else."""
    match = _PROGRESS.match(line)
    return CommandProgress(int(match.group(1)), int(match.group(2))) if match else None


def _tell(line: str, post: Callable[[Any], None]) -> None:
    if (reached := progress_in(line)) is not None:
        post(reached)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that a `portrait` command does in a process of its own: its progress is read, and cancelling ends it.

The file never goes through the server: a path that another program names is nothing that a server should open, and
decoded frames would be slow to send. The command is the one that starts the server, run by this user on this machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder

from ..connection import server
from ..connection.worker import Worker
from .job import Job

_PROGRESS: Final = re.compile(r"^Progress: (\d+)/(\d+)\s*$")
_ERROR: Final = re.compile(r"^portrait \w+: (.+)$")
_END_TIMEOUT_SECONDS = 3.0
_LAST_WORDS = 600


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
        self._process: subprocess.Popen[str] | None = None
        self._process_lock = threading.Lock()
        self._started = 0.0
        self._reached = CommandProgress(0, 0)

    @property
    def progress(self) -> float:
        return min(self._reached.done / self._reached.expected, 1.0) if self._reached.expected else 0.0

    def new_worker(self) -> Worker:
        return _CommandWorker(self.work, self._launch)

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
            self._run([*self._launch.command, *self.words(output)], folder / "errors.txt", post, cancelled)
            post(self.load(output))

    def handle(self, event: Any) -> None:
        if not isinstance(event, CommandProgress):
            self.note = self.taking_up
            self.take_up(event)
            return
        self._reached = event
        spent = time.monotonic() - self._started
        left = spent * (event.expected - event.done) / max(event.done, 1)
        self.note = f"{event.done} of {event.expected}, {_clock(left)} left"

    def cancel(self) -> None:
        super().cancel()
        with self._process_lock:
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()

    def _run(
        self, command: Sequence[str], errors: Path, post: Callable[[Any], None], cancelled: Callable[[], bool]
    ) -> None:
        # Blender's own Python must not leak into another one.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
        environment["PYTHONUNBUFFERED"] = "1"
        environment["PYTHONIOENCODING"] = "utf-8:backslashreplace"  # as it is read below
        with errors.open("wb") as words:
            with self._process_lock:
                if cancelled():
                    raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
                try:
                    self._process = subprocess.Popen(
                        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, text=True,
                        encoding="utf-8", errors="replace", env=environment,
                        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                    )  # fmt: skip
                except OSError as error:
                    raise PortraitError(
                        ErrorCode.SERVER_UNAVAILABLE, f"Cannot start {command[0]}: {error.strerror}.",
                        "Check the path of the `portrait` command.",
                    ) from error  # fmt: skip
            process = self._process
            assert process.stdout is not None
            with process.stdout as lines:  # the command ends by itself where nobody reads them any more
                for line in lines:
                    if match := _PROGRESS.match(line):
                        post(CommandProgress(int(match.group(1)), int(match.group(2))))
            try:
                status = process.wait(_END_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
        if cancelled():
            raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
        if status != 0:
            raise _failure(errors.read_text(encoding="utf-8", errors="replace"), status)


class _CommandWorker(Worker):
    """Needs no server, and so no client."""

    def do_task(self) -> None:
        self.task(None, self.events.put, self.cancel.is_set)


def _failure(words: str, status: int) -> PortraitError:
    """What the command said, in its own words."""
    lines = words.splitlines()
    for number, line in enumerate(lines):
        if match := _ERROR.match(line):
            remedy = lines[number + 1].strip() if number + 1 < len(lines) else ""
            if "invalid choice" in match.group(1) or "unrecognized arguments" in match.group(1):
                break
            return PortraitError(ErrorCode.SCENE, match.group(1), remedy)
    return PortraitError(
        ErrorCode.INTERNAL, f"The `portrait` command ended with status {status}.",
        f"It must be of this version. It said: {words.strip()[-_LAST_WORDS:] or 'nothing'}",
    )  # fmt: skip


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

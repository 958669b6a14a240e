# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation of the server, in a thread of its own."""

from __future__ import annotations

import threading
from pathlib import Path

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_error

from . import claims, layout
from .choices import Choice
from .environments import Installed
from .log_file import LogFile
from .meter import Meter, Progress
from .steps import Steps

__all__ = ["Installation", "Progress"]


class Installation:
    """Installs the server into a folder, beside the one that is there, which works until the new one is complete.

    *Install Server*, *Update* and *Repair* are all this. One object is one installation; a next one is another. All but
    `join` returns at once, from any thread.

    Args:
        folder: the place; made where it is not there.

    Attributes:
        log_file: everything that uv said, kept until the next installation.
        error: why it failed, CANCELLED where it was cancelled; None before, and where it did not fail.
        result: what is there once it is done; None before, and where it failed.
    """

    def __init__(self, folder: Path) -> None:
        self.log_file = folder / layout.LOG
        self.error: PortraitError | None = None
        self.result: Installed | None = None
        self._folder = folder
        self._log = LogFile(self.log_file)
        self._meter = Meter()
        self._notes: list[str] = []
        self._steps: Steps | None = None
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._done = threading.Event()

    def start(self, choice: Choice, repair: bool = False) -> None:
        """Begins.

        Args:
            repair: whether every file is compared with its package's own hashes, and packages that are damaged, also as
                they were kept from before, are downloaded anew.
        """
        assert self._thread is None
        self._thread = threading.Thread(target=self._run, args=(choice, repair), name="installation", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ends it soon, with every process that it started; what was downloaded is kept for the next one."""
        self._cancelled.set()
        if (steps := self._steps) is not None:
            steps.cancel()

    def join(self, timeout: float | None = None) -> bool:
        """Waits for at most so many seconds.

        Returns:
            whether it is done.
        """
        return self._done.wait(timeout)

    @property
    def done(self) -> bool:
        """Whether it has come to its end, a good one or a bad one."""
        return self._done.is_set()

    @property
    def progress(self) -> Progress:
        return self._meter.progress

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the log, for a panel."""
        return self._log.last_lines

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know though nothing failed, a sentence each: another PyTorch than was asked for, or what
        the system misses."""
        return tuple(self._notes)

    def _run(self, choice: Choice, repair: bool) -> None:
        try:
            with claims.claim(self._folder) as lock:
                self._steps = Steps(self._folder, lock, self._log.write, self._meter, self._notes.append)
                if self._cancelled.is_set():
                    self._steps.cancel()
                self.result = self._steps.install(choice, repair)
            self._meter.at(1.0, "The server is installed")
        except PortraitError as error:
            self.error = error
        except OSError as error:
            self.error = write_error(self._folder, error, "Give yourself the right to write there, then install again.")
        finally:
            if self.result is None and self.error is None:
                self.error = PortraitError(
                    ErrorCode.INTERNAL,
                    "The installation ended by an error of the extension.",
                    "Report it with the log.",
                )
            if self.error is not None and self._steps is not None:
                self._log.write(f"{self.error}")
            self._done.set()

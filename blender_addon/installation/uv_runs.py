# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of an installation: what they say is read line by line, and another thread may end them and all they started."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from portrait_shared.errors import ErrorCode, PortraitError

_OF_ANOTHER_SYSTEM: Final = (193, 216)
"""Windows' numbers for a program that it cannot run."""
_MAX_LINE: Final = 4000
_MAX_OUTPUT_BYTES: Final = 16 * 2**20


class Ended(NamedTuple):
    """What became of a program.

    Attributes:
        status: 0 where it did what it was to do.
        output: what it wrote on standard output.
        lines: what it said on standard error.
    """

    status: int
    output: str
    lines: tuple[str, ...]


class Runs:
    """Runs programs, one after another, in one folder and with one set of variables.

    Args:
        folder: where they run.
        log: given each command, and each line that it says.
        lock: an open file that the programs hold, too: its lock lasts until the last of them has ended, even where this
            process is killed. On Windows they do not.
    """

    def __init__(self, folder: Path, log: Callable[[str], None], lock: int | None = None) -> None:
        self._folder = folder
        self._log = log
        self._held = () if lock is None or sys.platform == "win32" else (lock,)
        self._guard = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._ended = False

    @property
    def cancelled(self) -> bool:
        return self._ended

    def cancel(self) -> None:
        """Ends what runs, with all that it started, and lets nothing more run. From any thread."""
        with self._guard:
            self._ended = True
            if self._process is not None:
                _end_tree(self._process)

    def run(
        self, command: Sequence[str | os.PathLike[str]], variables: Mapping[str, str],
        take: Callable[[str], None] = lambda line: None, limit_s: float | None = None,
    ) -> Ended:  # fmt: skip
        """Runs a program to its end.

        Args:
            take: given each line of standard error.
            limit_s: it is ended after so many seconds.

        Raises:
            PortraitError: CANCELLED; FILE_MISSING where it cannot be started.
        """
        words = [os.fspath(word) for word in command]
        self._log("$ " + " ".join(word if "\n" not in word else "…" for word in words))
        lines: list[str] = []
        with tempfile.TemporaryFile(dir=variables.get("TMPDIR")) as output:
            process = self._begin(words, variables, output.fileno())
            timer = threading.Timer(limit_s, _end_tree, [process]) if limit_s else None
            if timer is not None:
                timer.start()
            try:
                assert process.stderr is not None
                for raw in process.stderr:
                    line = raw.rstrip()[:_MAX_LINE]
                    lines.append(line)
                    self._log(line)
                    take(line)
                process.wait()
            finally:
                if timer is not None:
                    timer.cancel()
                with self._guard:
                    self._process = None
                if process.poll() is None:
                    _end_tree(process)
                    process.wait()
                process.stderr.close()
            if self._ended:
                raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
            output.seek(0)
            return Ended(process.returncode, output.read(_MAX_OUTPUT_BYTES).decode("utf-8", "replace"), tuple(lines))

    def _begin(self, words: list[str], variables: Mapping[str, str], output: int) -> subprocess.Popen[str]:
        with self._guard:
            if self._ended:
                raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
            try:
                self._process = subprocess.Popen(
                    words, cwd=self._folder, env=dict(variables), stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.PIPE, encoding="utf-8", errors="replace", pass_fds=self._held,
                    start_new_session=True,  # a group of its own, which is ended as one
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )  # fmt: skip
            except OSError as error:
                if error.errno == errno.ENOEXEC or getattr(error, "winerror", 0) in _OF_ANOTHER_SYSTEM:
                    raise PortraitError(
                        ErrorCode.FILE_MISSING, f"{words[0]} is damaged, or a program for another system.",
                        "Install the extension's zip for your system, then install again.",
                    ) from error  # fmt: skip
                raise PortraitError(
                    ErrorCode.FILE_MISSING, f"Cannot start {words[0]}: {error.strerror or error}.",
                    "Allow programs to run in that folder (a virus scanner, or a disk mounted “noexec”, may forbid it), then "
                    "install again.",
                ) from error  # fmt: skip
            return self._process


def _end_tree(process: subprocess.Popen[str]) -> None:
    """Ends a program with all that it started: uv starts Pythons, which compile or build."""
    if process.poll() is not None and sys.platform == "win32":
        return
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
        process.kill()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass

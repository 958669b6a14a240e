# SPDX-License-Identifier: GPL-3.0-or-later
"""A `portrait` command in a process of its own: what it prints is read, and another thread may end it.

Movies and sounds never go through the server: a path that another program names is nothing that a server should open,
and decoded frames would be slow to send. The command is the one that starts the server, run by this user on this machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Final

from portrait_shared.client.launcher import cannot_start
from portrait_shared.errors import ErrorCode, PortraitError

_ERROR: Final = re.compile(r"^portrait [\w-]+: (.+)$")
_UNSIGNED: Final = re.compile(r"^Unsigned: (.+)$(?:\n  (.+)$)?", re.MULTILINE)
_END_TIMEOUT_SECONDS = 3.0
_LAST_WORDS = 600


class CommandRun:
    """Runs commands, one after another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._ended = False

    def end(self) -> None:
        """Ends what runs, and lets nothing more run. From any thread."""
        with self._lock:
            self._ended = True
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()

    def run(
        self, command: Sequence[str], take: Callable[[str], None],
        succeeded: Callable[[int], bool] = lambda status: status == 0,
    ) -> str:  # fmt: skip
        """Runs a command to its end.

        Args:
            take: given each line that it prints, without the line's end.
            succeeded: whether a command that ended with that status did what it was to do.

        Returns:
            what it said on standard error.

        Raises:
            PortraitError: CANCELLED where it was ended; SERVER_UNAVAILABLE where it cannot be started; SCENE with the
                command's own words, INTERNAL where it has none.
        """
        with tempfile.TemporaryFile() as words:
            with self._lock:
                if self._ended:
                    raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
                try:
                    self._process = subprocess.Popen(
                        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, text=True,
                        encoding="utf-8", errors="replace", env=child_environment(),
                        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                    )  # fmt: skip
                except OSError as error:
                    raise cannot_start(command[0], error) from error
            process = self._process
            assert process.stdout is not None
            try:
                with process.stdout as lines:  # the command ends by itself where nobody reads them any more
                    for line in lines:
                        take(line.rstrip("\n"))
            except BaseException:
                process.kill()
                process.wait()
                raise
            try:
                status = process.wait(_END_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            if self._ended:
                raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
            words.seek(0)
            said = words.read().decode("utf-8", "replace")
            if not succeeded(status):
                raise failure(said, status)
            return said


def unsigned_in(said: str) -> str:
    """Why what a command wrote has no credentials, and what mends it, by what it said on standard error; empty where it
    did not say so."""
    match = _UNSIGNED.search(said)
    return f"{match[1]} {match[2] or ''}".strip() if match else ""


def child_environment() -> dict[str, str]:
    """The variables that a command gets: Blender's own Python must not leak into another one."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8:backslashreplace"  # as it is read here
    return environment


def failure(words: str, status: int) -> PortraitError:
    """What a command said on standard error before it failed, in its own words."""
    lines = words.splitlines()
    for number, line in enumerate(lines):
        if match := _ERROR.match(line):
            remedy = lines[number + 1].strip() if number + 1 < len(lines) else ""
            if "invalid choice" in match.group(1) or "unrecognized arguments" in match.group(1):
                break
            return PortraitError(ErrorCode.SCENE, match.group(1), remedy)
    if status < 0:  # a signal, which only others send it
        return PortraitError(
            ErrorCode.INTERNAL, f"The `portrait` command was ended from outside (signal {-status}).",
            "Start it again. Where the system ran out of memory, close other programs first.",
        )  # fmt: skip
    return PortraitError(
        ErrorCode.INTERNAL, f"The `portrait` command ended with status {status}.",
        f"It must be of this version. It said: {words.strip()[-_LAST_WORDS:] or 'nothing'}",
    )  # fmt: skip

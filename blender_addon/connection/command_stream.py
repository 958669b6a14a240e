# SPDX-License-Identifier: GPL-3.0-or-later
"""A `portrait` command that goes on beside Blender: its lines are read as they come, and it may be fed meanwhile.

It ends when its standard input is closed, which the system sees to where Blender itself ends, whatever ended that.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import IO, Final

from portrait_shared.client.launcher import cannot_start
from portrait_shared.errors import PortraitError

from .command_run import child_environment, failure

_END_SECONDS: Final = 3.0
_LINE_CHARACTERS: Final = 100_000
_WORDS: Final = 20_000


class CommandStream:
    """Starts once, and ends once.

    Attributes:
        ended: whether it has ended, by itself or because it was asked to.
        error: why it ended by itself, where it failed.
    """

    def __init__(
        self, command: Sequence[str], take: Callable[[str], None], feed: Callable[[IO[bytes]], None] | None = None
    ) -> None:
        """
        Args:
            take: given each line that it prints, without the line's end, by a thread of its own.
            feed: writes to its standard input, in a thread of its own, until there is no more; OSError tells it that the
                command has ended. Nothing is written where None.
        """
        self.ended = False
        self.error: PortraitError | None = None
        self._command, self._take, self._feed = list(command), take, feed
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_to_end = threading.Event()

    @property
    def asked_to_end(self) -> bool:
        """Whether whoever feeds it should return."""
        return self._asked_to_end.is_set()

    def start(self) -> None:
        """Raises: PortraitError: SERVER_UNAVAILABLE where it cannot be started."""
        words = tempfile.TemporaryFile()  # noqa: SIM115 (the thread that reads closes it)
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, bufsize=0,
                env=child_environment(), creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )  # fmt: skip
        except OSError as error:
            words.close()
            raise cannot_start(self._command[0], error) from error
        threading.Thread(target=self._read, args=(self._process, words), name="portrait command", daemon=True).start()
        if self._feed is not None:
            threading.Thread(target=self._write, args=(self._process,), name="portrait feed", daemon=True).start()

    def end(self) -> None:
        """Lets it end soon, by force where it does not. May be called again, and from any thread; never waits."""
        if self._process is None or self._asked_to_end.is_set():
            return
        self._asked_to_end.set()
        if self._feed is None:
            _close(self._process)
        threading.Thread(
            target=self._see_it_ended, args=(self._process,), name="portrait command's end", daemon=True
        ).start()

    def _read(self, process: subprocess.Popen[bytes], words: IO[bytes]) -> None:
        assert process.stdout is not None
        with words, open(process.stdout.fileno(), encoding="utf-8", errors="replace", closefd=False) as lines:
            while line := lines.readline(_LINE_CHARACTERS):
                self._take(line.rstrip("\n"))
            status = process.wait()
            process.stdout.close()
            if status != 0 and not self._asked_to_end.is_set():
                words.seek(0)
                self.error = failure(words.read(_WORDS).decode("utf-8", "replace"), status)
            self.ended = True
        if self._feed is None:
            _close(process)

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and self._feed is not None
        try:
            self._feed(process.stdin)
        except OSError:
            return  # it has ended: `error` will say why
        finally:
            _close(process)

    def _see_it_ended(self, process: subprocess.Popen[bytes]) -> None:
        for force in (process.terminate, process.kill):
            try:
                process.wait(_END_SECONDS)
                return
            except subprocess.TimeoutExpired:
                force()


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.close()
    except OSError:
        return  # it has ended

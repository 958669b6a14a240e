# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a server of one's own, watches it, stops it; and finds one that already runs."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from portrait_shared.client.channel import Channel, ServerLost
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.files.whole_files import write_error
from portrait_shared.log_lines import LOG_FORMATS, for_people, log_format
from portrait_shared.protocol.connection import Connection, default_connection_file
from portrait_shared.protocol.messages import Shutdown, Stopping

STATUS_NO_DEVICE: Final = 4
"""A server ends with it that cannot compute on its device, or not any more. Its last two lines say why and what to do."""
_START_POLL_SECONDS = 0.02
_LOG_TAIL_BYTES = 65_536
_ASK_TIMEOUT_SECONDS = 3.0
_SHUTDOWN_REQUEST = 2  # the hello is the first


def cannot_start(program: str, error: OSError) -> PortraitError:
    """What is said of a `portrait` command that the system does not start."""
    return PortraitError(
        ErrorCode.SERVER_UNAVAILABLE, f"Cannot start {program}: {error.strerror}.",
        "Check the path of the `portrait` command.",
    )  # fmt: skip


class ServerProcess:
    """A server that this process starts, and that ends with it unless it is to stay. Several threads' clients may share it.
    It logs in the format that this process does.

    Args:
        command: what starts the `portrait` command, e.g. ``["/usr/bin/portrait"]`` or
            ``[sys.executable, "-m", "portrait_server"]``.
        connection_file: where the server writes how to reach it; a private folder where None.
        device: as `device_names` takes it.
        engine: the one that it loads, and so starts sooner; every one where None.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
        idle_exit_s: the server outlives this process, and ends when nobody has been connected for so many seconds, or
            by `stop_server`.

    Attributes:
        wanted: it was started and not stopped since; a client starts it again only then.
        started_at: when it was started last, by whichever client, by `time.monotonic`.
        device: what it computes on when it is started next. Where it is started in the place of a lost one that had
            chosen by itself, that one's choice: on another device frames may come out otherwise.
    """

    def __init__(
        self, command: Sequence[str], *, connection_file: Path | None = None, device: str = "auto",
        engine: str | None = None, log_level: str = "info", idle_exit_s: int | None = None,
    ) -> None:  # fmt: skip
        self.device = self._device_asked_for = device
        self._start_command = [*command, "serve", "--log-level", log_level]
        if engine is not None:
            self._start_command += ["--engine", engine]
        if idle_exit_s is None:
            self._start_command += ["--parent-pid", str(os.getpid())]
        else:
            self._start_command += ["--idle-exit", str(idle_exit_s)]
        self._given_file = Path(connection_file) if connection_file else None
        self._folder: PrivateFolder | None = None
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stale: tuple[int, int] | None = None
        self._last_words = ""
        self.wanted = False
        self.started_at = 0.0

    def start(self, timeout: float = 60.0) -> Connection:
        """Starts it, unless it runs, and waits until it can be reached.

        Raises:
            PortraitError: SERVER_UNAVAILABLE, with the end of the log.
        """
        self.launch()
        if (connection := self.wait_ready(timeout)) is None:
            self.kill()
            raise self._failure(f"The server did not get ready within {timeout:.0f} s.")
        return connection

    def launch(self) -> None:
        """Starts the process, unless it runs, without waiting for it to get ready."""
        with self._lock:
            self.wanted = True
            if not self.alive:
                self._launch()

    def _launch(self) -> None:
        if self._folder is None:
            self._folder = _folder_of_our_own()
        self._stale = _identity(self._file)
        self.started_at = time.monotonic()
        logging_so = [] if log_format() == LOG_FORMATS[0] else ["--log-format", log_format()]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}  # Blender's own
        environment["PYTHONIOENCODING"] = "utf-8:backslashreplace"  # as `log_tail` reads it
        try:
            with self._errors.open("wb") as errors:
                self._process = subprocess.Popen(
                    [*self._start_command, *logging_so, "--device", self.device, "--connection-file", str(self._file)],
                    stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=environment,
                    start_new_session=True,  # a Ctrl-C meant for the parent is not for the server
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )  # fmt: skip
        except OSError as error:
            raise cannot_start(self._start_command[0], error) from error

    def end_lost(self, pid: int | None, device: str, timeout: float) -> bool:
        """Sees to the end of the process of that number, whose connection broke, within `timeout` seconds.

        Args:
            device: what it computed on; the next one will, too.

        Returns:
            whether it was that process still; False where another client has started the next one, or has stopped it.
        """
        with self._lock:
            if not self.wanted or self.pid != pid:
                return False
            if not self.wait_ended(timeout):
                self.kill()
            self.device = device
            return True

    def wait_ready(self, timeout: float) -> Connection | None:
        """How to reach it, or None where it is not ready in time.

        Raises:
            PortraitError: SERVER_UNAVAILABLE where it ended instead, with the end of the log; DEVICE_UNAVAILABLE where
                it cannot compute on the device that was asked for.
        """
        deadline = time.monotonic() + timeout
        while True:
            if self._process is None or self._process.poll() is not None:
                raise self._refusal()
            if (connection := self._own_connection()) is not None:
                return connection
            if time.monotonic() >= deadline:
                return None
            time.sleep(_START_POLL_SECONDS)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def connection(self) -> Connection:
        """How to reach it.

        Raises:
            PortraitError: SERVER_UNAVAILABLE where it does not run or is not ready.
        """
        connection = self._own_connection() if self.alive else None
        if connection is None:
            raise self._failure("The server does not run.")
        return connection

    def stop(self, timeout: float = 15.0) -> None:
        """Asks it to stop, kills it where it has not within `timeout` seconds, and removes its folder."""
        self.wanted = False
        self.device = self._device_asked_for
        if self._process is not None:
            # Windows knows no gentle signal: terminating it there would leave its connection file and log unfinished.
            if not self._ends_when_asked(min(timeout, _ASK_TIMEOUT_SECONDS)):
                self._process.terminate()
            if not self.wait_ended(timeout):
                self.kill()
        if self._folder is not None:
            self.log_tail()
            self._folder.remove()
            self._folder = None

    def _ends_when_asked(self, timeout: float) -> bool:
        """Whether it took the message to shut down within `timeout` seconds."""
        connection = self._own_connection() if self.alive else None
        if connection is None or timeout <= 0:
            return False
        try:
            return stop_server(connection, timeout)
        except ServerLost:
            return not self.alive
        except PortraitError:
            return False

    def wait_ended(self, timeout: float) -> bool:
        """Whether it has ended, after waiting for at most `timeout` seconds."""
        try:
            if self._process is not None:
                self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the server said on standard error, which its log file has too; for people, however it logs."""
        if self._folder is not None and self._errors.exists():
            with self._errors.open("rb") as file:
                file.seek(max(0, self._errors.stat().st_size - _LOG_TAIL_BYTES))
                self._last_words = file.read().decode(errors="replace")
        said = [words for line in self._last_words.splitlines()[-lines:] for words in for_people(line)]
        return "\n".join(said[-lines:])

    @property
    def _file(self) -> Path:
        assert self._folder is not None
        return self._given_file or self._folder.path / "connection.json"

    @property
    def _errors(self) -> Path:
        assert self._folder is not None
        return self._folder.path / "stderr.txt"

    def _own_connection(self) -> Connection | None:
        """The connection file, unless it is the one that lay there before the process was started."""
        try:
            return None if _identity(self._file) == self._stale else Connection.load(self._file)
        except PortraitError:
            return None

    def _refusal(self) -> PortraitError:
        """Why it did not start."""
        if self._process is None or self._process.returncode != STATUS_NO_DEVICE:
            return self._failure("The server ended while it started.")
        *_, message, remedy = ["", "", *self.log_tail(2).splitlines()]
        return PortraitError(ErrorCode.DEVICE_UNAVAILABLE, message.removeprefix("portrait serve: "), remedy.strip())

    def _failure(self, message: str) -> PortraitError:
        words = self.log_tail(12)
        return PortraitError(ErrorCode.SERVER_UNAVAILABLE, message, f"It said:\n{words}" if words else "Start it.")


def _folder_of_our_own() -> PrivateFolder:
    try:
        return PrivateFolder()
    except OSError as error:
        raise write_error(Path(tempfile.gettempdir()), error, "Set TMPDIR to a folder you may write to.") from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def find_server(path: Path | None = None, timeout: float = 3.0) -> Connection | None:
    """A live server of this user, or None; a file that a dead server left is ignored.

    Args:
        path: a connection file; the user's own where None.
        timeout: how long a server may take to answer, seconds.

    Raises:
        PortraitError: VERSION_MISMATCH where one lives but is of another version;
            NOT_ALLOWED where the file is not this user's alone.
    """
    try:
        connection = Connection.load(path or default_connection_file())
    except PortraitError as error:
        if error.code == ErrorCode.SERVER_UNAVAILABLE:
            return None
        raise
    try:
        channel = Channel(connection)
    except PortraitError:  # nobody is there, or somebody else has put a socket in a dead server's place
        return None
    try:
        return connection if channel.greet("find_server", timeout) else None
    except ServerLost:
        return None
    finally:
        channel.close()


def stop_server(connection: Connection, timeout: float = _ASK_TIMEOUT_SECONDS) -> bool:
    """Asks a server to shut down.

    Returns:
        whether it said within `timeout` seconds that it does.

    Raises:
        PortraitError: SERVER_LOST where it ends before it answers; what reaching it raises.
    """
    deadline = time.monotonic() + timeout
    channel = Channel(connection)
    try:
        if channel.greet("launcher", timeout) is None:
            return False
        channel.send(Shutdown(_SHUTDOWN_REQUEST))
        while time.monotonic() < deadline:
            if isinstance(channel.receive(deadline - time.monotonic()), Stopping):
                return True
        return False
    finally:
        channel.close()

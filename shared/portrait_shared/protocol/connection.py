# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection file: where a server listens and the keys it lets in, readable by its owner alone."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.locks import is_own
from portrait_shared.files.whole_files import parse_json, replace_file, sweep_partials, write_error

_MAX_FILE_BYTES = 16_384
_IPC = "ipc://"
_KEY_CHARACTERS = 40  # a CURVE key in z85


@dataclass(frozen=True)
class Connection:
    """What a client must know to reach a server.

    Attributes:
        address: ``ipc://PATH`` or ``tcp://HOST:PORT``.
        protocol: the server's protocol version.
        version: the server's release.
        pid: the server's process, 0 where it runs on another machine.
        server_public_key: CURVE key in z85; tcp only.
        client_public_key: CURVE key in z85; tcp only.
        client_secret_key: CURVE key in z85; tcp only.
        log: path of the server's log file.
        file: the file it was read from, if any; read again when the server is lost.
    """

    address: str
    protocol: int
    version: str
    pid: int
    server_public_key: str | None = None
    client_public_key: str | None = None
    client_secret_key: str | None = field(default=None, repr=False)
    log: str = ""
    file: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.address, str) and self.address.startswith(("ipc://", "tcp://"))):
            raise ValueError("`address` must start with ipc:// or tcp://")
        for name in ("protocol", "pid"):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value < 2**32:
                raise ValueError(f"`{name}` must be a whole number from 0 to {2**32 - 1}")
        for name in ("version", "log"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"`{name}` must be text")
        if any(not _can_be_said(getattr(self, name)) for name in ("address", "version", "log")):
            raise ValueError("half a character stands in it")
        keys = (self.server_public_key, self.client_public_key, self.client_secret_key)
        sound = all(isinstance(key, str) and len(key) == _KEY_CHARACTERS and key.isascii() for key in keys)
        if not sound and (self.address.startswith("tcp://") or any(key is not None for key in keys)):
            raise ValueError("a tcp address needs three keys of 40 characters")

    @classmethod
    def load(cls, path: Path | str) -> Connection:
        """Reads a connection file.

        Raises:
            PortraitError: SERVER_UNAVAILABLE where there is none or it is malformed;
                NOT_ALLOWED where others may read or write it, or it belongs to somebody else.
        """
        path = Path(path)
        try:
            content = read_private(path, _MAX_FILE_BYTES + 1)
        except OSError as error:
            raise PortraitError(
                ErrorCode.SERVER_UNAVAILABLE, f"There is no server at {path} ({error.strerror}).", "Start the server."
            ) from error
        try:
            if len(content) > _MAX_FILE_BYTES:
                raise ValueError("too long")
            values: dict[str, Any] = parse_json(content)
            if not isinstance(values, dict):
                raise ValueError("not an object")
            return cls(**values, file=path)
        except (ValueError, TypeError) as error:
            raise PortraitError(
                ErrorCode.SERVER_UNAVAILABLE, f"{path} is not a connection file ({error}).",
                "Delete it and start the server again.",
            ) from error  # fmt: skip

    def save(self, path: Path | str) -> None:
        """Writes the file at once or not at all; it is its owner's alone from the first byte.

        Raises:
            PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
        """
        values = asdict(self)
        del values["file"]
        write_private(Path(path), json.dumps(values, indent=1).encode())


def read_private(path: Path, limit: int) -> bytes:
    """Up to `limit` bytes of a file that must be its owner's alone, and no link, folder or pipe.

    Raises:
        OSError: it cannot be read.
        PortraitError: NOT_ALLOWED where others may read or write it, or it belongs to somebody else.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a file")
        _check_private(path, status)
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that its owner alone may read, atomically; makes its folder (0700) if there is none."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep_partials(path.parent)
        replace_file(path, content, 0o600)
    except OSError as error:
        raise write_error(path, error, "Choose another place for it.") from error


def default_connection_file() -> Path:
    """This user's connection file: in the runtime folder where the system has one, else in a folder of ours."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif (runtime := os.environ.get("XDG_RUNTIME_DIR")) and Path(runtime).is_dir():
        base = Path(runtime)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "talking_portraits" / "connection.json"


def check_socket(address: str) -> None:
    """Refuses a socket that somebody else could have put there, in place of a server that has ended.

    Args:
        address: as in a connection file; of ``tcp://`` the keys tell who answers.

    Raises:
        PortraitError: NOT_ALLOWED where the socket or its folder is not this user's own; SERVER_UNAVAILABLE where
            there is no socket.
    """
    if sys.platform == "win32" or not address.startswith(_IPC):
        return
    socket = Path(address.removeprefix(_IPC))
    try:
        folder, place = socket.parent.stat(), socket.parent.lstat()
        status = socket.lstat()
    except (OSError, ValueError) as error:
        raise PortraitError(
            ErrorCode.SERVER_UNAVAILABLE, f"There is no server at {address}.", "Start the server again."
        ) from error
    writable_by_others = stat.S_IMODE(folder.st_mode) & 0o022
    sound = stat.S_ISSOCK(status.st_mode) and is_own(status) and is_own(folder) and is_own(place)
    if not socket.is_absolute() or writable_by_others or not sound:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"The socket {socket} is not this user's alone: somebody else could answer there.",
            "Delete the connection file, and start the server again.",
        )  # fmt: skip


def _check_private(path: Path, status: os.stat_result) -> None:
    if sys.platform == "win32":
        return  # the user's local folder is the owner's alone there
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED,
            f"{path} is not this user's alone (owner {status.st_uid}, mode {stat.S_IMODE(status.st_mode):o}).",
            "Others may know its keys: delete it, and start the server or make the keys again.",
        )


def _can_be_said(text: str) -> bool:
    """Whether UTF-8 can carry it: a lone surrogate is half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in text)

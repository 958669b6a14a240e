# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the server listens: an owner-only ipc socket, or TCP with keys."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder

_SOCKET_PATH_BYTES: Final = 107  # sun_path holds 108 on Linux, 104 on macOS; the last is a zero
_MACOS_SOCKET_PATH_BYTES: Final = 103
_IPC: Final = "ipc://"
_LAST_PORT: Final = 65535
_BACKLOG: Final = socket.SOMAXCONN
"""Where it is full, a client that connects is told at once that nobody is there."""


@dataclass(frozen=True)
class Endpoint:
    """An address to bind.

    Attributes:
        address: ``ipc://PATH`` or ``tcp://HOST:PORT``, port ``*`` for a free one.
        loopback: whether only this machine can reach it.
        folder: made for the socket, to be removed with it.
    """

    address: str
    loopback: bool = True
    folder: PrivateFolder | None = None

    @property
    def needs_keys(self) -> bool:
        return self.address.startswith("tcp://")

    def remove(self) -> None:
        """Takes away the socket's file, and the folder that was made for it."""
        if self.address.startswith(_IPC):
            with contextlib.suppress(OSError):
                Path(self.address.removeprefix(_IPC)).unlink()
        if self.folder is not None:
            self.folder.remove()


def choose_endpoint(bind: str | None, connection_file: Path) -> Endpoint:
    """The endpoint for ``--bind``, or the best one of this system.

    Raises:
        PortraitError: NOT_ALLOWED for an address that is none.
    """
    if bind is not None:
        return tcp_endpoint(bind)
    if sys.platform == "win32":
        return Endpoint("tcp://127.0.0.1:*")
    limit = _MACOS_SOCKET_PATH_BYTES if sys.platform == "darwin" else _SOCKET_PATH_BYTES
    beside = connection_file.with_name(f"{connection_file.name}.socket").absolute()
    if _is_private(beside.parent) and _fits(beside, limit):
        beside.unlink(missing_ok=True)  # a killed server's; ours is the only one on this connection file
        return Endpoint(f"ipc://{beside}")
    folder = PrivateFolder()
    if _fits(folder.path / "socket", limit):
        return Endpoint(f"ipc://{folder.path}/socket", folder=folder)
    folder.remove()
    return Endpoint("tcp://127.0.0.1:*")


def tcp_endpoint(bind: str) -> Endpoint:
    """The endpoint for ``tcp://HOST:PORT``.

    Raises:
        PortraitError: NOT_ALLOWED for an address that is none.
    """
    match = re.fullmatch(r"tcp://(\[[0-9a-fA-F:]+\]|[^\[\]:/]+):(\d{1,5}|\*)", bind)
    # Of a larger number the system would keep the last 16 bits, which are another port.
    if not match or (match[2] != "*" and int(match[2]) > _LAST_PORT):
        raise PortraitError(
            ErrorCode.NOT_ALLOWED,
            f"{bind!r} is not an address.",
            f"Write tcp://127.0.0.1:PORT, PORT from 1 to {_LAST_PORT} or 0 for a free one.",
        )
    host = "127.0.0.1" if match[1] == "localhost" else match[1]
    port = "*" if match[2] in ("0", "*") else match[2]
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    return Endpoint(f"tcp://{host}:{port}", loopback)


def client_address(bind: str) -> str:
    """What a client on another machine connects to.

    Raises:
        PortraitError: NOT_ALLOWED for an address that is none, or that is not one machine's and one port's.
    """
    address = tcp_endpoint(bind).address
    if address.endswith(":*") or reachable_address(address) != address:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"No client can connect to {bind}: it names no machine, or no port.",
            "Give --bind the name or address of this machine, as others reach it, and the port that the server will have.",
        )  # fmt: skip
    return address


def listen(address: str) -> tuple[socket.socket, str]:
    """A socket that listens, and never blocks; where it does, with the port that the system chose.

    Raises:
        OSError: it cannot listen there.
    """
    if address.startswith(_IPC):
        listener = socket.socket(socket.AF_UNIX)
        place: Any = address.removeprefix(_IPC)
    else:
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        host = {"*": "0.0.0.0"}.get(host, host.strip("[]"))
        family, _, _, _, place = socket.getaddrinfo(
            host, 0 if port == "*" else int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family)
        # With SO_REUSEADDR, Windows would let two servers have the port at once.
        reuse: int = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listener.setsockopt(socket.SOL_SOCKET, reuse, 1)
    mask = os.umask(0o177)
    try:
        listener.setblocking(False)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    if address.startswith(_IPC):
        return listener, address
    host, port = listener.getsockname()[:2]
    return listener, f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def reachable_address(endpoint: str) -> str:
    """What a client on this machine connects to."""
    return re.sub(r"^tcp://(0\.0\.0\.0|\*)", "tcp://127.0.0.1", endpoint).replace("tcp://[::]", "tcp://[::1]")


def _fits(socket: Path, limit: int) -> bool:
    """Whether a socket can have that path, which ZeroMQ takes as text and not as the bytes of a file's name."""
    try:
        return len(str(socket).encode()) <= limit
    except UnicodeEncodeError:
        return False


def _is_private(folder: Path) -> bool:
    status = folder.stat()
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077

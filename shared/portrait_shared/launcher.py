# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a server of one's own, watches it, stops it; and finds one that already runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from portrait_shared.connection import Connection


class ServerProcess:
    """A server that this process starts and that ends with it.

    Args:
        command: what starts the `portrait` command, e.g. ``["/usr/bin/portrait"]`` or
            ``[sys.executable, "-m", "portrait_server"]``.
        connection_file: where the server writes how to reach it; a private folder where None.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    def __init__(self, command: Sequence[str], *, connection_file: Path | None = None, device: str = "auto") -> None:
        raise NotImplementedError

    def start(self, timeout: float = 60.0) -> Connection:
        """Starts it and waits until it can be reached.

        Raises:
            PortraitError: SERVER_UNAVAILABLE, with the end of the log.
        """
        raise NotImplementedError

    @property
    def alive(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int | None:
        raise NotImplementedError

    @property
    def connection(self) -> Connection:
        """How to reach it. Raises PortraitError SERVER_UNAVAILABLE where it is not started."""
        raise NotImplementedError

    def stop(self, timeout: float = 15.0) -> None:
        """Asks it to stop, and kills it where it has not within `timeout` seconds."""
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError

    def log_tail(self, lines: int = 40) -> str:
        """The end of the server's log and of what it said on standard error."""
        raise NotImplementedError


def find_server(path: Path | None = None) -> Connection | None:
    """A live server of this user, or None; a file that a dead server left is ignored."""
    raise NotImplementedError

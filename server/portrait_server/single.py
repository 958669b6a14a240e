# SPDX-License-Identifier: GPL-3.0-or-later
"""One server a connection file: a lock that the system takes back when its holder dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from portrait_shared.errors import ErrorCode, PortraitError


class ServerLock:
    """Held for as long as the server lives.

    Raises:
        PortraitError: BUSY where another server holds it.
    """

    def __init__(self, connection_file: Path) -> None:
        path = connection_file.with_name(f"{connection_file.name}.lock")
        try:
            connection_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise PortraitError(
                ErrorCode.OUTPUT_NOT_WRITABLE, f"Cannot write {path}: {error.strerror}.",
                "Choose another place with --connection-file.",
            ) from error  # fmt: skip
        try:
            _lock(self._descriptor)
        except OSError:
            os.close(self._descriptor)
            raise PortraitError(
                ErrorCode.BUSY, f"A server is already running on {connection_file}.",
                "Use that one, stop it, or give this one another --connection-file.",
            ) from None  # fmt: skip

    def release(self) -> None:
        os.close(self._descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

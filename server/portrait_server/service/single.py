# SPDX-License-Identifier: GPL-3.0-or-later
"""One server a connection file: a lock that the system takes back when its holder dies."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.locks import is_own, lock, still_at
from portrait_shared.files.whole_files import check_place, write_error

_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


class ServerLock:
    """Held for as long as the server lives.

    Raises:
        PortraitError: BUSY where another server holds it; NOT_ALLOWED where another user's file, or a link, lies in
            its place; OUTPUT_NOT_WRITABLE.
    """

    def __init__(self, connection_file: Path) -> None:
        self._path = connection_file.with_name(f"{connection_file.name}.lock")
        try:
            connection_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_place(connection_file)
            self._descriptor = self._take()
        except OSError as error:
            if os.path.islink(self._path):
                raise self._foreign() from error
            raise write_error(connection_file, error, "Choose another place with --connection-file.") from error
        except _Held:
            raise PortraitError(
                ErrorCode.BUSY, f"A server is already running on {connection_file}.",
                "Use that one, stop it, or give this one another --connection-file.",
            ) from None  # fmt: skip

    def release(self) -> None:
        """Gives it back, and takes the file away."""
        if sys.platform == "win32":  # deletes no open file, so none that another server has taken meanwhile
            os.close(self._descriptor)
        with contextlib.suppress(OSError):
            self._path.unlink()  # while it is held: whoever opened it before sees that it is gone, and makes another
        if sys.platform != "win32":
            os.close(self._descriptor)

    def _take(self) -> int:
        while True:
            descriptor = os.open(self._path, _OPEN, 0o600)
            status = os.fstat(descriptor)
            if not (stat.S_ISREG(status.st_mode) and is_own(status)):
                os.close(descriptor)
                raise self._foreign()
            try:
                held_by_us = lock(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            if not held_by_us:
                os.close(descriptor)
                raise _Held
            if still_at(descriptor, self._path):
                return descriptor
            os.close(descriptor)  # the file was deleted in between, by a server that ended

    def _foreign(self) -> PortraitError:
        return PortraitError(
            ErrorCode.NOT_ALLOWED, f"{self._path} is a link, or somebody else's.",
            "Choose a folder of your own with --connection-file.",
        )  # fmt: skip


class _Held(Exception):
    """Another process has the lock."""

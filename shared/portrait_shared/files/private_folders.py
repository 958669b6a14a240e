# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders for one process's own use. What a process that was killed leaves behind, the next one removes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final

from portrait_shared.files.locks import is_own, lock, still_at

PREFIX: Final = "talking-portraits-"
_ALIVE: Final = "alive"
"""A file that whoever made the folder holds locked."""
_TRIES: Final = 20
_OPEN: Final = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)


class PrivateFolder:
    """A new folder that its owner alone may enter, with a short path: socket paths are limited to 107 bytes.

    Attributes:
        path: of the folder. It is there until `remove`, or until this process has ended and another sweeps.
    """

    _descriptor: int | None

    def __init__(self, parent: Path | None = None, prefix: str = PREFIX) -> None:
        """
        Args:
            parent: where it is made; the system's folder for temporary files where None.

        Raises:
            OSError: it cannot be made.
        """
        parent = Path(tempfile.gettempdir()) if parent is None else parent
        sweep_folders(parent, prefix)
        for _ in range(_TRIES):
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            try:
                self._descriptor = os.open(self.path / _ALIVE, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
            except FileNotFoundError:
                continue  # swept by another while it was still empty
            except OSError:
                self.path.rmdir()
                raise
            try:
                kept = lock(self._descriptor)
            except OSError:
                return  # a file system without locks: nothing is ever swept there
            if kept and still_at(self._descriptor, self.path / _ALIVE):
                return
            os.close(self._descriptor)
        raise OSError(errno.EAGAIN, "new folders vanish at once")

    def remove(self) -> None:
        """Deletes the folder with all that lies in it; a second time does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def sweep_folders(parent: Path, prefix: str = PREFIX) -> None:
    """Deletes what killed processes of this user have left; never a folder whose process lives."""
    try:
        with os.scandir(parent) as entries:
            found = [Path(entry.path) for entry in entries if entry.name.startswith(prefix)]
    except OSError:
        return
    for folder in found:
        with contextlib.suppress(OSError):
            status = os.lstat(folder)
            if stat.S_ISDIR(status.st_mode) and is_own(status):
                _sweep(folder)


def _sweep(folder: Path) -> None:
    try:
        descriptor = os.open(folder / _ALIVE, _OPEN)
    except FileNotFoundError:
        folder.rmdir()  # it was just made, or its maker was killed right then; where it is not empty, this raises
        return
    try:
        dead = lock(descriptor)
        if dead:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
    if dead:
        shutil.rmtree(folder, ignore_errors=True)  # Windows keeps a file while it is open

# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on open files, which the system takes back when their holder ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def lock(descriptor: int) -> bool:
    """Takes the lock of an open file for as long as it stays open; False where another holds it.

    Raises:
        OSError: the file system knows no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def still_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one that lies at a path now: it may have been swept away meanwhile."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def is_own(status: os.stat_result) -> bool:
    """Whether a file is this user's; on Windows, whose folders are each user's own, always."""
    return sys.platform == "win32" or status.st_uid == os.geteuid()

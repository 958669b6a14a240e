# SPDX-License-Identifier: GPL-3.0-or-later
"""Cores of its own for each of several workers on one machine, which know nothing of each other."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from portrait_shared.files.locks import is_own, lock

log = logging.getLogger(__name__)

_FOLDER: Final = "talking-portraits-cores"
_held: list[int] = []
"""Descriptors of the files that this process holds locked, one a core, until it ends."""


def take_cores(count: int) -> tuple[int, ...]:
    """Binds this thread, and what it starts, to cores that no other worker of this user has taken.

    Returns:
        The cores; none where there are too few, or the system binds nothing: then all are shared, as usual.
    """
    if sys.platform != "linux":
        return ()
    folder = Path(tempfile.gettempdir()) / f"{_FOLDER}-{os.getuid()}"
    taken: dict[int, int] = {}
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not is_own(os.lstat(folder)):
            return ()
        for core in sorted(os.sched_getaffinity(0)):
            if len(taken) < count:
                descriptor = os.open(folder / str(core), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
                if lock(descriptor):
                    taken[core] = descriptor
                else:
                    os.close(descriptor)
        if len(taken) == count:
            os.sched_setaffinity(0, taken)
            _held.extend(taken.values())
            return tuple(taken)
    except OSError as error:  # a file system without locks, a full disk
        log.info("Workers share their cores: %s", error)
    for descriptor in taken.values():
        os.close(descriptor)
    return ()

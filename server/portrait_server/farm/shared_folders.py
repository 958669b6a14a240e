# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that many machines share, and that are out of reach for a while now and then: waited for, but not for ever."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

PAUSES_SECONDS: Final = (1, 2, 4, 8, 15, 30, 30, 30, 30, 30)
"""Between looks; three minutes in all."""


def comes_back(files: Sequence[Path], folders: Sequence[Path], why: str) -> bool:
    """Waits until files can be read and folders be written to. Whether they can, at last.

    Nothing is made: what is out of reach may leave an empty folder of this machine's own behind.

    Args:
        why: what was refused, a sentence; it is logged.
    """
    for pause in PAUSES_SECONDS:
        if _reachable(files, folders):
            return True
        log.warning("%s It is tried again in %d s, for up to %d s in all.", why, pause, sum(PAUSES_SECONDS))
        time.sleep(pause)
    return _reachable(files, folders)


def _reachable(files: Sequence[Path], folders: Sequence[Path]) -> bool:
    try:
        for file in files:
            with file.open("rb"):
                pass
        for folder in folders:
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"\0")
    except OSError:
        return False
    return True

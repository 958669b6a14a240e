# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of an installation: everything that was run and said, and its last lines at hand."""

from __future__ import annotations

import collections
import time
from pathlib import Path
from typing import Final

from portrait_shared.log_lines import without_secrets

_LAST: Final = 200
_MAX_CHARACTERS: Final = 8_000_000


class LogFile:
    """Lines go into a file, which is begun anew, and the last ones stay at hand. Where the disk is full, these alone do.

    Args:
        path: the file; its folder must be there before the first line is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: collections.deque[str] = collections.deque(maxlen=_LAST)
        self._written = 0

    @property
    def last_lines(self) -> tuple[str, ...]:
        while True:
            try:
                return tuple(self._last)
            except RuntimeError:  # a line came meanwhile
                continue

    def write(self, line: str) -> None:
        """Adds a line, without the passwords in it."""
        line = without_secrets(line)
        self._last.append(line)
        if self._written > _MAX_CHARACTERS:
            return
        try:
            with self._path.open("a" if self._written else "w", encoding="utf-8") as file:
                file.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        except OSError:
            return
        self._written += len(line) + 10

# SPDX-License-Identifier: GPL-3.0-or-later
"""How far an installation is, by what uv says and by how its cache grows."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .lock_file import Package
from .sizes import bytes_in, size_words


class Progress(NamedTuple):
    """How far an installation is.

    Attributes:
        fraction: 0 to 1; it never goes back.
        words: what is done just now, such as "Downloading torch (187 MB)".
    """

    fraction: float
    words: str


_BEGUN: Final = re.compile(r"^Downloading ([\w.-]+)(?: \(([\d.]+)(B|KiB|MiB|GiB)\))?")
_DONE: Final = re.compile(r"^ Downloaded ([\w.-]+)")
_BUILDING: Final = re.compile(r"^ *Building ([\w.-]+)")
_UNITS: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_UNPACKED: Final = 3.0
"""Files of wheels are about so much larger than the wheels: uv unpacks while it downloads."""
_FROM, _TO = 0.08, 0.80
"""The part of the whole that downloads take."""
_LOOK_SECONDS: Final = 0.5


class Meter:
    """Counts. Lines come from one thread, questions from another."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._progress = Progress(0.0, "Looking at this machine")
        self._expected: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        self._done: set[str] = set()

    @property
    def progress(self) -> Progress:
        with self._guard:
            return self._progress

    def at(self, fraction: float, words: str) -> None:
        """Says what is done now."""
        with self._guard:
            self._progress = Progress(max(self._progress.fraction, min(fraction, 1.0)), words)

    def expect(self, packages: Sequence[Package]) -> None:
        """Tells what will be downloaded."""
        with self._guard:
            self._expected = {package.name: package.size for package in packages if not package.near}

    def take(self, line: str) -> None:
        """Reads a line of uv's."""
        if begun := _BEGUN.match(line):
            with self._guard:
                said = float(begun[2]) * _UNITS[begun[3]] if begun[2] else 0.0
                self._begun[begun[1]] = self._expected.get(begun[1], 0) or int(said)
                self._done.discard(begun[1])
            self._say()
        elif done := _DONE.match(line):
            with self._guard:
                self._done.add(done[1])
            self._say()
        elif building := _BUILDING.match(line):
            self.at(0.0, f"Preparing {building[1]}")
        elif line.startswith("Prepared "):
            self.at(_TO, "Putting the packages in their place")
        elif line.startswith("Installed "):
            self.at(_TO + 0.03, "Compiling the packages, so that the server starts quickly")

    def watch(self, cache: Path, ended: threading.Event) -> None:
        """Looks how the cache grows, until the event is set."""
        before = bytes_in(cache)
        while not ended.wait(_LOOK_SECONDS):
            self._say(bytes_in(cache) - before)

    def _say(self, grown: int = 0) -> None:
        with self._guard:
            total = sum((self._expected | self._begun).values())
            running = {name: size for name, size in self._begun.items() if name not in self._done}
            if not running or not total:
                return
            done = sum(self._begun[name] for name in self._done if name in self._begun)
            # What is being unpacked cannot be told apart, so it counts as part of those that run.
            unpacked = min(max(grown / _UNPACKED, done), done + 0.95 * sum(running.values()))
            fraction = _FROM + (_TO - _FROM) * min(unpacked / total, 1.0)
            most = max(running, key=lambda name: running[name])
            more = f" and {len(running) - 1} more" if len(running) > 1 else ""
            words = f"Downloading {most} ({size_words(running[most])}){more}; {size_words(total)} in all"
            self._progress = Progress(max(self._progress.fraction, fraction), words)

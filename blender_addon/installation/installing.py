# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation of the server, in a thread of its own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from portrait_shared.errors import PortraitError

from .choices import Choice
from .environments import Installed


class Progress(NamedTuple):
    """How far an installation is.

    Attributes:
        fraction: 0 to 1; it never goes back.
        words: what is done just now, such as "Downloading torch (187 MB)".
    """

    fraction: float
    words: str


class Installation:
    """Installs the server into a folder, beside the one that is there, which works until the new one is complete.

    *Install Server*, *Update* and *Repair* are all this. One object is one installation; a next one is another. All but
    `join` returns at once, from any thread.

    Attributes:
        log_file: everything that uv said, kept until the next installation.
        error: why it failed, CANCELLED where it was cancelled; None before, and where it did not fail.
        result: what is there once it is done; None before, and where it failed.
    """

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: the place; made where it is not there.
        """
        self.log_file = folder / "install.log"
        self.error: PortraitError | None = None
        self.result: Installed | None = None

    def start(self, choice: Choice, repair: bool = False) -> None:
        """Begins.

        Args:
            repair: whether every file is compared with its package's own hashes, and packages that are damaged, also as
                they were kept from before, are downloaded anew.
        """
        raise NotImplementedError

    def cancel(self) -> None:
        """Ends it soon, with every process that it started; what was downloaded is kept for the next one."""
        raise NotImplementedError

    def join(self, timeout: float | None = None) -> bool:
        """Waits for at most so many seconds.

        Returns:
            whether it is done.
        """
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """Whether it has come to its end, a good one or a bad one."""
        raise NotImplementedError

    @property
    def progress(self) -> Progress:
        raise NotImplementedError

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the log, for a panel."""
        raise NotImplementedError

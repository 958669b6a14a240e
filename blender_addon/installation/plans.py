# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation will take, said before anything is done: the place, the download, the disk, PyTorch, Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .choices import Choice


@dataclass(frozen=True)
class Plan:
    """What an installation will take, as far as it can be known without a network.

    Attributes:
        place: the folder that all of it goes into; nothing outside it is touched.
        download_bytes: about how much is downloaded; 0 from a folder of wheels.
        disk_bytes: about how much the folder grows by.
        free_bytes: what the disk of that folder has free.
        python: what will run the server: the path of a program, or "" where uv downloads one.
        torch: which PyTorch, in words such as "for the processor alone".
        words: all of that for a person, a line each.
    """

    place: Path
    download_bytes: int
    disk_bytes: int
    free_bytes: int
    python: str
    torch: str
    words: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it."""
        return self.free_bytes >= self.disk_bytes


def plan(choice: Choice, folder: Path) -> Plan:
    """What installing into that folder, which need not exist yet, will take. It asks no network and changes nothing; it
    may take a second.

    Raises:
        PortraitError: what would make `Installation` fail at once: FILE_MISSING where uv, the server's wheel or the
            folder of wheels is not there; OUTPUT_NOT_WRITABLE where the folder cannot be written.
    """
    raise NotImplementedError

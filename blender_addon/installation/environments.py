# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed in the extension's user folder, and how it is removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Installed:
    """A complete installation.

    Attributes:
        release: of the server, such as "0.1.0".
        python: the version that runs it, such as "3.11.9".
        backend: the PyTorch that it has, such as "cpu", "cu128", "rocm6.3"; "mps" on a Mac.
        program: the `portrait` program. Its path changes with every installation.
    """

    release: str
    python: str
    backend: str
    program: Path


def installed(folder: Path) -> Installed | None:
    """The server in that folder; None where none was ever completed, or where its program is gone. Reads one small file:
    a panel may call it whenever it is drawn."""
    return None


def broken(folder: Path) -> str:
    """In a sentence, what was left there by an installation that did not come to its end, or is damaged; empty where
    there is nothing, or all is well."""
    return ""


def remove(folder: Path) -> None:
    """Removes the server and all that was downloaded for it.

    Raises:
        PortraitError: NOT_ALLOWED where the folder is none that an installation has made, or is a link; BUSY where
            another Blender installs there, or the server still runs; OUTPUT_NOT_WRITABLE.
    """
    raise NotImplementedError

# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation will take, said before anything is done: the place, the download, the disk, PyTorch, Python."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_error

from . import bundled, claims, pythons, torch_backends
from .choices import BACKENDS, Choice
from .sizes import size_words
from .wheels_folder import read_folder

_UNPACKED: Final = 4
"""What an installation from a folder takes, against the folder's own size."""


@dataclass(frozen=True)
class Plan:
    """What an installation will take, as far as it can be known without a network.

    Attributes:
        place: the folder that all of it goes into; nothing outside it is touched.
        download_bytes: about how much is downloaded; 0 from a folder of wheels.
        disk_bytes: about how much the folder grows by.
        free_bytes: what the disk of that folder has free.
        python: the path of a Python on PATH that fits; "" where others are looked for, or uv downloads one.
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
    """What installing into that folder, which need not exist yet, will take. It asks no network, runs no program and
    changes nothing.

    Raises:
        PortraitError: what would make `Installation` fail at once: FILE_MISSING where uv, the server's wheel or the
            folder of wheels is not there; BAD_CONFIGURATION where the choice cannot be; VERSION_MISMATCH where the
            folder of wheels is for another release; NOT_ALLOWED, OUTPUT_NOT_WRITABLE where the folder is another's or
            cannot be written.
    """
    check_choice(choice)
    bundled.uv_program()
    wheel = bundled.server_wheel()
    claims.check_folder(folder)
    free = _free_bytes(folder)
    backend = torch_backends.meant(choice.backend)
    versions = pythons.runs_on(wheel)
    download, disk = torch_backends.size(backend)
    torch = torch_backends.words(backend)
    if choice.wheels is not None:
        found = read_folder(choice.wheels, bundled.release_of(wheel))
        download, disk = 0, found.bytes * _UNPACKED
        torch = "as the folder has it"
    there = {version: program for version in versions if (program := shutil.which(f"python{version}"))}
    python = choice.python or next(iter(there.values()), "")
    found_python = f"{next(iter(there))} of this machine" if there else "one that is found, or else one of its own"
    lines = (
        f"Place: {short_path(folder)}",
        f"From the folder: {short_path(choice.wheels)}" if choice.wheels else f"Download: about {size_words(download)}",
        f"On the disk: about {size_words(disk)}; {size_words(free)} are free",
        f"PyTorch: {torch}",
        f"Python: {choice.python or found_python}",
    )
    return Plan(folder, download, disk, free, python, torch, lines)


def short_path(path: Path) -> str:
    """Short, for a narrow panel: the user's own folder as “~”."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (RuntimeError, ValueError):  # no home; elsewhere
        return str(path)


def check_choice(choice: Choice) -> None:
    """Raises: PortraitError: BAD_CONFIGURATION where an index's address is none, or a backend unknown."""
    if choice.backend not in BACKENDS:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"There is no backend “{choice.backend}”.", f"Choose of {', '.join(BACKENDS)}."
        )
    try:
        address = urlsplit(choice.index)
        # Asked for its port, an address whose port is none raises; so does a password with an unescaped slash.
        good = not choice.index or (
            address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        )
        good = good or address.scheme == "file"
    except ValueError:
        good = False
    if not good or any(mark.isspace() for mark in choice.index):
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, "The address of the package index is none.",
            "Write it like https://packages.example.com/simple, in a password %2F for / and %40 for @; or leave it empty.",
        )  # fmt: skip


def _free_bytes(folder: Path) -> int:
    """Of the disk that a folder lies or will lie on.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE.
    """
    there = next((path for path in (folder, *folder.parents) if path.is_dir()), Path(folder.anchor))
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        raise write_error(there, error, "Check that disk.") from error
    if not os.access(there, os.W_OK | os.X_OK):
        raise PortraitError(
            ErrorCode.OUTPUT_NOT_WRITABLE, f"You may not write into {there}, where the server would go.",
            "Give yourself the right to write there.",
        )  # fmt: skip
    return free

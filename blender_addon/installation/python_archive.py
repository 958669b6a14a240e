# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that a folder for machines without network brings along, packed as python-build-standalone packs it."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_error

from .environments import remove_tree


def unpack_python(archive: Path, pythons: Path) -> Path:
    """Unpacks it into the folder of Pythons, unless that was done.

    Returns:
        its program.

    Raises:
        PortraitError: FILE_MISSING where it is no such archive; DISK_FULL, OUTPUT_NOT_WRITABLE.
    """
    place = pythons / archive.name.removesuffix(".tar.gz")
    program = place / "python" / ("python.exe" if sys.platform == "win32" else "bin/python3")
    if program.is_file():
        return program
    unfinished = pythons / "unfinished"
    try:
        remove_tree(unfinished)
        with tarfile.open(archive, "r:gz") as packed:
            packed.extractall(unfinished, filter="data")
        remove_tree(place)
        unfinished.rename(place)
    except (tarfile.TarError, EOFError) as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"{archive.name} is damaged.", "Copy the folder anew, or make it anew."
        ) from error
    except OSError as error:
        raise write_error(place, error) from error
    if not program.is_file():
        raise PortraitError(ErrorCode.FILE_MISSING, f"{archive.name} holds no Python.", "Make the folder anew.")
    return program

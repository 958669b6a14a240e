# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the files of an environment are those that its packages say they are."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from . import layout

_CHUNK_BYTES: Final = 2**20


def damaged(environment: Path, cancelled: Callable[[], bool], hashes: bool) -> list[str]:
    """The names of packages of which a file is missing or another.

    Args:
        hashes: whether all is read; else sizes alone are compared.
        cancelled: asked between files; what was found until then is returned.
    """
    packages = layout.packages_in(environment)
    if packages is None:
        return []
    found = []
    for info in sorted(packages.glob("*.dist-info")):
        if cancelled():
            break
        if not _is_whole(packages, info, cancelled, hashes):
            found.append(info.name.split("-")[0].replace("_", "-").lower())
    return found


def _is_whole(packages: Path, info: Path, cancelled: Callable[[], bool], hashes: bool) -> bool:
    try:
        with open(layout.long(info / "RECORD"), encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        for name, said, size in (row for row in rows if len(row) == 3 and row[2]):
            path = layout.long(packages / name)
            if os.path.getsize(path) != int(size):
                return False
            if hashes and said.startswith("sha256=") and not cancelled() and _hash(path) != said[7:].rstrip("="):
                return False
    except (OSError, ValueError, csv.Error):
        return False
    return True


def _hash(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(_CHUNK_BYTES):
            found.update(data)
    return base64.urlsafe_b64encode(found.digest()).decode().rstrip("=")

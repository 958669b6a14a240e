# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the files of an environment are those that its packages say they are."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from . import layout

_CHUNK_BYTES: Final = 2**20


class _Row(NamedTuple):
    """What a package says of a file: its size, bytes, and its hash, empty where it is another than SHA-256."""

    package: str
    size: int
    hash: str


def damaged(environment: Path, cancelled: Callable[[], bool], hashes: bool) -> list[str]:
    """The names of packages of which a file is missing or another.

    Where several packages bring the same file, as those of OpenCV do, it may be any one's. What Python compiles is not
    looked at: it is made anew.

    Args:
        hashes: whether all is read; else sizes alone are compared.
        cancelled: asked between files; what was found until then is returned.
    """
    packages = layout.packages_in(environment)
    if packages is None:
        return []
    found: set[str] = set()
    said: dict[str, list[_Row]] = {}
    for info in sorted(packages.glob("*.dist-info")):
        name = info.name.split("-")[0].replace("_", "-").lower()
        try:
            for path, row in _rows(packages, info, name):
                said.setdefault(path, []).append(row)
        except (OSError, ValueError, csv.Error):
            found.add(name)
    for path, rows in said.items():
        if cancelled():
            break
        if not found.issuperset(row.package for row in rows) and not _is_one_of(path, rows, hashes):
            found |= {row.package for row in rows}
    return sorted(found)


def _rows(packages: Path, info: Path, name: str) -> list[tuple[str, _Row]]:
    with open(layout.long(info / "RECORD"), encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) == 3 and row[2] and not row[0].endswith(".pyc")]
    return [
        (os.path.normpath(packages / path), _Row(name, int(size), _hash_of(said))) for path, said, size in rows
    ]  # fmt: skip


def _hash_of(said: str) -> str:
    return said.removeprefix("sha256=").rstrip("=") if said.startswith("sha256=") else ""


def _is_one_of(path: str, rows: list[_Row], hashes: bool) -> bool:
    there = layout.long(Path(path))
    try:
        size = os.path.getsize(there)
        fitting = [row for row in rows if row.size == size]
        if not fitting or not hashes or any(not row.hash for row in fitting):
            return bool(fitting)
        found = _hash(there)
    except OSError:
        return False
    return any(row.hash == found for row in fitting)


def _hash(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(_CHUNK_BYTES):
            found.update(data)
    return base64.urlsafe_b64encode(found.digest()).decode().rstrip("=")

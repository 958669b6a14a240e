# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that uv has chosen, from the lock file that it writes before anything is downloaded."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from portrait_shared.files.whole_files import read_bounded

_MAX_BYTES: Final = 16 * 2**20


class Package(NamedTuple):
    """One package.

    Attributes:
        name: in lower case, as uv says it.
        version: such as "2.9.0+cpu".
        size: of what is downloaded, bytes; 0 where the index does not say.
        near: whether it lies on this machine.
    """

    name: str
    version: str
    size: int
    near: bool


def read_lock(path: Path) -> list[Package]:
    """Raises: OSError, ValueError: it cannot be read, or is none."""
    packages = tomllib.loads(read_bounded(path, _MAX_BYTES).decode()).get("packages", [])
    return [_package(entry) for entry in packages]


def _package(entry: dict[str, Any]) -> Package:
    source = next(iter(entry.get("wheels", ())), None) or entry.get("archive") or entry.get("sdist") or {}
    size, path = source.get("size", 0), source.get("path", "")
    address = urlsplit(source.get("url", ""))
    if address.scheme == "file":
        path = url2pathname(unquote(address.path))
    if path and not size:
        try:
            size = Path(path).stat().st_size
        except OSError:  # relative to the lock file
            size = 0
    return Package(entry["name"], str(entry.get("version", "")), int(size), bool(path))

# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that uv has chosen, from the lock file that it writes before anything is downloaded."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from portrait_shared.errors import ErrorCode, PortraitError, first_line
from portrait_shared.files.whole_files import read_bounded

_MAX_BYTES: Final = 16 * 2**20


class Package(NamedTuple):
    """One package.

    Attributes:
        name: in lower case, as uv says it.
        version: such as "2.9.0+cpu".
        size: of what is downloaded, bytes; 0 where the index does not say.
        near: whether it lies on this machine.
        hashes: SHA-256 of each file that it may be installed from; empty where the index does not say.
    """

    name: str
    version: str
    size: int
    near: bool
    hashes: tuple[str, ...]

    @property
    def pin(self) -> str:
        """A line that asks for nothing else. uv finds in its cache what is asked for by name and version; an address, as
        its own lock file has it, is downloaded again where the index does not say for how long it stays as it is."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in self.hashes)])


def read_lock(path: Path) -> list[Package]:
    """Raises: PortraitError: INTERNAL where it is none."""
    try:
        packages = tomllib.loads(read_bounded(path, _MAX_BYTES).decode()).get("packages", [])
        return [_package(entry) for entry in packages]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PortraitError(
            ErrorCode.INTERNAL, f"uv wrote a list of packages that cannot be read: {first_line(error)}.",
            "Install again; if it comes back, report it with the log.",
        ) from error  # fmt: skip


def _package(entry: dict[str, Any]) -> Package:
    files = [*entry.get("wheels", ()), *([entry["sdist"]] if "sdist" in entry else [])]
    hashes = tuple(file["hashes"]["sha256"] for file in files if "sha256" in file.get("hashes", {}))
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
    return Package(
        entry["name"], str(entry.get("version", "")), int(size), bool(path), hashes if len(hashes) == len(files) else ()
    )

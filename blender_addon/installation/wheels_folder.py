# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder to install from without any network: as `portrait bundle` makes it, or simply one with wheels in it."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import parse_json, read_bounded

_FORMAT: Final = 1
_MAX_LIST_BYTES: Final = 4 * 2**20
_CHUNK_BYTES: Final = 2**20
_ANEW: Final = "Copy the folder anew, or make it anew with `portrait bundle` on a machine like this one."
_SERVER: Final = re.compile(r"talking_portraits-([^-]+)-.*\.whl")


@dataclass(frozen=True)
class WheelsFolder:
    """What such a folder holds.

    Attributes:
        wheels: the folder that the wheels themselves lie in.
        bytes: of all of them.
        python: the version that they are for, such as "3.11"; empty where the folder does not say.
        python_archive: a Python for this machine, packed; None where there is none.
        backend: the PyTorch that is in it; empty where the folder does not say.
        hashes: SHA-256 of files, by their paths; empty where the folder does not say.
    """

    wheels: Path
    bytes: int
    python: str
    python_archive: Path | None
    backend: str
    hashes: dict[Path, str]

    def check(self, cancelled: Callable[[], bool]) -> None:
        """Compares every file with what the folder says of it.

        Raises:
            PortraitError: FILE_MISSING, NOT_ALLOWED; CANCELLED.
        """
        for path, expected in self.hashes.items():
            found = hashlib.sha256()
            try:
                with path.open("rb") as file:
                    while data := file.read(_CHUNK_BYTES):
                        if cancelled():
                            raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
                        found.update(data)
            except OSError as error:
                raise PortraitError(
                    ErrorCode.FILE_MISSING, f"{path.name} cannot be read: {error.strerror or error}.", _ANEW
                ) from error
            if found.hexdigest() != expected:
                raise PortraitError(
                    ErrorCode.NOT_ALLOWED, f"{path.name} is not what the folder says: its hash is another.", _ANEW
                )


def read_folder(folder: Path, release: str) -> WheelsFolder:
    """What a folder says of itself, without reading its wheels.

    Args:
        release: of the server that shall be installed.

    Raises:
        PortraitError: FILE_MISSING where there are no wheels, or some are missing; VERSION_MISMATCH where it is for
            another release; BAD_CONFIGURATION where it is for another system, or its list is damaged.
    """
    inner = folder / "wheels" if (folder / "wheels").is_dir() else folder
    try:
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(inner) if entry.name.endswith(".whl")}
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"The folder {folder} cannot be read: {error.strerror or error}.",
            "Choose the folder again.",
        ) from error  # fmt: skip
    if not sizes:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There are no wheels in {folder}.",
            "Choose a folder that `portrait bundle` made, or one with all wheels in it.",
        )  # fmt: skip
    releases = {found[1] for name in sizes if (found := _SERVER.fullmatch(name))}
    if releases and release not in releases:
        raise _other_release(sorted(releases)[-1], release)
    if not (folder / "bundle.json").is_file():
        return WheelsFolder(inner, sum(sizes.values()), "", None, "", {})
    try:
        said = parse_json(read_bounded(folder / "bundle.json", _MAX_LIST_BYTES))
        return _as_said(folder, inner, sum(sizes.values()), said, release)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PortraitError(ErrorCode.BAD_CONFIGURATION, f"bundle.json in {folder} is damaged.", _ANEW) from error


def _as_said(folder: Path, wheels: Path, size: int, said: dict[str, Any], release: str) -> WheelsFolder:
    if said["format"] != _FORMAT or str(said["release"]) != release:
        raise _other_release(str(said["release"]), release)
    if said["platform"] != this_platform():
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION,
            f"The folder is for {said['platform']}, and this machine is {this_platform()}.",
            "Make one with `portrait bundle` for a machine like this one.",
        )  # fmt: skip
    hashes = {_inside(folder, name): str(file["sha256"]).lower() for name, file in said["files"].items()}
    missing = [path for path in hashes if not path.is_file()]
    if missing:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"{missing[0].name} is missing in {folder}"
            f"{f', and {len(missing) - 1} more' if len(missing) > 1 else ''}.", _ANEW,
        )  # fmt: skip
    archive = said.get("python_archive")
    return WheelsFolder(
        wheels, size, str(said["python"]), _inside(folder, archive) if archive else None, str(said["backend"]), hashes
    )


def _inside(folder: Path, name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or path.drive:
        raise ValueError(name)
    return folder / path


def _other_release(there: str, release: str) -> PortraitError:
    return PortraitError(
        ErrorCode.VERSION_MISMATCH, f"The folder holds release {there} of the server, and this extension needs {release}.",
        f"Make one with `portrait bundle` of release {release}, or install the extension of release {there}.",
    )  # fmt: skip


def this_platform() -> str:
    """As Blender's extensions call it, such as "linux-x64"."""
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
    machine = platform.machine().lower()
    return f"{system}-{'arm64' if machine in ('arm64', 'aarch64') else 'x64'}"

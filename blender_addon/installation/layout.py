# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies where in the folder that the server is installed into. Names are short: Windows counts the characters."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

MARK: Final = "installed.json"
"""Written last: what it names is complete."""
LOG: Final = "install.log"
SETTINGS: Final = "uv.toml"
UV: Final = "uv.exe" if sys.platform == "win32" else "uv"
FOLDERS: Final = ("cache", "models", "pythons", "tools", "tmp")
"""`models` is the server's own: what it downloads on first use."""
FILES: Final = (MARK, LOG, SETTINGS, UV)
_ENVIRONMENT: Final = re.compile(r"e([1-9]\d{0,8})")


def environments(folder: Path) -> list[Path]:
    """All environments, complete or not, by age."""
    try:
        found = [(int(named[1]), path) for path in folder.iterdir() if (named := _ENVIRONMENT.fullmatch(path.name))]
    except OSError:
        return []
    return [path for _, path in sorted(found)]


def next_environment(folder: Path) -> Path:
    """Where the next one is made: a name that none has or had just before."""
    there = environments(folder)
    return folder / (f"e{int(there[-1].name[1:]) + 1}" if there else "e1")


def is_environment(name: object) -> bool:
    return isinstance(name, str) and _ENVIRONMENT.fullmatch(name) is not None


def python_in(environment: Path) -> Path:
    return environment / "Scripts" / "python.exe" if sys.platform == "win32" else environment / "bin" / "python"


def program_in(environment: Path) -> Path:
    return environment / "Scripts" / "portrait.exe" if sys.platform == "win32" else environment / "bin" / "portrait"


def packages_in(environment: Path) -> Path | None:
    """The folder of its packages; None where it has none."""
    found = sorted(environment.glob("Lib/site-packages" if os.name == "nt" else "lib/python3*/site-packages"))
    return found[0] if found else None


def long(path: Path) -> str:
    """A path for calls that remove or read files: longer than 260 characters, Windows knows it only written like this."""
    return f"\\\\?\\{os.path.abspath(path)}" if sys.platform == "win32" else str(path)

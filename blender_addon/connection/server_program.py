# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the server's program is: as the user says, as the extension has installed it, or where it usually lies."""

from __future__ import annotations

import functools
import importlib.util
import os
import shlex
import shutil
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import bpy
from portrait_shared import __version__ as OWN_RELEASE

from ..blender.problems import Fix
from ..installation import environments, place

COMMAND_VARIABLE: Final = "TALKING_PORTRAITS_SERVER"
_NAMES: Final = ("portrait.exe", "portrait") if os.name == "nt" else ("portrait",)
_FOLDERS: Final = ("", "bin", "Scripts", ".venv/bin", ".venv/Scripts", "venv/bin", "venv/Scripts")
_PACKAGES: Final = (".local/share/pipx/venvs/*", ".local/pipx/venvs/*", "pipx/venvs/*", ".local/share/uv/tools/*")
_LOOK_AGAIN_SECONDS: Final = 10.0
_FOUND_SECONDS: Final = 1.0


class Origin(StrEnum):
    """Who named a program."""

    VARIABLE = "variable"
    PREFERENCE = "preference"
    INSTALLED = "installed"
    FOUND = "found"


class Program(NamedTuple):
    """What starts the server.

    Attributes:
        command: its words, empty where there is none.
        problem: why not, in a sentence; empty where there is a command.
        fix: what mends that, or else what a server of another release asks for.
        origin: who named it; `FOUND` also where nobody did.
    """

    command: tuple[str, ...]
    problem: str = ""
    fix: Fix = Fix.INSTALL
    origin: Origin = Origin.FOUND

    @property
    def is_by_hand(self) -> bool:
        """Whether the user named it: the installed server is then not used."""
        return self.origin in (Origin.VARIABLE, Origin.PREFERENCE)


def find(preferred: str) -> Program:
    """From the environment, the preferences, what is installed, PATH, this very Python, or a place where people install it.

    Args:
        preferred: the program, a folder that it lies in (of a project, or of its environment), or a whole command.
    """
    if asked := os.environ.get(COMMAND_VARIABLE, ""):
        words = (asked,) if os.path.isfile(asked) else _words(asked)
        return Program(words, fix=Fix.PREFERENCES, origin=Origin.VARIABLE)
    if preferred.strip():
        return _as_asked(preferred.strip())._replace(fix=Fix.PREFERENCES, origin=Origin.PREFERENCE)
    there = environments.installed(place.server_folder())
    if there is not None:
        return Program((str(there.program),), fix=Fix.UPDATE, origin=Origin.INSTALLED)
    if found := shutil.which("portrait"):
        return Program((found,))
    if importlib.util.find_spec("portrait_server") is not None:
        return Program((sys.executable, "-m", "portrait_server"))
    found = _in_usual_places(Path.home(), int(time.monotonic() / _LOOK_AGAIN_SECONDS))
    if found is not None:
        return Program((str(found),))
    if left := environments.broken(place.server_folder()):
        return Program((), left.rstrip("."), Fix.REPAIR)
    return Program((), "The server is not installed yet")


def lately_found(preferred: str) -> Program:
    """As `find`, up to a second ago: panels ask several times at every draw, and looking reads the disk."""
    return _found_at(preferred, os.environ.get(COMMAND_VARIABLE, ""), int(time.monotonic() / _FOUND_SECONDS))


@functools.lru_cache(maxsize=4)
def _found_at(preferred: str, named: str, second: int) -> Program:
    return find(preferred)


def look_again() -> None:
    """Forgets what was found: it was installed or removed just now."""
    _found_at.cache_clear()
    _in_usual_places.cache_clear()


def other_release(program: Program) -> str:
    """The release of an installed server that is not the extension's own; empty where there is none, or it is not used."""
    there = environments.installed(place.server_folder()) if program.origin is Origin.INSTALLED else None
    return there.release if there is not None and there.release != OWN_RELEASE else ""


def in_folder(folder: Path) -> Path | None:
    """The program in a folder itself, in the virtual environment that it has, or in the one that it is."""
    for inner in _FOLDERS:
        for name in _NAMES:
            program = folder / inner / name
            if _can_run(program):
                return program
    return None


def _as_asked(text: str) -> Program:
    path = Path(os.path.expanduser(bpy.path.abspath(text)))
    if os.path.isdir(path):
        found = in_folder(path)
        if found is not None:
            return Program((str(found),))
        return Program((), f"There is no “portrait” program in “{path}”, nor in a .venv there")
    if os.path.isfile(path):
        if "portrait" not in path.name.lower():
            beside = in_folder(path.parent)
            if beside is not None:
                return Program((str(beside),))
            return Program((), f"“{path.name}” is not the “portrait” program")
        return Program((str(path),)) if _can_run(path) else Program((), f"“{path.name}” is not a program that can run")
    words = _words(text)
    if len(words) == 1 and any(mark in text for mark in "/\\"):
        return Program((), f"There is no file or folder “{path}”")
    if not words or shutil.which(words[0]) is None:
        return Program((), f"There is no program “{words[0] if words else text}”")
    return Program(words)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text, posix=os.name == "posix"))
    except ValueError:  # a quotation mark that nothing closes
        return (text,)


def _can_run(path: Path) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


@functools.lru_cache(maxsize=1)
def _in_usual_places(home: Path, now: int) -> Path | None:
    """Of the user's own: project folders right in their home, and what pipx and uv install.

    Never beside the .blend, which may come from a stranger together with a program.

    Args:
        now: a number that changes every few seconds, so that the cache is not used for longer.
    """
    patterns = [*_PACKAGES, "*"]
    try:
        folders = [home / ".local", *(folder for pattern in patterns for folder in sorted(home.glob(pattern)))]
        return next((found for folder in folders if (found := in_folder(folder)) is not None), None)
    except OSError:  # a home that cannot be read
        return None

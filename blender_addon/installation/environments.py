# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed in the extension's user folder, and how it is removed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import parse_json, read_bounded, write_error, write_whole

from . import claims, layout

_FORMAT: Final = 1
_MAX_MARK_BYTES: Final = 65_536
_WORDS: Final = ("environment", "release", "python", "backend")
_LOOK_SECONDS: Final = 10.0
_LEFT: Final = (("cache", ".tmp*"), ("tmp", "*"))
"""What killed programs leave, by the folder. One that is a link leads to files of others."""


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
    said = _mark(folder)
    if said is None:
        return None
    environment = folder / said["environment"]
    program = layout.program_in(environment)
    if not (program.is_file() and layout.python_in(environment).is_file()):
        return None
    return Installed(said["release"], said["python"], said["backend"], program)


def broken(folder: Path) -> str:
    """In a sentence, what was left there by an installation that did not come to its end, or is damaged; empty where
    there is nothing, or all is well."""
    if not claims.is_own(folder) or installed(folder) is not None:
        return ""
    said = _mark(folder)
    if said is not None:
        environment = folder / said["environment"]
        if environment.is_dir() and not layout.python_in(environment).is_file():
            return "The Python that ran the server was removed from this machine: repair the server."
        return "The server's files are damaged: repair the server."
    if (folder / layout.MARK).exists():
        return "What was written about the server is damaged: repair the server."
    return "An installation of the server did not come to its end: repair it, what was downloaded is kept."


def complete(folder: Path, environment: Path, release: str, python: str, backend: str) -> Installed:
    """Says that an environment is complete: from now on it is the server.

    Raises:
        PortraitError: DISK_FULL, OUTPUT_NOT_WRITABLE.
    """
    program = layout.program_in(environment)
    if not (program.is_file() and layout.python_in(environment).is_file()):
        raise PortraitError(
            ErrorCode.OUTPUT_NOT_WRITABLE, f"The server's program is not there any more: {program}.",
            "A virus scanner may have taken it away: allow it there, then install again.",
        )  # fmt: skip
    said = dict(zip(_WORDS, (environment.name, release, python, backend), strict=True))
    write_whole(folder / layout.MARK, json.dumps({"format": _FORMAT, **said}, indent=1).encode())
    return Installed(release, python, backend, program)


def _mark(folder: Path) -> dict[str, str] | None:
    try:
        said: Any = parse_json(read_bounded(folder / layout.MARK, _MAX_MARK_BYTES))
    except (OSError, ValueError):
        return None
    if (
        not isinstance(said, dict)
        or said.get("format") != _FORMAT
        or not layout.is_environment(said.get("environment"))
    ):
        return None
    return {word: said[word] for word in _WORDS} if all(isinstance(said.get(word), str) for word in _WORDS) else None


def sweep(folder: Path) -> None:
    """Removes the environments that are not the server, unless a process of theirs still runs, and what killed programs
    left. Only while the folder is claimed."""
    said = _mark(folder)
    kept = said["environment"] if said is not None and installed(folder) is not None else ""
    old = [path for path in layout.environments(folder) if path.name != kept]
    running = _commands() if old else ()
    left = [path for name, what in _LEFT if not claims.is_link(folder / name) for path in (folder / name).glob(what)]
    for path in [*left, *(path for path in old if not _runs_from(path, running))]:
        try:
            remove_tree(path)
        except OSError:  # in use on Windows: the next installation tries again
            continue


def remove(folder: Path) -> None:
    """Removes the server and all that was downloaded for it. Files that others have put there stay.

    Raises:
        PortraitError: NOT_ALLOWED where the folder is none that an installation has made, or is a link; BUSY where
            another Blender installs there, or the server still runs; OUTPUT_NOT_WRITABLE.
    """
    if not folder.exists() and not claims.is_link(folder):
        return
    if claims.is_link(folder) or not claims.is_own(folder):
        claims.check_folder(folder)
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"{folder} was not made by an installation of the server: it is left alone.",
            "Remove it by hand, if it is yours.",
        )  # fmt: skip
    with claims.claim(folder):
        running = _commands()
        if any(_runs_from(path, running) for path in layout.environments(folder)):
            raise _in_use(folder)
        try:
            # Without its mark it is no server any more, whatever then stays.
            (folder / layout.MARK).unlink(missing_ok=True)
            for path in [*layout.environments(folder), *(folder / name for name in (*layout.FOLDERS, *layout.FILES))]:
                remove_tree(path)
            claims.forget(folder)
        except PermissionError as error:
            if sys.platform == "win32":
                raise _in_use(folder) from error
            raise write_error(folder, error, "Give yourself the right to write there, then remove it again.") from error
        except OSError as error:
            raise write_error(folder, error, "Remove it again.") from error
    claims.leave(folder)


def _in_use(folder: Path) -> PortraitError:
    return PortraitError(
        ErrorCode.BUSY, f"The server in {folder} still runs, or a file of it is open in another program.",
        "Stop the server in every Blender, then try again.",
    )  # fmt: skip


def straighten(folder: Path) -> None:
    """Removes what bears a name of an installation's own and cannot be its: links, files where it has folders, and
    folders where it has files. Only while the folder is claimed.

    Raises:
        OSError: something of it cannot be removed.
    """
    for name in layout.FOLDERS:
        if claims.is_link(folder / name) or not (folder / name).is_dir():
            remove_tree(folder / name)
    for name in layout.FILES:
        if claims.is_link(folder / name) or (folder / name).is_dir():
            remove_tree(folder / name)


def remove_tree(path: Path) -> None:
    """Removes a file, a link itself, or a folder with all that is in it; nothing where there is nothing.

    Raises:
        OSError: something of it cannot be removed.
    """
    if not os.path.lexists(path):
        return
    if claims.is_link(path):
        os.rmdir(path) if sys.platform == "win32" and path.is_dir() else path.unlink()
    elif path.is_dir():
        shutil.rmtree(layout.long(path), onerror=_with_rights)
    else:
        path.unlink()


def _with_rights(call: Callable[[str], object], path: str, error: Any) -> None:
    """Files and folders that are read-only are removed as well: packages may bring some."""
    if not isinstance(error[1], PermissionError) or claims.is_link(Path(path)):
        raise error[1]
    for there in (os.path.dirname(path), path):
        os.chmod(there, os.stat(there).st_mode | stat.S_IRWXU)
    if call in (os.unlink, os.rmdir):
        call(path)
    else:  # a folder that could not be opened; what still cannot be is an error now
        shutil.rmtree(path)


def _commands() -> tuple[str, ...] | None:
    """The commands of all processes; None where the system does not tell."""
    if sys.platform == "win32":  # whose files in use cannot be removed anyway
        return ()
    try:
        listed = subprocess.run(
            ["ps", "-axww", "-o", "command="], capture_output=True, timeout=_LOOK_SECONDS, check=False, text=True,
            errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return tuple(listed.stdout.splitlines())


def _runs_from(environment: Path, commands: tuple[str, ...] | None) -> bool:
    if commands is None:
        return False
    places = {f"{environment}{os.sep}", f"{os.path.realpath(environment)}{os.sep}"}
    return any(place in command for command in commands for place in places)

# SPDX-License-Identifier: GPL-3.0-or-later
"""One installation at a time in a folder, whichever Blender does it, and nothing but what installations have made."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.locks import lock, still_at
from portrait_shared.files.whole_files import write_error

_LOCK: Final = "install.lock"
_OWNER: Final = "talking-portraits.txt"
_OWNER_WORDS: Final = (
    "The server of Talking Portraits is installed here by its Blender extension. Remove Server in the extension's "
    "preferences deletes all of it.\n"
)
_OTHERS: Final = (".DS_Store", "desktop.ini", "Thumbs.db", _LOCK)
_TRIES: Final = 8
_REPARSE: Final = 0x400  # Windows: a junction, or another kind of link


def is_link(path: Path) -> bool:
    """Whether a path leads elsewhere: a symbolic link, or a junction on Windows."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & _REPARSE)


def is_own(folder: Path) -> bool:
    """Whether an installation has made that folder its own."""
    return not is_link(folder) and (folder / _OWNER).is_file() and not is_link(folder / _OWNER)


def check_folder(folder: Path) -> None:
    """Raises: PortraitError: NOT_ALLOWED where the folder is a link, a file, or another's."""
    if is_link(folder):
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"{folder} is a link to another place: nothing is installed or removed there.",
            "Remove the link, then try again.",
        )  # fmt: skip
    if not folder.exists() or is_own(folder):
        return
    if not folder.is_dir():
        raise PortraitError(ErrorCode.NOT_ALLOWED, f"{folder} is a file.", "Move it away, then try again.")
    try:
        others = [name for name in os.listdir(folder) if name not in _OTHERS]
    except OSError as error:
        raise write_error(folder, error, "Give yourself the right to read it, then try again.") from error
    if others:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"{folder} holds files of others, such as {sorted(others)[0]}: it is left alone.",
            "Move them away, then try again.",
        )  # fmt: skip


@contextmanager
def claim(folder: Path) -> Iterator[int]:
    """The folder for this process alone, as long as the context lasts; made where it is not there.

    Gives:
        the open file that holds the claim: a program that holds it, too, keeps it.

    Raises:
        PortraitError: BUSY where another process has it; NOT_ALLOWED as `check_folder`; OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    check_folder(folder)
    descriptor = _locked(folder)
    try:
        try:
            _write(descriptor)
            if not is_own(folder):
                (folder / _OWNER).write_text(_OWNER_WORDS, encoding="utf-8")
        except OSError as error:
            raise write_error(folder, error) from error
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> int:
    """The open file of the lock, which this process now has. Whoever removes a server takes the file away as well: one
    that is gone by the time that it is locked counts for nothing, and the next one is tried."""
    for _ in range(_TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise write_error(folder, error, "Give yourself the right to write there, then try again.") from error
        taken = _taken(descriptor)
        if taken and still_at(descriptor, folder / _LOCK):
            return descriptor
        holder = _holder(descriptor)
        os.close(descriptor)
        if not taken:
            raise _busy(holder)
    raise _busy("process unknown")


def _busy(holder: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BUSY, f"Another Blender installs or removes the server just now ({holder}).",
        "Wait until it is done: this Blender then uses the same server.",
    )  # fmt: skip


def _write(descriptor: int) -> None:
    """Behind the first byte, which is what is locked: on Windows no other process can read that."""
    os.lseek(descriptor, 1, os.SEEK_SET)
    os.write(descriptor, f"{os.getpid():<19}\n".encode())


def _taken(descriptor: int) -> bool:
    try:
        return lock(descriptor)
    except OSError:  # a file system without locks: uv's own keep two of them apart
        return True


def _holder(descriptor: int) -> str:
    try:
        os.lseek(descriptor, 1, os.SEEK_SET)
        number = os.read(descriptor, 20).decode("ascii", "replace").strip()
    except OSError:
        number = ""
    return f"process {number}" if number.isdigit() else "process unknown"


def forget(folder: Path) -> None:
    """Takes away what makes the folder an installation's own. Only while it is claimed: who claims it next makes it their
    own, and nothing of theirs may be taken away."""
    (folder / _OWNER).unlink(missing_ok=True)
    if sys.platform != "win32":  # where a file that is open cannot be removed
        (folder / _LOCK).unlink(missing_ok=True)


def leave(folder: Path) -> None:
    """After the claim on a forgotten folder has ended: removes it where nothing is left in it."""
    try:
        if sys.platform == "win32":
            (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:  # files of others are in it, or another Blender installs there already
        return

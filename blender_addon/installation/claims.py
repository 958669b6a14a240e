# SPDX-License-Identifier: GPL-3.0-or-later
"""One installation at a time in a folder, whichever Blender does it, and nothing but what installations have made."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.locks import lock, still_at
from portrait_shared.files.whole_files import write_error

from . import orphans

_LOCK: Final = "install.lock"
_OWNER: Final = "talking-portraits.txt"
_OWNER_WORDS: Final = (
    "The server of Talking Portraits is installed here by its Blender extension. Remove Server in the extension's "
    "preferences deletes all of it.\n"
)
_OTHERS: Final = (".DS_Store", "desktop.ini", "Thumbs.db", _LOCK)
_TRIES: Final = 8
_PAUSES_SECONDS: Final = (0.02, 0.1, 0.5, 1.0, 2.0)
"""Until the system has ended what was left at work, and so given the claim back."""
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
    above = next((path for path in folder.parents if os.path.lexists(path)), None)
    if above is not None and above.exists() and not above.is_dir():
        raise PortraitError(ErrorCode.NOT_ALLOWED, f"{above} is a file.", "Move it away, then try again.")
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
    for tries in range(_TRIES, 0, -1):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and tries > 1:
                continue
            raise write_error(folder, error, "Give yourself the right to write there, then try again.") from error
        if not (_taken(descriptor) or _taken_over(descriptor, folder)):
            refused = _busy(descriptor)
            os.close(descriptor)
            raise refused
        if still_at(descriptor, folder / _LOCK):
            return descriptor
        os.close(descriptor)
    raise PortraitError(ErrorCode.BUSY, "Another Blender removes the server just now.", "Try again in a minute.")


def _write(descriptor: int) -> None:
    """Behind the first byte, which is what is locked: on Windows no other process can read that."""
    os.lseek(descriptor, 1, os.SEEK_SET)
    os.write(descriptor, f"{os.getpid():<19}\n".encode())


def _taken(descriptor: int) -> bool:
    try:
        return lock(descriptor)
    except OSError:  # a file system without locks: uv's own keep two of them apart
        return True


def _taken_over(descriptor: int, folder: Path) -> bool:
    """Whether the claim could be taken from a Blender that was killed. The uv that it left at work is ended: nobody would
    finish what that began, and what it has downloaded is kept."""
    if _holder_lives(descriptor):
        return False
    left = orphans.groups(folder)
    if _holder_lives(descriptor):  # another Blender was faster
        return False
    orphans.end(left)
    for pause in _PAUSES_SECONDS:
        time.sleep(pause)
        if _taken(descriptor):
            return True
    return False


def _busy(descriptor: int) -> PortraitError:
    holder = _holder(descriptor)
    process = "process unknown" if holder is None else f"process {holder}"
    if _holder_lives(descriptor):
        return PortraitError(
            ErrorCode.BUSY, f"Another Blender installs or removes the server just now ({process}).",
            "Wait until it is done: this Blender then uses the same server.",
        )  # fmt: skip
    return PortraitError(
        ErrorCode.BUSY,
        f"Another Blender, or what it left at work when it was ended, has the server's folder ({process}).",
        "Try again in a minute.",
    )


def _holder_lives(descriptor: int) -> bool:
    holder = _holder(descriptor)
    return holder is None or orphans.lives(holder)


def _holder(descriptor: int) -> int | None:
    """The number of the process that has written itself down last."""
    try:
        os.lseek(descriptor, 1, os.SEEK_SET)
        number = os.read(descriptor, 20).decode("ascii", "replace").strip()
    except OSError:
        return None
    return int(number) if number.isdigit() else None


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

# SPDX-License-Identifier: GPL-3.0-or-later
"""Files written whole or not at all, without ever following a link; and files read up to a bound."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.locks import is_own, lock, still_at

_PARTIAL: Final = re.compile(r"\.portrait-[0-9a-f]{16}\.partial")
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_TRIES: Final = 20
_WINDOWS_LIFE_SECONDS: Final = 86_400
"""How long a half-written file may be in the making where it cannot be locked."""


@contextlib.contextmanager
def partial_file(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """A new empty file beside `path`, under a name that nobody can foresee. It takes the place of `path` at the end,
    or is deleted where an exception comes out.

    Args:
        mode: its rights, less the process's umask.

    Raises:
        OSError: it cannot be made, or cannot take that place; nor does it take that of a device, pipe or folder, or of
            a link to one: for the system's administrator it could.
    """
    check_place(path)
    partial, descriptor = _new_partial(path.parent, mode)
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def held_file(folder: Path, data: bytes) -> Iterator[Path]:
    """A new file that is there as long as the context, and is swept away (`sweep_partials`) where its process is killed.

    Raises:
        OSError: it cannot be made.
    """
    path, descriptor = _new_partial(folder, 0o666)
    try:
        path.write_bytes(data)
        yield path
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        if descriptor is not None:
            os.close(descriptor)


def check_place(path: Path) -> None:
    """Raises: OSError: no file can take that place, whoever writes it."""
    if _is_kept_by_its_owner(path):
        raise OSError(errno.EPERM, "it is another user's, and its folder lets owners alone replace files")
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # nothing is there, or a link to nothing; or it will be said why nothing can be written
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file")


def _is_kept_by_its_owner(path: Path) -> bool:
    """Whether another user's file lies there in a sticky folder, such as the one for temporary files."""
    try:
        folder, there = os.stat(path.parent), os.lstat(path)
    except OSError:
        return False
    return bool(folder.st_mode & stat.S_ISVTX) and not (is_own(folder) or is_own(there) or os.geteuid() == 0)


def _new_partial(folder: Path, mode: int) -> tuple[Path, int | None]:
    """A new file, and the descriptor that holds it locked; None on Windows, where an open file cannot be moved."""
    for _ in range(_TRIES):
        partial = folder / f".portrait-{secrets.token_hex(8)}.partial"
        try:
            descriptor = os.open(partial, _NEW, mode)
        except FileExistsError:
            continue
        if sys.platform == "win32":
            os.close(descriptor)
            return partial, None
        with contextlib.suppress(OSError):  # a file system without locks
            if not lock(descriptor) or not still_at(descriptor, partial):
                os.close(descriptor)  # another process swept it away before it was locked
                continue
        return partial, descriptor
    raise OSError(errno.EAGAIN, "new files vanish at once")


def replace_file(path: Path, data: bytes | memoryview, mode: int = 0o666) -> None:
    """Writes a file at once or not at all; one that was there before survives a failure.

    Raises:
        OSError: it cannot be written.
    """
    with partial_file(path, mode) as partial, partial.open("r+b") as file:
        file.write(data)


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """As `replace_file`, and removes what killed writers have left beside it.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    sweep_partials(path.parent)
    try:
        replace_file(path, data)
    except OSError as error:
        raise write_error(path, error) from error


def sweep_partials(folder: Path) -> None:
    """Deletes the half-written files of this user whose writers were killed; never one that is being written."""
    try:
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if _PARTIAL.fullmatch(entry.name)]
    except OSError:
        return
    for partial in found:
        with contextlib.suppress(OSError):
            status = os.lstat(partial)
            if stat.S_ISREG(status.st_mode) and is_own(status):
                _sweep(partial, status.st_mtime)


def _sweep(partial: Path, changed: float) -> None:
    if sys.platform == "win32":
        if time.time() - changed > _WINDOWS_LIFE_SECONDS:
            partial.unlink()
        return
    descriptor = os.open(partial, os.O_RDWR | os.O_NOFOLLOW)
    try:
        if lock(descriptor) and still_at(descriptor, partial):
            partial.unlink()
    finally:
        os.close(descriptor)


def write_error(path: Path, error: OSError, remedy: str = "Choose a folder that you may write to.") -> PortraitError:
    """What a failed write comes to: DISK_FULL or OUTPUT_NOT_WRITABLE."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PortraitError(
            ErrorCode.DISK_FULL, f"The disk is full: {path} could not be written.",
            "Free some room and try again; what was already written is kept.",
        )  # fmt: skip
    return PortraitError(
        ErrorCode.OUTPUT_NOT_WRITABLE, f"Cannot write {path}: {error.strerror or error}.", remedy
    )  # fmt: skip


def keep_sources(places: Iterable[Path], sources: Iterable[Path]) -> None:
    """Refuses to write over what is read: photos and footage may be the only ones.

    Args:
        places: files that shall be written, or a folder that shall be written to.
        sources: files and folders that are read.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE.
    """
    kept = set(filter(None, map(_node, sources)))
    for place in places:
        if _node(place) in kept:
            raise PortraitError(
                ErrorCode.OUTPUT_NOT_WRITABLE,
                f"{place} is {'where the shot itself lies' if place.is_dir() else 'what is read'}, and would be overwritten.",
                "Choose another place for what is made of it.",
            )


def _node(path: Path) -> tuple[int, int] | None:
    """What a file or folder is, whatever it is called; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes. Nothing waits for a pipe, and nothing endless is begun.

    Raises:
        OSError: there is no such file, it is larger, it is a folder, pipe or device, or it cannot be read.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a file")
            content = file.read(limit + 1) if status.st_size <= limit else None
    except ValueError as error:  # its path holds a zero byte or a lone surrogate
        raise OSError(errno.EINVAL, "its name is none that a file can have") from error
    if content is None or len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes")
    return content


def open_without_waiting(path: str, flags: int) -> int:
    """For `open(…, opener=…)`: a pipe that nobody writes to is opened, not waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def parse_json(content: bytes | str) -> Any:
    """Raises: ValueError for all that is no JSON, however deep it is nested."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None

# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a job is made of, by their content: copied into its folder, and checked there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_sequences import sequence_at, shot_files
from portrait_shared.files.whole_files import open_without_waiting
from portrait_shared.track import LandmarkTrack

INPUTS_FOLDER: Final = "inputs"
_CHUNK_BYTES: Final = 1 << 20
_LARGE_BYTES: Final = 64 << 20
_NAME: Final = re.compile(r"inputs/[0-9a-f]{64}(\.[\w-]{1,16}|/[^/\\\0]{1,255})?")
_checked: dict[tuple[str, str, int, int], str] = {}
"""Hashes of large files that this process has read, by path, expected hash, size and time of change."""


@dataclass(frozen=True)
class InputFile:
    """One file of a job.

    Attributes:
        sha256: of its content, hex.
        bytes: its length.
    """

    sha256: str
    bytes: int


def checked_name(name: str) -> str:
    """A file's path in a job's folder, with slashes. Raises: ValueError: one that no job has."""
    if not _NAME.fullmatch(name) or name.endswith(("/..", "/.")):
        raise ValueError(name)
    return name


def check_inputs(folder: Path, inputs: Mapping[str, InputFile]) -> None:
    """Whether all files of a job are there and as they were. Large ones are read once by a process, unless they change.

    Raises:
        PortraitError: FILE_MISSING, BAD_CONFIGURATION, naming the file.
    """
    for name, file in inputs.items():
        path = folder / name
        try:
            status = os.stat(path)
            same = status.st_size == file.bytes and _hash_of(path, file, status) == file.sha256
        except OSError as error:
            raise PortraitError(
                ErrorCode.FILE_MISSING, f"{path}, of which the job is made, cannot be read: {error.strerror}.",
                "Copy the job's folder again, whole; frames that are there stay valid.",
            ) from error  # fmt: skip
        if not same:
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, f"{path}, of which the job is made, has been altered.",
                "Copy the job's folder again, whole, or write the job again with `portrait job write`.",
            )  # fmt: skip


def check_shot(folder: Path, plate: Path, inputs: Mapping[str, InputFile]) -> None:
    """Whether a shot's folder holds no picture but the job's, which would move its frames by one.

    Args:
        plate: the shot's path from the job's folder.

    Raises:
        PortraitError: BAD_CONFIGURATION, naming the picture; as `shot_files`.
    """
    for picture in shot_files(folder / plate):
        if picture.relative_to(folder).as_posix() not in inputs:
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, f"{picture} is none of the pictures of which the job is made.",
                "Move it away: it was put there after the job was written.",
            )  # fmt: skip


def input_path(named: Any, inputs: Mapping[str, InputFile]) -> Path:
    """A name of ``job.json`` as a path from its folder; of an image sequence the name is its folder's.

    Raises:
        TypeError, ValueError: a name that is not among the files.
    """
    pictures = isinstance(named, str) and named.startswith(f"{INPUTS_FOLDER}/")
    if named not in inputs and not (pictures and any(name.startswith(f"{named}/") for name in inputs)):
        raise ValueError(named)
    return Path(named)


def _hash_of(path: Path, file: InputFile, status: os.stat_result) -> str:
    if file.bytes < _LARGE_BYTES:
        return file_hash(path)
    key = (str(path), file.sha256, status.st_size, status.st_mtime_ns)
    if key not in _checked:
        _checked[key] = file_hash(path)
    return _checked[key]


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file. Raises: OSError, also for a device or pipe, which may never end."""
    digest = hashlib.sha256()
    with open(path, "rb", opener=open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class Gathered:
    """Files on their way into a job's folder that is being made. Each is named by the path that it gets there.

    Attributes:
        inputs: those that have been taken, by their names with slashes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.inputs: dict[str, InputFile] = {}
        (folder / INPUTS_FOLDER).mkdir()

    def take(self, source: Path) -> Path:
        """Copies a file. Raises: OSError."""
        partial = self._folder / INPUTS_FOLDER / "new"
        sha256 = _copy(source, partial)
        return self._named(partial, sha256, _plain_suffix(source))

    def take_track(self, track: LandmarkTrack) -> Path:
        """Writes landmarks. Raises: PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL."""
        partial = self._folder / INPUTS_FOLDER / "new"
        track.save(partial)
        return self._named(partial, file_hash(partial), ".npz")

    def take_shot(self, shot: Path, digest: str) -> Path:
        """Copies a movie, or the pictures of a sequence under their own names, which its digest depends on.

        Args:
            digest: of `identify_shot`.

        Raises:
            OSError: a file cannot be read, or not be written.
        """
        sequence = sequence_at(shot)
        if sequence is None:
            return self.take(shot)
        folder = Path(INPUTS_FOLDER) / digest
        (self._folder / folder).mkdir()
        for file in sequence.files:
            self._add(folder / file.name, _copy(file, self._folder / folder / file.name))
        return folder

    def _named(self, partial: Path, sha256: str, suffix: str) -> Path:
        name = Path(INPUTS_FOLDER) / f"{sha256}{suffix}"
        os.replace(partial, self._folder / name)
        self._add(name, sha256)
        return name

    def _add(self, name: Path, sha256: str) -> None:
        self.inputs[name.as_posix()] = InputFile(sha256, os.stat(self._folder / name).st_size)


def _plain_suffix(source: Path) -> str:
    """A file's suffix, by which readers know its kind; none where it is an unusual one."""
    suffix = source.suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9_-]{1,16}", suffix) else ""


def _copy(source: Path, target: Path) -> str:
    """Copies a file's content; returns its SHA-256 (hex)."""
    digest = hashlib.sha256()
    with open(source, "rb", opener=open_without_waiting) as read, open(target, "xb") as written:
        while chunk := read.read(_CHUNK_BYTES):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm job: a folder with all that its frames are made of, which renders on any machine that has the server.

``job.json`` says what it draws and by which engine, what its inputs contain, and each frame's content hash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import parse_json, read_bounded
from portrait_shared.shots import note_shot
from portrait_shared.statement import Statement

from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.inputs import InputFile, check_inputs, check_shot
from portrait_server.farm.job_fields import FILES, digests_of, inputs_of, request_of, size_of, text_of

FORMAT: Final = "talking-portraits-job"
VERSION: Final = 1
JOB_FILE: Final = "job.json"
FRAMES_FOLDER: Final = "frames"
_MOST_BYTES: Final = 256 << 20
_AGAIN: Final = "Copy the job's folder again, whole, or write the job again with `portrait job write`."


@dataclass(frozen=True)
class FarmJob:
    """A job as it was written. Nothing in it changes.

    Attributes:
        folder: where it lies.
        request: what it draws; its files are named from the folder.
        engine, fingerprint: of what draws it; the fingerprint with what tunes it.
        digests: each frame's content hash, by its number, in order.
        inputs: its files, by their paths in the folder, with slashes.
        size: (width, height) of the frames, pixels.
        statement: what is said of the frames in their credentials; None where they shall have none.
        release: of the project, that wrote it and that must draw it.
    """

    folder: Path
    request: FrameRequest
    engine: str
    fingerprint: str
    digests: Mapping[int, str]
    inputs: Mapping[str, InputFile]
    size: tuple[int, int]
    statement: Statement | None = None
    release: str = __version__

    @property
    def name(self) -> str:
        """What the folder is called."""
        return self.folder.absolute().name

    @property
    def frames(self) -> tuple[int, ...]:
        """The numbers of all frames, in order."""
        return tuple(self.digests)

    @property
    def is_shot(self) -> bool:
        """Whether it draws a filmed shot, not photos."""
        return self.request.plate is not None

    @property
    def suffix(self) -> str:
        """What the names of the frames' files end with."""
        return self.request.suffix

    @property
    def default_output(self) -> Path:
        """Where frames are written unless another folder is named."""
        return self.folder / FRAMES_FOLDER

    @property
    def located(self) -> FrameRequest:
        """What it draws, with the files as they are found here."""
        return _mapped(self.request, lambda path: self.folder / path)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that the job says."""
        return _digest_of(self._told)

    @property
    def content(self) -> bytes:
        """What ``job.json`` holds."""
        return json.dumps({**self._told, "digest": self.digest}, indent=1).encode() + b"\n"

    @property
    def _told(self) -> dict[str, Any]:
        named = dataclasses.asdict(_mapped(self.request, Path.as_posix))
        del named["frames"], named["engine"]
        source = {field: named.pop(field) for field in (*FILES, "faces")}
        return {
            "format": FORMAT, "version": VERSION, "release": self.release,
            "engine": {"name": self.engine, "fingerprint": self.fingerprint},
            "source": source, "settings": named,
            "size": list(self.size),
            "statement": None if self.statement is None else self.statement.as_json(),
            "inputs": {name: {"sha256": file.sha256, "bytes": file.bytes} for name, file in self.inputs.items()},
            "frames": {str(number): digest for number, digest in self.digests.items()},
        }  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads a job that shall be drawn, and checks that all it is made of is there, unaltered, and this release's.

        Raises:
            PortraitError: as `read`; FILE_MISSING, BAD_CONFIGURATION where an input is missing or altered, naming it;
                VERSION_MISMATCH for another release's.
        """
        job = cls.read(folder)
        if job.release != __version__:
            raise _other_release(folder, job.release)
        check_inputs(folder, job.inputs)
        if job.request.plate is not None:
            check_shot(folder, job.request.plate, job.inputs)
            # its name is its digest, see `Gathered.take_shot`
            note_shot(folder / job.request.plate, job.request.plate.stem)
        return job

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads what a job says; its inputs need not be there.

        Raises:
            PortraitError: FILE_MISSING where there is none; VERSION_MISMATCH for another version of jobs, or where another
                release wrote what this one cannot read; BAD_CONFIGURATION where ``job.json`` is damaged or altered.
        """
        file = folder / JOB_FILE
        told = _told_by(file)
        if told.get("version") != VERSION:
            raise PortraitError(
                ErrorCode.VERSION_MISMATCH,
                f"{file} is of version {told.get('version')!r} of jobs; this release, {__version__}, reads version "
                f"{VERSION}.",
                "Render it with the release that wrote it, or write the job again with this one.",
            )
        if told.pop("digest", None) != _digest_of(told):
            raise _damaged(file, "has been altered since it was written")
        try:
            return cls._of(folder, told)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            release = told.get("release")
            raise (
                _damaged(file, "does not hold what a job needs")
                if release == __version__
                else _other_release(folder, release)
            ) from error

    @classmethod
    def _of(cls, folder: Path, told: Mapping[str, Any]) -> Self:
        inputs, digests = inputs_of(told["inputs"]), digests_of(told["frames"])
        request, engine = request_of(told, inputs, tuple(digests)), told["engine"]
        return cls(
            folder, request, str(request.engine), text_of(engine["fingerprint"]), digests, inputs, size_of(told["size"]),
            None if told["statement"] is None else Statement.of_json(told["statement"]), str(told["release"]),
        )  # fmt: skip


def _mapped(request: FrameRequest, what: Callable[[Path], Any]) -> FrameRequest:
    """A request with its files named otherwise."""

    def of(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(of, value))
        return None if value is None else what(value)

    return dataclasses.replace(request, **{field: of(getattr(request, field)) for field in FILES})


def _told_by(file: Path) -> dict[str, Any]:
    try:
        told = parse_json(read_bounded(file, _MOST_BYTES))
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There is no job in {file.parent}: {file} cannot be read ({error.strerror}).",
            "Name the folder that `portrait job write` has made, as this machine sees it.",
        ) from error  # fmt: skip
    except ValueError as error:
        raise _damaged(file, "is damaged") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise _damaged(file, "is no job's")
    return told


def _other_release(folder: Path, release: Any) -> PortraitError:
    return PortraitError(
        ErrorCode.VERSION_MISMATCH,
        f"{folder} was written by Talking Portraits {release}; this is {__version__}, which may draw it otherwise.",
        "Install the same release on every machine of the farm, or write the job again with this one.",
    )


def _digest_of(told: Mapping[str, Any]) -> str:
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _damaged(file: Path, what: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_CONFIGURATION, f"{file} {what}.", f"{_AGAIN} Frames that are there stay valid.")

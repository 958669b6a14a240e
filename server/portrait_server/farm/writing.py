# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's folder is written: what was not given is found, all files are copied, every frame gets its hash."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Final

from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.files.whole_files import write_error

from portrait_server.farm.deadline_bundle import BUNDLE_FILES
from portrait_server.farm.drawn_frames import DrawnFrames, drawn_frames
from portrait_server.farm.farm_job import JOB_FILE, FarmJob
from portrait_server.farm.flamenco import job_type
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.inputs import Gathered
from portrait_server.farm.open_job import template_of
from portrait_server.farm.photo_frames import PhotoFrames
from portrait_server.farm.stating import NOTHING_SAID, Said

_STAGE: Final = ".portrait-job-"


def write_job(
    folder: Path,
    request: FrameRequest,
    said: Said | None = NOTHING_SAID,
    *,
    device: str = "auto",
    connect: Path | None = None,
) -> FarmJob:
    """Makes a job's folder, whole or not at all. Landmarks that were not given are found now; workers find none.

    Args:
        folder: is made; where a job lies there already, it must be the same one.
        said: of the frames, in their credentials; None where they shall have none.
        device: what finds landmarks and prepares the portrait.
        connect: connection file of a server that does; one of its own where None.

    Raises:
        PortraitError: as `drawn_frames` and what that gives, for all that keeps the frames from being drawn;
            VERSION_MISMATCH where the server is of another release;
            OUTPUT_NOT_WRITABLE, also where something else lies there; DISK_FULL.
    """
    _check_free(folder)
    with drawn_frames(request, device, connect, "portrait job write") as drawn:
        if drawn.release != __version__:
            raise PortraitError(
                ErrorCode.VERSION_MISMATCH,
                f"The server is of Talking Portraits {drawn.release}; this is {__version__}, by which the job is written.",
                "Start the server of the same release, or leave out --connect.",
            )
        (engine, fingerprint), digests = drawn.engine, dict(sorted(drawn.digests.items()))
        statement = None if said is None else drawn.statement(said)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Within an empty folder, which may be on another disk than the one that it lies in.
            is_empty = folder.is_dir() and not (folder / JOB_FILE).is_file()
            with PrivateFolder(folder if is_empty else folder.parent, _STAGE) as stage:
                made = stage / "job"
                made.mkdir()
                gathered = Gathered(made)
                kept = dataclasses.replace(
                    request, frames=tuple(digests), engine=engine, **_gather(drawn, request, gathered)
                )
                job = FarmJob(folder, kept, engine, fingerprint, digests, gathered.inputs, drawn.size, statement)
                (made / JOB_FILE).write_bytes(job.content)
                for name, text in _for_managers(job).items():
                    (made / name).write_bytes(text.encode())
                _put(made, job)
        except OSError as error:
            raise write_error(folder, error) from error
    return FarmJob.load(folder)


def _check_free(folder: Path) -> None:
    """Whether nothing lies there but a job."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or not ((folder / JOB_FILE).is_file() or all(map(_is_stage, folder.iterdir()))):
        raise PortraitError(
            ErrorCode.OUTPUT_NOT_WRITABLE, f"{folder} is there already, and is no job.",
            "Name a folder that is not there yet: a job is written whole, or not at all.",
        )  # fmt: skip


def _is_stage(entry: Path) -> bool:
    """Whether it is what a killed `write_job` has left, or one that is still at work."""
    return entry.name.startswith(_STAGE)


def _gather(drawn: DrawnFrames, request: FrameRequest, gathered: Gathered) -> dict[str, Any]:
    """Copies all that the frames are made of; returns the fields of the request that name it."""
    fields: dict[str, Any] = {
        "tracks": tuple(map(gathered.take, request.tracks)),
        "personal": None if request.personal is None else gathered.take(request.personal),
    }
    if isinstance(drawn, PhotoFrames):
        fields["references"] = tuple(map(gathered.take, request.references))
        fields["reference_points"] = tuple(map(gathered.take_track, drawn.points))
    else:
        fields["plate"] = gathered.take_shot(drawn.plate, drawn.plate_digest)
        fields["plate_points"] = gathered.take_track(drawn.points)
        fields["faces"] = ()
    return fields


def _for_managers(job: FarmJob) -> dict[str, str]:
    """Files by which render farms' managers run a job, by their names; none of them says what the frames are."""
    return {"template.yaml": template_of(job), "flamenco.js": job_type(), **BUNDLE_FILES}


def _put(made: Path, job: FarmJob) -> None:
    """Moves a job to its place, where nothing lies yet, or the same job.

    Raises:
        OSError: it cannot be moved there.
        PortraitError: OUTPUT_NOT_WRITABLE where another job lies there, or a damaged one.
    """
    if not job.folder.is_dir():
        os.rename(made, job.folder)
    elif not (job.folder / JOB_FILE).is_file():
        # An empty one: it may be a link, the folder that this command runs in, or where another disk is mounted.
        for entry in sorted(made.iterdir(), key=lambda entry: entry.name == JOB_FILE):  # without that it is no job
            os.rename(entry, job.folder / entry.name)
    elif (other := _other_than(job)) is not None:
        raise PortraitError(
            ErrorCode.OUTPUT_NOT_WRITABLE, f"{job.folder} holds another job{other}",
            "Name a folder that is not there yet, or delete that one if nobody needs it any more.",
        )  # fmt: skip


def _other_than(job: FarmJob) -> str | None:
    """What a message says of the job that lies in a job's place; None where it is the very same."""
    try:
        return None if FarmJob.load(job.folder).digest == job.digest else "."
    except PortraitError as error:
        return f", or a damaged one: {error.message}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of a job's frames: signed by whichever machine finds at the end of its chunk that all of them are there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

from portrait_shared.client.credentials import read_credentials, renew_credentials, set_aside
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import PortraitError
from portrait_shared.files.whole_files import write_error
from portrait_shared.frames.frame_files import credentials_path, frame_names, frame_path, valid_frames
from portrait_shared.statement import Statement

from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.stating import signs

Stamp: TypeAlias = tuple[int, int, int]
"""What changes with a file's content."""
_READERS: Final = 8  # a shared folder answers slowly, but many at once


def with_job_credentials(
    stored: Iterable[StoredFrame], job: FarmJob, output: Path, failed: Callable[[PortraitError], None]
) -> Iterator[StoredFrame]:
    """Frames of a job as they are stored in a folder that other machines may write to; at the end all of the job's get
    their credentials, where they are all there and valid.

    From the first frame that is drawn until then there are none: they would speak of other bytes.

    Args:
        failed: told why frames that are there could not be signed.
    """
    hashes: dict[int, str] = {}
    seen: dict[Path, Stamp] = {}
    is_changed = False
    for frame in stored:
        if frame.drawn and not is_changed:
            is_changed = True
            set_aside(output)
        hashes[frame.number] = frame.sha256
        seen |= _stamps([frame.path])
        yield frame
    statement = job.statement
    try:
        if statement is None:
            if is_changed:
                renew_credentials(output, "", {}, None)
        elif is_changed or not _is_said(statement, read_credentials(output)):
            _sign_whole(job, statement, output, hashes, seen)
    except PortraitError as error:
        failed(error)
    except OSError as error:
        failed(write_error(credentials_path(output), error))


def _sign_whole(
    job: FarmJob, statement: Statement, output: Path, hashes: Mapping[int, str], seen: Mapping[Path, Stamp]
) -> None:  # fmt: skip
    """Signs all frames of a job where they are all there.

    Args:
        hashes: SHA-256 of those that were just stored.
        seen: their files' stamps as they were stored.
    """
    paths = {number: frame_path(output, number, suffix=job.suffix) for number in job.frames}
    if not {path.name for path in paths.values()} <= {*frame_names(output)}:
        return
    if hashes.keys() != job.digests.keys() or _stamps(paths.values()) != seen:
        # Only now: what it takes to sign is slow to load.
        from portrait_server.provenance.keys import signing_key

        signing_key()  # first: without a key there is no need to read all frames
        seen = _stamps(paths.values())
        hashes = _all_hashes(job, output)
        # Else another machine draws some of them again, and will sign when it is through.
        if hashes.keys() != job.digests.keys() or _stamps(paths.values()) != seen:
            return
    by_name = {paths[number].name: sha256 for number, sha256 in hashes.items()}
    renew_credentials(output, "", by_name, signs(lambda: statement))


def _is_said(statement: Statement, manifest: bytes | None) -> bool:
    """Whether a folder's credentials say what they would say now."""
    if manifest is None:
        return False
    # Only now: what it takes to read them is slow to load.
    from portrait_server.provenance.reading import parse_sequence

    told = parse_sequence(manifest)
    return told is not None and told[0].statement == statement


def _all_hashes(job: FarmJob, output: Path) -> dict[int, str]:
    """SHA-256 of each frame that is valid."""

    def one(frame: tuple[int, str]) -> dict[int, str]:
        return valid_frames(output, dict([frame]), suffix=job.suffix)

    found: dict[int, str] = {}
    with ThreadPoolExecutor(_READERS, "hashing") as pool:
        for each in pool.map(one, job.digests.items()):
            found |= each
    return found


def _stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Of those files that are there."""
    found: dict[Path, Stamp] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            found[path] = status.st_ino, status.st_size, status.st_mtime_ns
    return found

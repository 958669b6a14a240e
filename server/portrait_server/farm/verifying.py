# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of a job are there and valid, told by their hashes, whatever machine drew them and whenever."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.exr_header import CutShort
from portrait_shared.frames.frame_files import frame_path
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES, checked_mark
from portrait_shared.frames.frame_numbers import ranges_of

from portrait_server.farm.farm_job import FarmJob

_NO_FRAME: Final = (errno.EINVAL, errno.EFBIG, errno.EISDIR, errno.ELOOP)
"""What reading something says that is no frame's file, but a folder, a pipe, a link to itself, or far too large."""
_READERS: Final = 8  # a shared folder answers slowly, but many at once


class Finding(StrEnum):
    """What was found of a frame."""

    VALID = "valid"
    MISSING = "missing"
    HALF_WRITTEN = "half-written"
    """Its file ends before it should."""
    ALTERED = "altered"
    """Its file is damaged, its pixels are others than were drawn, or it is another program's."""
    STALE = "stale"
    """It is whole, and of another job or of an earlier state of this one."""


@dataclass(frozen=True)
class FrameVerdict:
    """One frame of a job.

    Attributes:
        device: what drew it, see `Device.kind`; empty where its file does not tell, as `release`.
    """

    number: int
    path: Path
    finding: Finding
    device: str = ""
    release: str = ""


def verify_frames(
    job: FarmJob, output: Path | None = None, frames: Sequence[int] | None = None
) -> Iterator[FrameVerdict]:
    """Reads all files of a job's frames.

    Args:
        output: where they lie; in the job's own folder where None.
        frames: which; all where None.

    Yields:
        Every frame, in order.

    Raises:
        OSError: a file that is there cannot be read.
    """
    output = job.default_output if output is None else output
    with ThreadPoolExecutor(_READERS, "verifying") as pool:
        yield from pool.map(partial(_verdict, job, output), job.frames if frames is None else sorted(frames))


def _verdict(job: FarmJob, output: Path, number: int) -> FrameVerdict:
    path = frame_path(output, number, suffix=job.suffix)
    try:
        mark = checked_mark(read_bounded(path, MAX_FRAME_BYTES))
    except FileNotFoundError:
        return FrameVerdict(number, path, Finding.MISSING)
    except OSError as error:
        if error.errno not in _NO_FRAME:
            raise
        return FrameVerdict(number, path, Finding.ALTERED)
    except CutShort:
        return FrameVerdict(number, path, Finding.HALF_WRITTEN)
    except ValueError:
        return FrameVerdict(number, path, Finding.ALTERED)
    finding = Finding.VALID if mark.digest == job.digests[number] else Finding.STALE
    return FrameVerdict(number, path, finding, mark.device, mark.release)


def in_words(job: FarmJob, verdicts: Sequence[FrameVerdict]) -> str:
    """Lines for a person: the frames of each finding, those that are whole by what drew them."""
    groups: dict[tuple[Finding, str], list[int]] = {}
    for verdict in verdicts:
        by = f", by {verdict.device or 'a device not told'} ({verdict.release})" if verdict.release else ""
        if job.is_shot and verdict.finding is Finding.VALID and not by:
            by = ", as filmed"
        groups.setdefault((verdict.finding, by), []).append(verdict.number)
    ordered = sorted(groups.items(), key=lambda group: (list(Finding).index(group[0][0]), group[1]))
    return "\n".join(f"{finding}: {ranges_of(numbers)} ({len(numbers)}){by}" for (finding, by), numbers in ordered)


def as_json(job: FarmJob, verdicts: Sequence[FrameVerdict]) -> str:
    """The same for programs: each frame, and how many there are of each finding."""
    told = {
        "job": job.name, "digest": job.digest, "release": job.release, "engine": job.engine,
        "valid": all(verdict.finding is Finding.VALID for verdict in verdicts),
        "counts": {finding: sum(verdict.finding is finding for verdict in verdicts) for finding in Finding},
        "frames": [
            {
                "frame": verdict.number, "state": verdict.finding, "file": verdict.path.name, "device": verdict.device,
                "release": verdict.release,
            }
            for verdict in verdicts
        ],
    }  # fmt: skip
    return json.dumps(told, indent=1)

# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait job`: frames for render farms, as a folder that any machine with the server draws in pieces."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_numbers import ranges_of

from portrait_server.commands import job_server
from portrait_server.commands.arguments import tell_saved
from portrait_server.commands.blend_job import add_blend_arguments, write_from_blend
from portrait_server.commands.credential_arguments import add_credential_arguments, said_of
from portrait_server.commands.frame_arguments import (
    add_drawing_arguments,
    add_frame_arguments,
    add_frames,
    add_run_arguments,
    frame_request,
)
from portrait_server.commands.job_ray import add_ray_arguments, check_ray_arguments, stored_by_ray
from portrait_server.commands.logs import add_log_format, tell_unsigned
from portrait_server.commands.recognised import add_recognised, find_and_tell
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.job_credentials import with_job_credentials
from portrait_server.farm.reporting import REPORTS, tell_frames, tell_verified, telling_failure
from portrait_server.farm.verifying import Finding, as_json, in_words, verify_frames
from portrait_server.farm.worker import JobWorker, check_chunk
from portrait_server.farm.writing import write_job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (summary, add, act) in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        add(action)
        add_log_format(action)
        action.set_defaults(act=act)


def run(asked: argparse.Namespace) -> int:
    status: int = asked.act(asked)
    return status


def _add_write(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=Path, metavar="JOB", help="the folder to make")
    add_blend_arguments(parser, add_frame_arguments(parser, always=False))
    add_drawing_arguments(parser)
    add_credential_arguments(parser)


def _write(asked: argparse.Namespace) -> int:
    if asked.blend is not None:
        return write_from_blend(asked)
    if asked.portrait is not None:
        raise PortraitError(ErrorCode.BAD_CONFIGURATION, "--portrait is of a --blend.", "Give the scene, too.")
    job = write_job(asked.job, frame_request(asked), said_of(asked), device=asked.device, connect=asked.connect)
    width, height = job.size
    print(f"Frames: {ranges_of(job.frames)} ({len(job.frames)}), {width}x{height}, by {job.engine}")
    print(f"Job: {job.folder}")
    return 0


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=Path, metavar="JOB", help="the job's folder")
    add_frames(parser)
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the frames (default: JOB/frames)")
    parser.add_argument("--report", choices=REPORTS,
                        help="also print what a farm's manager reads of a task: progress, files, why it fails")  # fmt: skip
    add_drawing_arguments(parser)
    add_run_arguments(parser)
    add_recognised(parser)
    add_ray_arguments(parser)


def _render(asked: argparse.Namespace) -> int:
    with telling_failure(asked.report):
        check_ray_arguments(asked)
        job = FarmJob.load(asked.job)
        frames = asked.frames or job.frames
        check_chunk(job, frames)
        with closing(_stored(job, frames, asked)) as stored:
            if asked.report:
                status = tell_frames(stored, len(frames), asked.report)
            else:
                status = tell_saved((frame.path for frame in stored), len(frames), asked.progress)
        if status or asked.recognised is None:
            return status
        return find_and_tell(asked, job.located, asked.output or job.default_output, frames)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=Path, metavar="JOB", help="the job's folder")
    add_frames(parser, "verify")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the frames (default: JOB/frames)")
    parser.add_argument(
        "--report", choices=REPORTS[:1], help="also print what a farm's manager reads of a task: why it fails"
    )
    parser.add_argument("--json", action="store_true", help="say it as a JSON object, each frame by itself")


def _verify(asked: argparse.Namespace) -> int:
    with telling_failure(asked.report):
        job = FarmJob.read(asked.job)
        frames = asked.frames or job.frames
        check_chunk(job, frames)
        verdicts = list(verify_frames(job, asked.output, frames))
    words = in_words(job, verdicts)
    print(as_json(job, verdicts) if asked.json else words)
    if asked.report:
        tell_verified(verdicts, words)
    return 0 if all(verdict.finding is Finding.VALID for verdict in verdicts) else 1


def _stored(job: FarmJob, frames: Sequence[int], asked: argparse.Namespace) -> Generator[StoredFrame, None, None]:
    output, unsigned = asked.output or job.default_output, partial(tell_unsigned, asked)
    if asked.ray is not None:
        yield from with_job_credentials(stored_by_ray(job, frames, asked), job, output, unsigned)
        return
    with JobWorker(job, device=asked.device, connect=asked.connect, output=output) as worker:
        yield from with_job_credentials(worker.render(frames, asked.again), job, output, unsigned)


_ACTIONS: Final[
    dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]]
] = {
    "write": ("make a job's folder, with all that its frames are made of", _add_write, _write),
    "render": ("draw frames of a job", _add_render, _render),
    "verify": (
        "tell which frames of a job are there, valid, missing or altered, and what drew them",
        _add_verify,
        _verify,
    ),
    "start-server": (
        "start a server for the tasks of a worker, which outlives this command",
        job_server.add_start_arguments,
        job_server.start,
    ),
    "stop-server": ("stop the server that start-server started", job_server.add_stop_arguments, job_server.stop),
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait job render --ray`: a job's frames, drawn by a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from portrait_shared.client.rendering import StoredFrame
from portrait_shared.devices import kind_of
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.commands.arguments import whole_number
from portrait_server.commands.logs import tell_note
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.on_ray import render_on_ray
from portrait_server.farm.ray_placement import Wish

_USUAL: Final = Wish()
_OF_WORKERS: Final = ("workers", "worker_cores", "worker_gpus", "worker_memory")


def add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("with Ray")
    group.add_argument("--ray", metavar="ADDRESS",
                       help="draw on a Ray cluster: HOST:PORT of its head, ray://HOST:10001 from outside it, auto for this "
                            "machine's, or local for workers on this machine alone")  # fmt: skip
    group.add_argument("--workers", type=whole_number(1, 100_000, "a number of workers"), metavar="N",
                       help="how many draw at most (default: one a GPU, or on processors one for every --worker-cores)")  # fmt: skip
    group.add_argument("--worker-cores", type=whole_number(1, 4096, "a number of cores"), metavar="N",
                       help="cores of each worker, and threads that draw there (default: 1, with a GPU its share)")  # fmt: skip
    group.add_argument("--worker-gpus", type=_share, metavar="SHARE",
                       help="share of a GPU that each worker takes: with 0.5 two draw on each (default: 1)")  # fmt: skip
    group.add_argument("--worker-memory", type=_gibibytes, metavar="GIB",
                       help="of a GPU's memory for each worker: as many draw on each as the smallest GPU holds")  # fmt: skip


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.01 <= share <= 1:
        raise argparse.ArgumentTypeError("a share from 0.01 to 1 is needed")
    return share


def _gibibytes(text: str) -> int:
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0.5 <= size <= 1024:
        raise argparse.ArgumentTypeError("GiB from 0.5 to 1024 are needed")
    return int(size * 2**30)


def check_ray_arguments(asked: argparse.Namespace) -> None:
    """Raises: PortraitError: BAD_CONFIGURATION for options that do not go together."""
    given = [name for name in _OF_WORKERS if getattr(asked, name) is not None]
    if asked.ray is None and given:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"--{given[0].replace('_', '-')} is of --ray.",
            "Give the cluster's address, too: --ray local is this machine alone.",
        )  # fmt: skip
    if asked.worker_memory is not None and asked.worker_gpus is not None:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, "--worker-memory does not go with --worker-gpus.",
            "Give one of them: either decides how many workers a GPU gets.",
        )  # fmt: skip
    if asked.ray is not None and asked.connect is not None:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, "--connect does not go with --ray.",
            "Leave it out: workers of a cluster each start a server of their own.",
        )  # fmt: skip


def stored_by_ray(job: FarmJob, frames: Sequence[int], asked: argparse.Namespace) -> Iterator[StoredFrame]:
    """Frames as `render_on_ray` yields them; standard error tells of workers. Raises as that."""
    wish = Wish(
        asked.workers, asked.worker_cores, asked.worker_gpus or _USUAL.gpus, kind_of(asked.device), asked.worker_memory
    )
    yield from render_on_ray(
        job,
        frames,
        asked.output or job.default_output,
        asked.ray,
        wish,
        again=asked.again,
        note=partial(tell_note, asked),
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client gets of a server in its own process: frames a second, and whether a long render stays as it began."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.devices import kind_of
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage

from tests.benchmarks.gpu_sections.drawing import SIDES
from tests.benchmarks.gpu_sections.material import Plan, Rates, reference, track
from tests.benchmarks.gpu_sections.report import Row
from tests.benchmarks.long_run import resident_mib

_MOST_FRAMES = 4000
_AIMS = {(256, "raw"): 1000, (512, "raw"): 400}  # frames/s of fewshot on an H100
_LEVEL = 1.15  # a late frame takes no longer than an early one, and no more memory, times this


def server_of(plan: Plan) -> ServerProcess:
    """`portrait serve`, as the client starts it."""
    return ServerProcess([sys.executable, "-m", "portrait_server"], device=plan.served_on or plan.device)


def serving(plan: Plan) -> Iterator[Row]:
    """Frames a second as they reach a client, raw and as finished PNG files."""
    begun = time.perf_counter()
    with Client(server_of(plan)) as client:
        client.connect()
        yield Row("server is ready", time.perf_counter() - begun, "s", "from its start, torch and engines loaded")
        for name in ("fewshot", "warp"):
            for side in SIDES:
                portrait = _prepared(client, name, side)
                for encoding in ("raw", "png"):
                    yield _served(plan, client, portrait, side, encoding)


def _served(plan: Plan, client: Client, portrait: PortraitHandle, side: int, encoding: Literal["raw", "png"]) -> Row:
    first = max(2, portrait.batch_size)
    _seconds(client, portrait, side, encoding, first)
    rate = first / _seconds(client, portrait, side, encoding, first)
    wanted = first if plan.short else math.ceil(2 * plan.seconds * rate)
    frames = int(np.clip(wanted, 1 if plan.short else 4 * first, _MOST_FRAMES))
    each = [frames / _seconds(client, portrait, side, encoding, frames) for _ in range(plan.rounds)]
    aim = _AIMS.get((side, encoding)) if portrait.engine == "fewshot" and not plan.short else None
    told = f"; aim {aim} on an H100" if aim else ""
    note = f"{plan.served_on or plan.device}, {plan.how} of {frames} frames{Rates(tuple(each)).spread()}{told}"
    return Row(f"{portrait.engine} {side}² {encoding}", float(np.median(each)), "frames/s", note)


def _seconds(
    client: Client, portrait: PortraitHandle, side: int, encoding: Literal["raw", "png"], frames: int
) -> float:
    rows = track(portrait.points, frames)
    begun = time.perf_counter()
    for _ in client.render(portrait, rows, range(frames), size=(side, side), encoding=encoding):
        pass
    return time.perf_counter() - begun


def long_render(plan: Plan) -> Iterator[Row]:
    """Time and memory at an early frame and at a late one of one render of `fewshot`."""
    early, late, side = (20, 200, 256) if plan.short else (100, 10_000, 512)
    around = early // 2  # frames over which the time of one is taken
    with Client(server_of(plan)) as client:
        portrait = _prepared(client, "fewshot", side)
        rows = track(portrait.points, late + 1)
        marks: list[float] = []
        found: dict[int, tuple[float, float, float, float]] = {}
        for number, _ in enumerate(
            client.render(portrait, rows, range(late + 1), size=(side, side), encoding="raw"), 1
        ):
            marks.append(time.perf_counter())
            if number in (early, late) or (number > early and number % 1000 == 0):
                took = 1000 * (marks[-1] - marks[-1 - around]) / around
                found[number] = (took, *_memory(plan, client))
                for what, value, unit in zip(_LONG, found[number], ("ms", "MiB", "MiB", "MiB"), strict=True):
                    if not math.isnan(value):
                        yield Row(
                            f"frame {number:,}: {what}",
                            value,
                            unit,
                            f"{side}², raw; mean of {around} frames" if unit == "ms" else "",
                        )
    yield from _growth(found[early], found[late], early, late)


_LONG = ("time of a frame", "memory of the server", "memory of the client", "memory of the device, all programs")


def _growth(first: tuple[float, ...], last: tuple[float, ...], early: int, late: int) -> Iterator[Row]:
    for what, before, after in zip(_LONG, first, last, strict=True):
        if not math.isnan(before):
            note = f"{after:.4g} for {before:.4g}; at most {_LEVEL} is level"
            yield Row(
                f"frame {late:,} over frame {early:,}: {what}", after / before, "times", note, after > _LEVEL * before
            )


def _memory(plan: Plan, client: Client) -> tuple[float, float, float]:
    """Of server, client and device, MiB."""
    device = math.nan
    if kind_of(plan.device) == "cuda":
        free, total = torch.cuda.mem_get_info(plan.device)
        device = (total - free) / 2**20
    return resident_mib(client.server.pid), resident_mib(os.getpid()), device


def _prepared(client: Client, engine: str, side: int) -> PortraitHandle:
    photo = reference(side)
    return client.prepare([ReferenceImage(photo.image, photo.points)], engine=engine)

# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast frames are drawn: by the engines as the server calls them, and by the networks alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from portrait_server.engines.base import Engine
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.registry import create_engine

from tests.benchmarks.gpu_sections.material import Plan, rates, reference, synchronize, track
from tests.benchmarks.gpu_sections.report import Row

SIDES = (512, 256, 1024)
"""The one that matters most comes first."""


def engines(plan: Plan) -> Iterator[Row]:
    """Frames a second of `fewshot` and `warp` by size, and of `fewshot` by references."""
    made = {name: create_engine(name, plan.device) for name in ("fewshot", "warp")}
    for side in SIDES:
        for name, engine in made.items():
            yield _drawn(plan, name, engine, side, 1)
    for count in (4,) if plan.short else (4, 8):
        yield _drawn(plan, "fewshot", made["fewshot"], 512, count)


def _drawn(plan: Plan, name: str, engine: Engine, side: int, references: int) -> Row:
    photo = reference(side)
    portrait = engine.prepare([photo] * references)
    rows, batch = track(photo.points, 240), engine.batch_size

    def call(number: int) -> None:
        first = number * batch % (len(rows) - batch)
        engine.render(portrait, rows[first : first + batch], (side, side), False)

    forget_peak(plan.device)
    found = rates(plan, call)
    several = f", {references} references" if references > 1 else ""
    note = f"{plan.how}{found.spread(batch)}; batches of {batch}; {peak(plan.device)}"
    return Row(f"{name} {side}²{several}", batch * found.median, "frames/s", note.rstrip("; "))


def networks(plan: Plan) -> Iterator[Row]:
    """Frames a second of the generator, whose frames are 256² whatever size is asked for."""
    engine = create_engine("fewshot", plan.device)
    assert isinstance(engine, FewshotEngine)
    yield Row("side of the aligned frame", engine.side, "pixels", "the same for frames of every size")
    batches = (1, 4) if plan.short else (1, 8, 32, 128)
    halves = () if plan.device == "cpu" else (torch.bfloat16, torch.float16)
    for kind in (torch.float32, *halves):
        for batch in batches:
            yield _generated(plan, engine, 1, batch, kind)
    for count in () if plan.short else (4, 8):
        yield _generated(plan, engine, count, 32, halves[0] if halves else torch.float32)


def _generated(plan: Plan, engine: FewshotEngine, references: int, batch: int, kind: torch.dtype) -> Row:
    portrait = engine.prepare([reference()] * references)
    device, side = engine.device, engine.side
    chance = torch.Generator().manual_seed(1)
    draft = torch.rand(batch, 4, side, side, generator=chance).to(device)
    points = portrait.features.references.points[:, 0].expand(batch, -1, -1).contiguous()
    half = kind != torch.float32
    forget_peak(plan.device)

    @torch.inference_mode()
    def call(number: int) -> None:
        with torch.autocast(device.type, kind) if half else contextlib.nullcontext():
            features = portrait.features.repeated(batch)
            engine.networks.generator.draw(features, points, portrait.style.expand(batch, -1), draft)

    found = rates(plan, call)
    named = f"generator, {str(kind).removeprefix('torch.')}, batch {batch}, references {references}"
    note = f"{plan.how}{found.spread(batch)}; {peak(plan.device)}"
    return Row(named, batch * found.median, "frames/s", note.rstrip("; "))


def forget_peak(device: str) -> None:
    """Counts the most memory from now on."""
    if device == "cuda":
        synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak(device: str) -> str:
    """The most memory of the device that tensors took, in words."""
    return f"peak {torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB of the device" if device == "cuda" else ""

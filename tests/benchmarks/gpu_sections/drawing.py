# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast frames are drawn: by the engines as the server calls them, and by the networks alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from portrait_server.engines.base import Engine
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.registry import create_engine
from portrait_server.geometry.crops import MOUTH, RIGHT_EYE, Crop
from portrait_server.networks.painter import RASTERS, Painter
from portrait_shared.devices import kind_of

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
    """Crops a second of both painters, whose sides are the same whatever size is asked for."""
    engine = create_engine("fewshot", plan.device)
    assert isinstance(engine, FewshotEngine)
    batches = (1, 4) if plan.short else (1, 8, 64, 128)
    halves = () if plan.device == "cpu" else (torch.bfloat16, torch.float16)
    for part, crop in (("mouth", MOUTH), ("eye", RIGHT_EYE)):
        for kind in (torch.float32, *halves):
            for batch in batches:
                yield _painted(plan, getattr(engine.painters, part), crop, batch, kind)


def _painted(plan: Plan, painter: Painter, crop: Crop, batch: int, kind: torch.dtype) -> Row:
    device = torch.device(plan.device)
    chance = torch.Generator().manual_seed(1)
    draft, reference = torch.rand(2, batch, 3, crop.side, crop.side, generator=chance).to(device)
    raster, seen = torch.rand(2, batch, RASTERS, crop.side, crop.side, generator=chance).to(device)
    forget_peak(plan.device)

    @torch.inference_mode()
    def call(number: int) -> None:
        with torch.autocast(device.type, kind, enabled=kind != torch.float32):
            painter.mended(draft, raster, reference, seen, style)

    with torch.inference_mode():
        style = painter.styled(reference[:, None], seen[:, None])
    found = rates(plan, call)
    named = f"painter of the {crop.name}, {str(kind).removeprefix('torch.')}, batch {batch}"
    note = f"{plan.how}{found.spread(batch)}; {peak(plan.device)}"
    return Row(named, batch * found.median, "crops/s", note.rstrip("; "))


def forget_peak(device: str) -> None:
    """Counts the most memory from now on."""
    if kind_of(device) == "cuda":
        synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: str) -> str:
    """The most memory of the device that tensors took, in words."""
    if kind_of(device) != "cuda":
        return ""
    return f"peak {torch.cuda.max_memory_allocated(device) / 2**20:,.0f} MiB of the device"

# SPDX-License-Identifier: GPL-3.0-or-later
"""What share of the live preview's latency is the engine's: the same poses at the same size, by the engine alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from portrait_server.engines.base import Reference
from portrait_server.engines.registry import create_engine
from skimage.io import imread


def add_to(report: dict[str, Any], folder: Path, photo: Path) -> None:
    """Adds the engine's median milliseconds and its share to `report["figures"]["latency"]`."""
    asked = np.load(folder / "asked.npz")
    engine = create_engine("warp", "cpu")
    own = engine.prepare([Reference(imread(photo)[..., :3], asked["rest"])])
    took = []
    for row in asked["rows"]:
        start = time.perf_counter()
        engine.render(own, row[np.newaxis], tuple(map(int, asked["size"])), False)
        took.append(time.perf_counter() - start)
    engine_ms = 1000 * float(np.median(took[1:]))
    for figures in report["figures"]["latency"].values():
        figures["engine_ms"] = engine_ms
        figures["engine_share"] = engine_ms / figures["picture_ms"]


def lines(report: dict[str, Any]) -> list[str]:
    return [
        f"live preview, {way}: change to picture {f['picture_ms']:.0f} ms in the middle, 90 % within "
        f"{f['picture_ms_90']:.0f} ms ({f['pictures']} pictures at {f['size'][0]}x{f['size'][1]}); the engine alone "
        f"{f['engine_ms']:.0f} ms, {f['engine_share']:.0%} of it; drawn by Blender after {f['drawn_ms']:.0f} ms, which draws "
        f"every {f['between_draws_ms']:.0f} ms"
        for way, f in report["figures"]["latency"].items()
    ]

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the engine fewshot draws, beside the bare warp in the same run.

`python tests/benchmarks/fewshot_speed.py [--device cpu|cuda] [--weights FILE] [--sides 256,512,1024]`

The weights are those that ship, unless others are named.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import find_weights
from portrait_server.engines.warp import WarpEngine

FRAMES = 48
ROUNDS = 3
REFERENCES = (1, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--sides", default="256,512,1024")
    asked = parser.parse_args()
    engine, warp = FewshotEngine(asked.device, asked.weights or find_weights()), WarpEngine()
    image = np.ascontiguousarray(skimage.data.astronaut())
    points = create_detector("mediapipe").detect(image)[0].points.astype(np.float32)
    swing = np.sin(np.linspace(0, 6, FRAMES))[:, None, None] * np.array([12, 3, 0])
    track = (points + swing).astype(np.float32)
    reference = Reference(image, points)
    bare = warp.prepare([reference])
    print(f"{'references':>10} {'size':>6} {'fewshot/s':>10} {'warp/s':>8} {'ratio':>6}   median of {ROUNDS} rounds")
    for count in REFERENCES:
        portrait = engine.prepare([reference] * count)
        for side in map(int, asked.sides.split(",")):
            rates = np.array(
                [[_rate(engine, portrait, track, side), _rate(warp, bare, track, side)] for _ in range(ROUNDS)]
            )
            mended, moved = np.median(rates, 0)
            ratio = np.median(rates[:, 0] / rates[:, 1])
            print(f"{count:10} {side:6} {mended:10.1f} {moved:8.1f} {ratio:6.2f}", flush=True)


def _rate(engine: Engine, portrait: object, track: np.ndarray, side: int) -> float:
    """Frames a second, drawn in the engine's own batches as the server does it."""
    engine.render(portrait, track[:2], (side, side), False)
    start = time.perf_counter()
    for first in range(0, len(track), engine.batch_size):
        engine.render(portrait, track[first : first + engine.batch_size], (side, side), False)
    return len(track) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the engine fewshot draws: `python tests/benchmarks/fewshot_speed.py [--device cpu|cuda] [--weights FILE]`.

Without weights it times untrained networks of the configuration `portrait`: what is learnt does not change the pace.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.networks import weights_file
from portrait_server.networks.configurations import build

FRAMES = 48


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--weights", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = asked.weights or Path(folder) / "untrained.safetensors"
        if asked.weights is None:
            weights_file.save(weights, build("portrait"), step=0, licence="CC0-1.0")
        engine = FewshotEngine(asked.device, weights)
    image = skimage.data.astronaut()
    points = create_detector("mediapipe").detect(image)[0].points.astype(np.float32)
    swing = np.sin(np.linspace(0, 6, FRAMES))[:, None, None] * np.array([12, 3, 0])
    track = (points + swing).astype(np.float32)
    print(f"{'references':>10} {'size':>6} {'prepare s':>10} {'alone ms':>9} {'in a row ms':>12} {'frames/s':>9}")
    for count, side in ((1, 256), (1, 512), (1, 1024), (8, 256), (32, 256)):
        start = time.perf_counter()
        portrait = engine.prepare([Reference(image, points)] * count)
        prepared = time.perf_counter() - start
        engine.render(portrait, track[:4], (side, side), False)
        alone = min(_seconds(engine, portrait, track[i : i + 1], side) for i in range(6))
        row = _seconds(engine, portrait, track, side) / FRAMES
        print(f"{count:10} {side:6} {prepared:10.2f} {alone * 1e3:9.1f} {row * 1e3:12.1f} {1 / row:9.1f}", flush=True)


def _seconds(engine: FewshotEngine, portrait: object, track: np.ndarray, side: int) -> float:
    start = time.perf_counter()
    engine.render(portrait, track, (side, side), False)  # type: ignore[arg-type]
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

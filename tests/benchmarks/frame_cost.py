#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a frame costs on the processor: frames a second, processor time, and which step takes it, by size and references.

    .venv/bin/python tests/benchmarks/frame_cost.py [--engine warp] [--sides 256,512,1024] [--references 1,8] [--frames 24]

Frames are drawn in batches as the server draws them. Processor time is what the system counts for this process: other
programs disturb it less than frames a second. Steps are timed in a pass of their own, each on one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
import cv2
import numpy as np
from portrait_server.engines.base import Engine
from portrait_server.engines.registry import create_engine

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.benchmarks.gpu_sections.material import reference, track  # noqa: E402

ROUNDS = 3
_FEWSHOT, _DRAWING = "portrait_server.engines.fewshot", "portrait_server.drawing.frame"
_PAINTING = "portrait_server.drawing.painting"
STEPS = {
    "fewshot": {
        "rules": (_FEWSHOT, "motion_of"),
        "moved": (_FEWSHOT, "move"),
        "painters": (_FEWSHOT, "FewshotEngine._mended"),
        "laid": (_PAINTING, "Placed.lay"),
        "background": (_FEWSHOT, "composite"),
    },
    "warp": {
        "rules": ("portrait_server.engines.warp", "motion_of"),
        "moved": (_DRAWING, "move"),
        "background": (_DRAWING, "composite"),
    },
}
"""Where each step of an engine is looked up when it is called."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=STEPS, default="fewshot")
    parser.add_argument("--sides", default="256,512,1024")
    parser.add_argument("--references", default="1")
    parser.add_argument("--frames", type=int, default=24, help="of each round (%(default)s)")
    asked = parser.parse_args()
    engine, steps = create_engine(asked.engine, "cpu"), STEPS[asked.engine]
    print(
        f"{asked.engine}, median of {ROUNDS} rounds of {asked.frames} frames; ms are of one processor, for each frame"
    )
    print(
        f"{'references':>10} {'size':>6} {'frames/s':>9} {'ms':>7}   " + " ".join(f"{s:>10}" for s in [*steps, "rest"])
    )
    for count in map(int, asked.references.split(",")):
        for side in map(int, asked.sides.split(",")):
            photo = reference(side)
            portrait = engine.prepare([photo] * count)
            rows = track(photo.points, asked.frames)
            _drawn(engine, portrait, rows[: engine.batch_size], side)
            rounds = np.array([_drawn(engine, portrait, rows, side) for _ in range(ROUNDS)]) / len(rows)
            taken, whole = _by_step(engine, portrait, rows, side, steps)
            told = [*(taken[step] for step in steps), whole - taken.total()]
            print(
                f"{count:10} {side:6} {1 / np.median(rounds[:, 0]):9.2f} {1000 * np.median(rounds[:, 1]):7.1f}   "
                + " ".join(f"{1000 * seconds / len(rows):10.1f}" for seconds in told)
                + f"   load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def _drawn(engine: Engine, portrait: Any, rows: np.ndarray, side: int) -> tuple[float, float]:
    """Seconds by the clock and of processors, for all rows."""
    begun, used = time.perf_counter(), time.process_time()
    for first in range(0, len(rows), engine.batch_size):
        engine.render(portrait, rows[first : first + engine.batch_size], (side, side), False)
    return time.perf_counter() - begun, time.process_time() - used


def _by_step(
    engine: Engine, portrait: Any, rows: np.ndarray, side: int, steps: dict[str, tuple[str, str]]
) -> tuple[Counter[str], float]:
    """Processor time of each step, and of all, seconds."""
    taken: Counter[str] = Counter()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        for step, (module, name) in steps.items():
            stack.enter_context(_timed(step, module, name, taken))
        _, whole = _drawn(engine, portrait, rows, side)
    cv2.setNumThreads(threads)
    return taken, whole


@contextmanager
def _timed(step: str, module: str, name: str, taken: Counter[str]) -> Iterator[None]:
    """Adds what a function or method takes of its thread to a step."""
    holder: Any = import_module(module)
    *classes, last = name.split(".")
    for part in classes:
        holder = getattr(holder, part)
    plain: Callable[..., Any] = getattr(holder, last)
    lock = threading.Lock()

    def timed(*args: Any, **kwargs: Any) -> Any:
        begun = time.thread_time()
        result = plain(*args, **kwargs)
        with lock:
            taken[step] += time.thread_time() - begun
        return result

    with mock.patch.object(holder, last, timed):
        yield


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The real `portrait` command, with engines beside the real ones whose speed and failures tests can choose."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from portrait_server.cli import main
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.registry import ENGINES


class PaintEngine(Engine):
    """Paints each frame in a colour made of its first point; takes a fixed time for each."""

    name = "paint"
    fingerprint = "paint-1"
    batch_size = 4
    seconds_per_frame = 0.0

    def prepare(self, references: Sequence[Reference]) -> int:
        return int(references[0].image[0, 0, 0])

    def render(self, portrait: int, points: np.ndarray, size: tuple[int, int], matte: bool) -> np.ndarray:
        time.sleep(self.seconds_per_frame * len(points))
        frames = np.empty((len(points), size[1], size[0], 4 if matte else 3), np.uint8)
        frames[...] = (points[:, 0, 0] + portrait).astype(np.uint8)[:, None, None, None]
        return frames


class SlowEngine(PaintEngine):
    name = "slow"
    seconds_per_frame = 0.03


class FailingEngine(PaintEngine):
    """Fails in the way that the first point's y tells."""

    name = "failing"

    def render(self, portrait: int, points: np.ndarray, size: tuple[int, int], matte: bool) -> np.ndarray:
        failures: list[Callable[[], np.ndarray]] = [
            lambda: np.zeros((1, 2, 3, 3), np.uint8),
            lambda: np.asarray([1] / np.asarray("x")),
            lambda: (_ for _ in ()).throw(MemoryError()),
        ]
        return failures[int(points[0, 0, 1])]()


class Unmeasurable:
    @property
    def nbytes(self) -> int:
        raise OverflowError("no number holds it")


class UnmeasurableEngine(PaintEngine):
    """Prepares what cannot even be measured."""

    name = "unmeasurable"

    def prepare(self, references: Sequence[Reference]) -> Unmeasurable:
        return Unmeasurable()


def shorten_tuning() -> None:
    """Tunes with less effort, for tests that compare what comes of it."""
    from portrait_server.tuning import samples, search

    effort = search.Effort(steps=16, batch_size=2, rate=5e-3, measure_every=8, measured=4)
    search.tune_networks = functools.partial(search.tune_networks, effort=effort)
    samples._LEAST_SAMPLES = 16


if os.environ.get("TALKING_PORTRAITS_TEST_ENGINES_ALONE"):  # loading the real ones is most of a start
    ENGINES.clear()
ENGINES.update(paint=lambda *_: PaintEngine(), slow=lambda *_: SlowEngine(), failing=lambda *_: FailingEngine())
ENGINES["unmeasurable"] = lambda *_: UnmeasurableEngine()

if os.environ.get("TALKING_PORTRAITS_TEST_SHORT_TUNING"):  # in the process that tunes, too, which imports this again
    shorten_tuning()

if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine fewshot on a GPU: whatever a frame is drawn together with, it differs by 1 of 255 at most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import find_weights

from tests.posing import blinking, moved, speaking, turned

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU on this machine")

SIZE = (256, 256)
FRAMES = 70
"""More than two of the networks' own batches, and no whole number of them."""


@pytest.fixture(scope="module", params=["tiny", "shipped"])
def engine(request: pytest.FixtureRequest, weights: Path) -> FewshotEngine:
    """With weights that change a lot, and with those that users have."""
    return FewshotEngine("cuda", weights if request.param == "tiny" else find_weights())


@pytest.fixture(scope="module")
def track(astronaut: Reference) -> np.ndarray:
    points = astronaut.points
    return np.stack(
        [
            moved(speaking(blinking(turned(points, yaw=0.5 * i - 18, roll=0.1 * i), 0.01 * i), 0.003 * i), 0.003 * i)
            for i in range(FRAMES)
        ]
    )


@pytest.mark.parametrize("count", [1, 3])
def test_a_frame_is_the_same_in_every_batch(
    engine: FewshotEngine, astronaut: Reference, track: np.ndarray, count: int
) -> None:
    shrunk = np.ascontiguousarray(astronaut.image[::2, ::2])
    further = [Reference(shrunk, astronaut.points / 2), Reference(astronaut.image // 2, astronaut.points)]
    portrait = engine.prepare([astronaut, *further][:count])
    together = engine.render(portrait, track, SIZE, True).astype(int)
    assert len({frame.tobytes() for frame in together}) == FRAMES

    def in_chunks(size: int) -> np.ndarray:
        chunks = [engine.render(portrait, track[i : i + size], SIZE, True) for i in range(0, FRAMES, size)]
        return np.concatenate(chunks).astype(int)

    shuffled = np.random.default_rng(3).permutation(FRAMES)
    back = np.argsort(shuffled)
    others = {
        "alone": in_chunks(1),
        "in chunks of 3": in_chunks(3),
        "in the engine's batches": in_chunks(engine.batch_size),
        "in another order": engine.render(portrait, track[shuffled], SIZE, True)[back].astype(int),
        "from the references again": engine.render(
            engine.prepare([astronaut, *further][:count]), track, SIZE, True
        ).astype(int),
    }  # fmt: skip
    for way, frames in others.items():
        assert np.abs(frames - together).max() <= 1, way

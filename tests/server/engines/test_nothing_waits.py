# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch is drawn on a device that has no numbers, only their shapes: whatever asks for one, or copies any, fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.batches import OnDeviceBatches
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import find_weights
from portrait_server.engines.warp import WarpEngine
from portrait_server.kernels.base import Array
from portrait_server.kernels.on_device import OnDevice

from tests.posing import speaking, turned
from tests.server.kernels.no_transfers import no_transfers


class Numberless(OnDevice):
    """On torch's meta device; finished frames are black."""

    def __init__(self) -> None:
        super().__init__(torch.device("meta"))

    def fetch(self, frames: Array) -> Callable[[], np.ndarray]:
        return lambda: np.zeros(frames.shape, np.uint8)


@pytest.fixture
def kernels() -> Numberless:
    return Numberless()


@pytest.fixture(params=["warp", "fewshot"])
def engine(request: pytest.FixtureRequest, kernels: Numberless, monkeypatch: pytest.MonkeyPatch) -> Engine:
    batches = OnDeviceBatches(kernels, "cpu")
    if request.param == "warp":
        return WarpEngine(batches)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which the meta device has not
    fewshot = FewshotEngine("cpu", find_weights(), batches)
    fewshot.painters.to("meta")
    fewshot.device = kernels.device
    return fewshot


def test_a_batch_is_drawn_without_a_number_of_the_device(
    engine: Engine, kernels: Numberless, astronaut: Reference
) -> None:
    side = 640  # more than 512, so that openings are drawn more finely than the rest
    points = astronaut.points
    track = np.stack([speaking(points, 0.15), turned(points, yaw=25), turned(points, pitch=-15), points + 2])
    portrait = engine.prepare([astronaut, astronaut])
    engine.render(portrait, track, (side, side), True)  # layers, tables and constants are put there once
    with no_transfers(kernels):
        assert engine.render(portrait, track, (side, side), True).shape == (4, side, side, 4)

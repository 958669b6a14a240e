# SPDX-License-Identifier: GPL-3.0-or-later
"""What every section measures with: how much is asked for, the photo, the performance, and the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np
from portrait_server.engines.base import Engine, Reference

from tests.benchmarks.drawing_child import performance

_CYCLE = 240  # different frames; a longer track repeats them
_PHOTO = 512


@dataclass(frozen=True)
class Plan:
    """What was asked for.

    Attributes:
        device: the one that draws.
        short: a rehearsal: everything runs, hardly anything is long enough to be a figure.
        served_on: what the server draws on, which may be several devices; `device` where empty.
    """

    device: str
    short: bool
    served_on: str = ""

    @property
    def rounds(self) -> int:
        return 1 if self.short else 3

    @property
    def seconds(self) -> float:
        """Of each round."""
        return 0.0 if self.short else 1.0

    @property
    def how(self) -> str:
        return "rehearsed: one short round" if self.short else f"median of {self.rounds} rounds"


@dataclass(frozen=True)
class Rates:
    """Calls a second of each round."""

    each: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.each))

    def spread(self, frames: int = 1) -> str:
        """The range over the rounds, of so many frames a call, as the end of a sentence."""
        return f", {frames * min(self.each):.4g} to {frames * max(self.each):.4g}" if len(self.each) > 1 else ""


def rates(plan: Plan, call: Callable[[int], object]) -> Rates:
    """Calls by their number, after some that are not counted; each round lasts as long as the plan says."""
    numbers = count()

    def seconds_of(calls: int) -> float:
        begun = time.perf_counter()
        for _ in range(calls):
            call(next(numbers))
        synchronize(plan.device)
        return time.perf_counter() - begun

    seconds_of(1)  # layers are built, and a GPU's libraries choose how to compute
    calls = 1 if plan.short else max(1, math.ceil(plan.seconds / seconds_of(1)))
    return Rates(tuple(calls / seconds_of(calls) for _ in range(plan.rounds)))


def synchronize(device: str) -> None:
    """Waits until the device has done what it was asked for."""
    if device != "cpu":
        import torch

        torch.accelerator.synchronize()


def device_engine(name: str, device: str) -> Engine:
    """An engine that draws as a device does, also on the processor: there on torch's CPU device, as no server would."""
    from portrait_server.engines.batches import OnDeviceBatches
    from portrait_server.engines.fewshot import FewshotEngine
    from portrait_server.engines.fewshot_weights import find_weights
    from portrait_server.engines.registry import create_engine
    from portrait_server.engines.warp import WarpEngine
    from portrait_server.kernels.on_device import OnDevice

    if device != "cpu":
        return create_engine(name, device)
    import torch

    torch.set_num_threads(1)  # threads inside a frame wait for one another, long where the machine does other work too
    batches = OnDeviceBatches(OnDevice(torch.device(device)), device)
    return WarpEngine(batches) if name == "warp" else FewshotEngine(device, find_weights(), batches)


@cache
def reference(side: int = _PHOTO) -> Reference:
    """Eileen Collins, NASA, public domain, `side` pixels wide and high."""
    import cv2
    import skimage.data
    from portrait_server.detectors.registry import create_detector

    image = np.ascontiguousarray(skimage.data.astronaut())
    if side == _PHOTO:
        detector = create_detector("mediapipe")
        points = detector.detect(image)[0].points.astype(np.float32)
        detector.close()
        return Reference(image, points)
    way = cv2.INTER_AREA if side < _PHOTO else cv2.INTER_CUBIC
    resized = cv2.resize(image, (side, side), interpolation=way)
    return Reference(resized, reference().points * np.float32(side / _PHOTO))


def track(points: np.ndarray, frames: int) -> np.ndarray:
    """(frames, 70, 3): a head that turns, speaks, blinks and looks around, over and over."""
    cycle = performance(points, min(frames, _CYCLE))
    return cycle[np.arange(frames) % len(cycle)]

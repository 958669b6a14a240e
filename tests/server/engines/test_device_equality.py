# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames by the processor and by a device are the same within 1 of 255, but for a few pixels.

The device is torch's own CPU: the same kernels for whole batches as on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
import torch
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.batches import OnDeviceBatches
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import find_weights
from portrait_server.engines.warp import WarpEngine
from portrait_server.kernels.on_device import OnDevice
from portrait_shared.layers import LAYERS, USUAL, channels_of, followed_rows
from portrait_shared.other_faces import OtherFaces

from tests.posing import blinking, looking, moved, smiling, speaking, turned
from tests.server.kernels.no_transfers import no_transfers
from tests.two_people import two_people

FEW = 0.001  # of the pixels may differ by more

Pair = tuple[Engine, Engine, OnDevice]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As workers have it where frames are drawn."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.fixture(scope="module", params=["warp", "fewshot"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """An engine on the processor and on a device, and the device's kernels."""
    kernels = OnDevice(torch.device("cpu"))
    batches = OnDeviceBatches(kernels, "cpu")
    if request.param == "warp":
        return WarpEngine(), WarpEngine(batches), kernels
    return FewshotEngine("cpu", find_weights()), FewshotEngine("cpu", find_weights(), batches), kernels


@pytest.fixture(scope="module")
def track(astronaut: Reference) -> np.ndarray:
    """Mouth open and shut, lids shut and half shut, gaze, turns, near and beyond the picture's border."""
    points = astronaut.points
    sealed = points.copy()
    sealed[60:68] = sealed[[60, 61, 62, 63, 64, 63, 62, 61]]
    flat = points.copy()
    flat[[60, 64]] = flat[62]
    return np.stack(
        [
            points, speaking(points, 0.15), sealed, flat, blinking(points), blinking(points, 0.6), looking(points, 0.2, 0.1),
            turned(points, yaw=20, roll=10), speaking(turned(points, yaw=-25, pitch=10), 0.05), smiling(points),
            moved(points, -0.9, 0.5), points + np.float32([900, 0, 0]), points * [-1, 1, 1],
        ]
    ).astype(np.float32)  # fmt: skip


def assert_same(
    pair: Pair, references: list[Reference], points: np.ndarray, size: tuple[int, int], matte: bool
) -> None:
    here, there, _ = pair
    frames, others = (
        engine.render(engine.prepare(references), points, size, matte).astype(np.int32) for engine in (here, there)
    )
    assert frames.shape == others.shape
    off = np.abs(frames - others).max(-1) > (257 if references[0].image.dtype == np.uint16 else 1)
    assert off.mean() <= FEW, [round(float(frame.mean()), 5) for frame in off]


@pytest.mark.parametrize("size", [(64, 64), (256, 256), (300, 211)])
def test_all_that_a_face_does(pair: Pair, astronaut: Reference, track: np.ndarray, size: tuple[int, int]) -> None:
    assert_same(pair, [astronaut], track, size, True)


def test_several_people(pair: Pair) -> None:
    here, there, _ = pair
    picture = two_people(overlapping=True)[0]
    found = sorted(create_detector("mediapipe").detect(picture), key=lambda face: face.points[0, 0])
    first, second = (face.points.astype(np.float32) for face in found)
    rows = np.stack([first, turned(first, 12), first, speaking(moved(first, 0.3), 0.1)])
    others = OtherFaces(np.stack([second, second, turned(second, -12), blinking(second)])[:, None])
    portrait = here.prepare([Reference(picture, first)], second[None])
    for matte in (False, True):
        frames, same = (
            engine.render(portrait, rows, (250, 165), matte, None, others).astype(np.int32) for engine in (here, there)
        )
        assert (np.abs(frames - same).max(-1) > 1).mean() <= FEW
    layered, same = (
        engine.render_layers(portrait, rows, (250, 165), True, USUAL, None, others) for engine in (here, there)
    )
    assert layered.shape == same.shape and (np.abs(layered - same).max(-1) > 2).mean() <= 5 * FEW


@pytest.mark.parametrize("size", [(1024, 1024), (2048, 2048)])
def test_large_frames(pair: Pair, astronaut: Reference, track: np.ndarray, size: tuple[int, int]) -> None:
    assert_same(pair, [astronaut], track[[8]], size, False)


KINDS: dict[str, Callable[[Reference], list[Reference]]] = {
    "transparent": lambda one: [Reference(np.dstack([one.image, np.tri(512, dtype=np.uint8) * 255]), one.points)],
    "of 16 bits": lambda one: [
        Reference((cv2.GaussianBlur(one.image.astype(np.float32), (0, 0), 1) * 257).astype(np.uint16), one.points)
    ],
    "several": lambda one: [
        one, Reference(np.ascontiguousarray(one.image[::2, ::2]), one.points / 2), Reference(one.image // 2, one.points),
    ],
    "at the border": lambda one: [
        Reference(np.ascontiguousarray(one.image[40:, 140:]), one.points - np.float32([140, 40, 0]))
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_references(pair: Pair, astronaut: Reference, track: np.ndarray, kind: str) -> None:
    references = KINDS[kind](astronaut)
    points = track[[1, 4, 6, 7]] + (references[0].points - astronaut.points)[0]
    assert_same(pair, references, points.astype(np.float32), (256, 256), False)


def test_the_far_side(pair: Pair, astronaut: Reference) -> None:
    """Of her head turned away, as a photo, and then turned back."""
    warp = WarpEngine()
    aside = turned(astronaut.points, yaw=32)
    (photo,) = warp.render(warp.prepare([astronaut]), aside[None], (512, 512), False)
    reference = Reference(photo, aside)
    assert warp.prepare([reference]).scene((512, 512)).far_side is not None
    targets = np.stack([turned(aside, yaw=-angle) for angle in (10, 20, 32)])
    assert_same(pair, [reference], targets, (256, 256), True)


def test_layers(pair: Pair, astronaut: Reference, track: np.ndarray) -> None:
    rows = track[[1, 4, 6, 7, 8]]
    followed = rows[followed_rows(range(len(rows)), LAYERS)]
    here, there = (
        engine.render_layers(engine.prepare([astronaut]), followed, (256, 256), True, LAYERS) for engine in pair[:2]
    )
    assert here.shape == there.shape and there.dtype == np.float32
    for frames in (here, there):
        frames[..., :3] *= frames[..., 3:4] / 255  # as files have them: of what does not show, colours say nothing
    for channel, tolerance in {
        "R": 1,
        "A": 1,
        "matte.A": 1,
        "depth.Z": 0.01,
        "forward.u": 0.05,
        "confidence.Y": 0.05,
    }.items():
        number = channels_of(LAYERS).index(channel)
        off = np.abs(here[..., number] - there[..., number]) > tolerance
        assert off.mean() <= FEW, (channel, off.mean())


def test_a_frame_is_the_same_alone_and_among_others(pair: Pair, astronaut: Reference, track: np.ndarray) -> None:
    _, engine, _ = pair
    portrait = engine.prepare([astronaut])
    together = engine.render(portrait, track[1:8], (128, 128), True).astype(int)
    alone = np.concatenate([engine.render(portrait, track[i : i + 1], (128, 128), True) for i in range(1, 8)])
    off = np.abs(together - alone)
    if isinstance(engine, WarpEngine):
        assert off.max() == 0
    else:  # torch's CPU sums in another order where numbers lie elsewhere in memory
        assert (off > 1).mean() < 1e-5


def test_nothing_crosses_but_numbers_on_the_way_in_and_frames_on_the_way_out(
    pair: Pair, astronaut: Reference, track: np.ndarray
) -> None:
    _, engine, kernels = pair
    portrait = engine.prepare([astronaut, astronaut])
    engine.render(portrait, track[1:5], (256, 256), True)  # layers are put there once
    fetches = kernels.fetches
    with no_transfers(kernels):
        frames = engine.render(portrait, track[1:5], (256, 256), True)
    assert frames.shape == (4, 256, 256, 4) and kernels.fetches == fetches + 1

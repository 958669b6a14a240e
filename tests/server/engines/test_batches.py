# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches on a device: as large as fits, halved where memory does not suffice, every frame drawn once and in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from portrait_server.engines import batches as batches_module
from portrait_server.engines.batches import OnDeviceBatches, OneByOne
from portrait_server.kernels.base import Array, Kernels
from portrait_server.kernels.on_device import OnDevice
from portrait_server.networks.device import Device
from portrait_shared.errors import ErrorCode, PortraitError

PIXELS = 12


@dataclass(frozen=True)
class Plane:
    """Layers of one array."""

    array: Array

    def placed(self, kernels: Kernels) -> Plane:
        return Plane(kernels.placed(self.array))


def drawer(fitting: int, drawn: list[slice]) -> Callable[[slice], torch.Tensor]:
    """Draws each frame in a grey of its number; more than `fitting` at once do not fit."""

    def draw(part: slice) -> torch.Tensor:
        if part.stop - part.start > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        drawn.append(part)
        grey = torch.arange(part.start, part.stop, dtype=torch.uint8)
        return grey[:, None, None, None].expand(-1, 3, 4, 3)

    return draw


@pytest.fixture
def batches() -> OnDeviceBatches:
    return OnDeviceBatches(OnDevice(torch.device("cpu")), "cpu")


@pytest.mark.parametrize(("count", "fitting"), [(1, 1), (32, 32), (33, 32), (70, 100), (50, 9), (5, 1)])
def test_every_frame_is_drawn_once_in_its_place_whatever_fits(
    batches: OnDeviceBatches, count: int, fitting: int
) -> None:
    drawn: list[slice] = []
    frames = batches.frames(count, PIXELS, drawer(fitting, drawn))
    assert np.array_equal(frames[:, 0, 0, 0], np.arange(count))
    assert [number for part in drawn for number in range(part.start, part.stop)] == list(range(count))
    assert max(part.stop - part.start for part in drawn) <= min(fitting, batches.most_frames)


def test_what_did_not_fit_is_remembered_for_a_while_and_layers_are_let_go_of(batches: OnDeviceBatches) -> None:
    portrait = OneByOne()
    batches.layers(portrait, (4, 3), PIXELS, lambda: Plane(np.zeros((3, 4), np.uint8)))
    assert batches.memory.held_bytes == PIXELS
    drawn: list[slice] = []
    batches.frames(32, PIXELS, drawer(8, drawn))
    assert batches.memory.held_bytes == 0 and len(drawn) == 4
    asked: list[slice] = []
    for _ in range(100):
        batches.frames(32, PIXELS, drawer(32, asked))
    counts = [part.stop - part.start for part in asked]
    assert counts[:32] == [8] * 32 and counts[-1] == 32, "once the memory is free again, batches grow"


def test_a_single_frame_that_does_not_fit_is_an_error_with_a_remedy(batches: OnDeviceBatches) -> None:
    with pytest.raises(PortraitError) as caught:
        batches.frames(5, PIXELS, drawer(0, []))
    assert caught.value.code is ErrorCode.DEVICE_UNAVAILABLE
    assert "full" in caught.value.message and "smaller frames" in caught.value.remedy
    assert np.array_equal(batches.frames(2, PIXELS, drawer(2, []))[:, 0, 0, 0], [0, 1])


def test_other_errors_come_through(batches: OnDeviceBatches) -> None:
    def broken(part: slice) -> torch.Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        batches.frames(5, PIXELS, broken)


def test_layers_are_placed_once_and_counted(batches: OnDeviceBatches) -> None:
    built: list[int] = []

    def build() -> Plane:
        built.append(1)
        return Plane(np.full((3, 4), 7, np.uint8))

    portrait = OneByOne()
    first, second = (batches.layers(portrait, (4, 3), PIXELS, build) for _ in range(2))
    assert first is second and len(built) == 1 and isinstance(first.array, torch.Tensor)
    batches.layers(portrait, (8, 6), PIXELS, build)
    assert batches.memory.held_bytes == 2 * PIXELS
    del portrait
    assert batches.memory.held_bytes == 0


def test_on_the_processor_frames_are_drawn_one_by_one() -> None:
    drawn: list[slice] = []

    def draw(part: slice) -> np.ndarray:
        drawn.append(part)
        return np.full((1, 3, 4, 3), part.start, np.uint8)

    assert np.array_equal(OneByOne().frames(3, PIXELS, draw)[:, 0, 0, 0], [0, 1, 2])
    assert drawn == [slice(0, 1), slice(1, 2), slice(2, 3)]


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> OnDeviceBatches:
    """On a GPU with much memory, as far as it is told."""
    device = Device("cuda", "a GPU", total_bytes=80 << 30, free_bytes=70 << 30)
    monkeypatch.setattr(batches_module, "look_at", lambda name: device)
    return OnDeviceBatches(OnDevice(torch.device("cpu")), "cuda")


def test_networks_draw_few_pictures_at_once_for_a_preview_and_where_memory_did_not_suffice(
    roomy: OnDeviceBatches,
) -> None:
    few, many = roomy.pictures_at_once(1), roomy.pictures_at_once(64)
    assert few < many and roomy.pictures_at_once(many) == many
    roomy.frames(4, PIXELS, drawer(2, []))
    assert roomy.pictures_at_once(64) == few
    for _ in range(64):
        roomy.frames(1, PIXELS, drawer(2, []))
    assert roomy.pictures_at_once(64) == many


def test_a_single_frame_that_does_not_fit_is_tried_with_few_pictures_before_it_is_given_up(
    roomy: OnDeviceBatches,
) -> None:
    many = roomy.pictures_at_once(64)

    def draw(part: slice) -> torch.Tensor:
        if roomy.pictures_at_once(64) == many:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return torch.zeros(1, 3, 4, 3, dtype=torch.uint8)

    assert roomy.frames(1, PIXELS, draw).shape == (1, 3, 4, 3)

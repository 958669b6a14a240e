# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh drawn once serves all that its move carries along, and parts of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portrait_server.drawing.offsets import Raster, backward_offsets
from portrait_server.geometry.raster import Window
from portrait_server.kernels.base import Kernels, Patches
from portrait_server.kernels.on_device import OnDevice
from portrait_server.kernels.opencv import OpenCV

SIZE = (96, 64)
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])  # a sheet behind, and one before it
BEHIND, BEFORE = np.array([True, True, False, False]), np.array([False, False, True, True])
SOURCE = np.array([[-9, -9], [110, -9], [110, 80], [-9, 80], [30, 20], [70, 20], [70, 50], [30, 50]], float)


def of_both(count: int) -> list[Kernels]:
    return [OpenCV(), OnDevice(torch.device("cpu"))][: 2 if count > 1 else 1]


def moved(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the vertices are in so many frames, (N, 8, 2), and their depth (N, 8)."""
    target = SOURCE + np.array([[3.0, -2.0]]) * (1 + np.arange(count)[:, None, None])
    return target, np.broadcast_to(np.repeat([2.0, 1.0], 4), (count, 8))


def raster(kernels: Kernels, count: int, step: int = 1) -> Raster:
    start = np.zeros(count, int)
    return Raster.drawn(kernels, Window.over(start, start, *SIZE, step), *moved(count), TRIANGLES)


def numpy_of(values: np.ndarray | torch.Tensor) -> np.ndarray:
    return values.numpy() if isinstance(values, torch.Tensor) else values


@pytest.mark.parametrize("count", [1, 2])
def test_the_nearer_triangles_of_a_part_are_drawn_as_alone(count: int) -> None:
    for kernels in of_both(count):
        whole = raster(kernels, count)
        patches = Patches(np.full(count, 24), np.full(count, 10), 60, 48, np.ones(count, bool))
        part = whole.part(patches, BEFORE)
        target, depth = moved(count)
        values = np.column_stack([SOURCE + 5, np.arange(8)])
        window = Window.over(patches.x, patches.y, patches.width, patches.height, 1)
        alone = backward_offsets(kernels, window, values, target, depth, TRIANGLES[BEFORE])
        np.testing.assert_allclose(numpy_of(part.offsets(values)), numpy_of(alone), atol=1e-4)
        assert numpy_of(alone).any()


def test_a_part_shows_nothing_where_others_hide_it() -> None:
    whole = raster(OpenCV(), 1)
    patches = Patches(np.array([20]), np.array([10]), 40, 32, np.array([True]))
    own, hidden = (whole.part(patches, chosen).ids > 0 for chosen in (BEHIND, BEFORE))
    np.testing.assert_array_equal(own, ~hidden)
    assert hidden.any()
    assert own.any()


def test_a_coarser_grid_has_parts_at_its_own_cells_alone() -> None:
    assert raster(OpenCV(), 1).steps(SIZE) == (1, 1)
    whole = raster(OpenCV(), 1, step=2)
    assert whole.steps(SIZE) == (2, 2)
    assert whole.steps((97, 64)) is None
    part = whole.part(Patches(np.array([24]), np.array([10]), 40, 32, np.array([True])), BEFORE)
    np.testing.assert_array_equal(part.ids > 0, (whole.ids[:, 5:21, 12:32] > 2))
    np.testing.assert_array_equal(part.window.centres[0], whole.window.centres[0][:, 12:32])


def test_near_are_those_that_may_be_seen_there() -> None:
    whole = raster(OpenCV(), 1)
    corner = Patches(np.array([0]), np.array([0]), 8, 8, np.array([True]))
    assert set(TRIANGLES[whole.near(corner)].ravel()) <= {0, 1, 2, 3}
    middle = Patches(np.array([40]), np.array([30]), 8, 8, np.array([True]))
    assert set(TRIANGLES[whole.near(middle)].ravel()) == set(range(8))


@pytest.mark.parametrize("count", [1, 2])
def test_what_has_moved_is_evaluated_alone_and_comes_out_the_same(count: int) -> None:
    target = np.repeat(SOURCE[None], count, axis=0)
    target[:, 4:] += 3  # the sheet before; that behind rests
    stirred = np.arange(8) > 3
    for kernels in of_both(count):
        start = np.zeros(count, int)
        drawn = Raster.drawn(kernels, Window.over(start, start, *SIZE, 1), target, moved(count)[1], TRIANGLES)
        functions = drawn.functions(SOURCE)
        within = drawn.holding(stirred)
        found = drawn.evaluated(functions, within)
        np.testing.assert_allclose(numpy_of(found), numpy_of(drawn.evaluated(functions)), atol=1e-6)
        assert (np.abs(numpy_of(found)) > 1).any()
        assert isinstance(kernels, OnDevice) == (within is None), "a device is not asked"
    assert raster(OpenCV(), count).holding(np.ones(8, bool)) is None, "most of the grid"
    assert raster(OpenCV(), count).holding(np.zeros(8, bool)) == (slice(0, 0), slice(0, 0))


def test_triangles_beside_cells_are_those_that_may_lie_there() -> None:
    whole = raster(OpenCV(), 1)
    cells = np.zeros((1, *SIZE[::-1]), bool)
    assert len(whole.beside(cells).chosen) == 0
    cells[0, 2, 90] = True
    beside = whole.beside(cells)
    assert set(whole.placed.numbers[beside.chosen]) == set(np.flatnonzero(BEHIND))
    cells[0, 30, 50] = True
    beside = whole.beside(cells)
    assert set(whole.placed.numbers[beside.chosen]) == set(range(4))
    corner, middle = (beside.touching(slice(at, at + 4), slice(at, at + 4)) for at in (0, 30))
    assert set(whole.placed.numbers[corner]) < set(range(4)), "those before lie elsewhere"
    assert {2, 3} & set(whole.placed.numbers[middle])
    device = raster(OnDevice(torch.device("cpu")), 1)
    assert device.beside(torch.zeros(1, 1, 1, dtype=torch.bool)).touching(slice(0, 1), slice(0, 1)) == slice(None)


@pytest.mark.parametrize("squeezed", [0, 1, 2])
def test_a_frame_s_functions_are_those_that_it_has_among_others(squeezed: int) -> None:
    target, depth = moved(2)
    target[:, : 4 * squeezed, 0] *= 0.3  # of none of its triangles, of half of them, of all
    start = np.zeros(2, int)
    both = Raster.drawn(OpenCV(), Window.over(start, start, *SIZE, 1), target, depth, TRIANGLES).functions(SOURCE)
    for frame in range(2):
        window = Window.over(start[:1], start[:1], *SIZE, 1)
        alone = Raster.drawn(OpenCV(), window, target[[frame]], depth[[frame]], TRIANGLES).functions(SOURCE)
        for one, among in ((alone.tables, both.tables), (alone.low, both.low), (alone.high, both.high)):
            np.testing.assert_array_equal(one[0], among[frame])

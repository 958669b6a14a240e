# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels on the processor: what the interface promises, on pictures small enough to reckon."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from portrait_server.kernels.base import Patches
from portrait_server.kernels.opencv import OpenCV

KERNELS = OpenCV()


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (3, 40, 50, 3)).astype(np.uint8)


@pytest.fixture
def patches() -> Patches:
    return Patches(np.array([0, 7, 30]), np.array([3, 0, 20]), 16, 12, np.array([True, False, True]))


def test_a_patch_is_taken_and_laid_back_where_there_is_one(pictures: np.ndarray, patches: Patches) -> None:
    taken = KERNELS.taken(pictures, patches)
    np.testing.assert_array_equal(taken[2], pictures[2, 20:32, 30:46])
    before = pictures.copy()
    after = KERNELS.laid(pictures, patches, 255 - taken)
    np.testing.assert_array_equal(after[0, 3:15, :16], 255 - before[0, 3:15, :16])
    np.testing.assert_array_equal(after[1], before[1])
    assert (after[2] != before[2]).sum() == 16 * 12 * 3


def test_of_a_patch_its_own_part_is_laid(pictures: np.ndarray, patches: Patches) -> None:
    before, own = pictures.copy(), np.array([[0, 3, 16, 15], [7, 0, 8, 1], [32, 21, 36, 24]])
    after = KERNELS.laid(pictures, replace(patches, own=own), 255 - KERNELS.taken(pictures, patches))
    np.testing.assert_array_equal(after[2, 21:24, 32:36], 255 - before[2, 21:24, 32:36])
    assert (after[2] != before[2]).sum() == 3 * 4 * 3 and (after[0] != before[0]).sum() == 16 * 12 * 3


def test_one_reference_serves_all_frames(pictures: np.ndarray, patches: Patches) -> None:
    x, y = KERNELS.grid(patches)
    for many in (KERNELS.taken(pictures[:1], patches), KERNELS.looked_up(pictures[:1], x, y)):
        np.testing.assert_array_equal(many[1], pictures[0, :12, 7:23])


def test_beyond_the_picture_lies_its_border_or_what_is_asked_for(pictures: np.ndarray) -> None:
    x, y = np.full((3, 4, 4), -9, np.float32), np.full((3, 4, 4), 5, np.float32)
    assert (KERNELS.looked_up(pictures, x, y) == pictures[:, 5:6, :1]).all()
    assert (KERNELS.looked_up(pictures, x, y, outside=7.0) == 7).all()


def test_strips_are_parts_of_the_whole(pictures: np.ndarray) -> None:
    planes = pictures[..., 0].astype(np.float32)
    whole = KERNELS.resized(planes, (1000, 700))
    strips = [KERNELS.resized(planes, (1000, 700), Patches.whole(3, (1000, 700), rows)) for rows in KERNELS.strips(700)]
    assert len(strips) == 3
    np.testing.assert_allclose(np.concatenate(strips, 1), whole, atol=1e-3)


@pytest.mark.parametrize("size", [(200, 160), (200, 170), (210, 160), (150, 121), (50, 40)])
def test_a_part_of_what_is_enlarged_is_that_of_the_whole(pictures: np.ndarray, size: tuple[int, int]) -> None:
    planes = pictures[:2, ..., 0].astype(np.float32)
    whole = KERNELS.resized(planes, size)
    for left, top, width, height in ((0, 0, 9, 7), (17, 11, 22, 21), (size[0] - 5, size[1] - 3, 5, 3), (1, 0, 49, 40)):
        part = Patches(np.full(2, left), np.full(2, top), width, height, np.ones(2, bool))
        found = KERNELS.resized(planes, size, part)
        np.testing.assert_allclose(found, whole[:, top : top + height, left : left + width], atol=1e-3)


def test_parts_hold_all_that_is_scattered_once_and_what_lies_around_it() -> None:
    planes = np.zeros((1, 300, 400), np.float32)
    planes[0, 3:5, 2:9] = planes[0, 200, 20:380:90] = planes[0, 299, 399] = 1
    parts, times = KERNELS.scattered(planes, 6), np.zeros((300, 400), int)
    for part, (rows, columns) in parts:
        times[part] += 1
        first, last = (max(0, part[0].start - 6), max(0, part[1].start - 6)), (part[0].stop + 6, part[1].stop + 6)
        assert (rows.start, columns.start) == first and (rows.stop, columns.stop) == (
            min(300, last[0]),
            min(400, last[1]),
        )
    assert len(parts) > 3 and times.max() == 1 and (times[planes[0] > 0] == 1).all() and times.mean() < 0.2
    assert len(KERNELS.scattered(planes[:, :9, :9], 6)) == 1, "of a small one all in one"


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_scaled_pixel_by_pixel(channels: int, dtype: type) -> None:
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 256, (1, 190, 400, channels)).astype(dtype)
    planes = rng.uniform(0.5, 1.5, (1, 190, 400)).astype(np.float32)
    found = KERNELS.scaled(pictures, planes)
    expected = np.minimum(pictures[..., :3] * planes[..., None], 255)
    np.testing.assert_array_equal(found[..., :3], np.rint(expected) if dtype is np.uint8 else expected)
    np.testing.assert_array_equal(found[..., 3:], pictures[..., 3:])


def test_each_plane_is_smoothed_by_its_own_sigma(pictures: np.ndarray) -> None:
    planes = pictures[..., 0]
    blurred = KERNELS.blurred(planes, np.array([0, 1.5, 4.0]))
    np.testing.assert_array_equal(blurred[0], planes[0])
    np.testing.assert_array_equal(blurred[2], cv2.GaussianBlur(planes[2], (0, 0), 4.0))
    assert blurred[1].std() > blurred[2].std()


def test_a_picture_laid_over_a_patch_lies_where_its_matrix_says(pictures: np.ndarray, patches: Patches) -> None:
    matrices = np.repeat(np.array([[[1.0, 0, -5], [0, 1, -2]]]), 3, 0)
    warped = KERNELS.warped(pictures.astype(np.float32), matrices, patches)
    np.testing.assert_allclose(warped[2], pictures[2, 18:30, 25:41], atol=1e-3)
    assert not warped[0, :, :5].any()
    np.testing.assert_allclose(warped[0, :, 5:], pictures[0, 1:13, :11], atol=1e-3)


def test_the_patch_of_what_is_touched_holds_all_of_it_and_no_more() -> None:
    planes = np.zeros((2, 30, 40), np.float32)
    planes[0, 4:9, 7:12] = 0.5
    one = KERNELS.touched(planes[:1])
    assert (one.x[0], one.y[0], one.width, one.height, one.there[0]) == (7, 4, 5, 5, True)
    assert not KERNELS.touched(planes[1:]).there.any()
    planes[1, 20, 30] = 1
    both = KERNELS.touched(planes)
    assert both.there.all() and both.x[0] <= 7 and both.x[0] + both.width >= 31 and both.y[0] + both.height >= 21


def test_the_nearest_triangle_is_drawn_last_and_one_left_out_never(patches: Patches) -> None:
    corners = np.array([[[0, 0], [20, 0], [0, 20]]] * 3, float)[None]
    ids = KERNELS.nearest_triangles(corners, np.array([[2, 0, -1]]), 24, 24, lambda: 72)
    assert ids.shape == (1, 24, 24) and ids[0, 5, 5] == 1 and ids[0, 23, 23] == 0
    assert set(np.unique(ids)) == {0, 1}, "of two in one place the last"


def test_functions_of_the_place_are_held_within_their_bounds() -> None:
    ids = np.array([[[0, 1, 2]]], np.int32)
    tables = np.array([[[[1.0, 2, 3]], [[10, 0, 0]]]])
    low, high = np.array([[[-np.inf], [0]]]), np.array([[[np.inf], [15]]])
    values = KERNELS.evaluated(ids, tables, low, high, np.array([[0.0, 1, 2]]), np.array([[5.0]]))
    np.testing.assert_array_equal(values, [[[[0, 1 + 10 + 3, 15]]]])


def test_polygons_are_filled_where_they_lie_in_the_frame(patches: Patches) -> None:
    square = np.array([[4.0, 5], [9, 5], [9, 11], [4, 11]])
    masks = KERNELS.filled(np.stack([square] * 3), patches)
    assert masks[0, 4, 6] == 255 and masks[0, 0, 0] == 0
    assert masks[2].max() == 0, "it lies beside that patch"
    triangles = np.stack([[square[:3], square[:3] + 100]] * 3)
    covered = KERNELS.covered(triangles, np.array([[True, True], [True, False], [False, False]]), patches)
    assert covered[0, 3, 8] == 255 and covered[1, 7, 1] == 255 and covered[2].max() == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels on a device draw what those on the processor do, frame by frame and in batches, and never wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from portrait_server.kernels import sampling
from portrait_server.kernels.base import Look, Patches
from portrait_server.kernels.on_device import OnDevice
from portrait_server.kernels.opencv import OpenCV

from tests.server.kernels.no_transfers import Transfer, no_transfers

FRAMES = 3
SHAPES = [(64, 80), (1, 1), (5, 300)]


@pytest.fixture
def kernels() -> OnDevice:
    return OnDevice(torch.device("cpu"))


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20)


def picture(random: np.random.Generator, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Noise and shapes (N, h, w[, C]), 0 to 255; differences where the type is int16."""
    values = random.random(shape) * 255
    values[:, shape[1] // 3 :, : shape[2] // 2] = 230
    return (values - 127 if dtype is np.int16 else values).astype(dtype)


def compare(kernels: OnDevice, name: str, there: tuple[np.ndarray, ...], *here: Any, share: float = 1e-3) -> None:
    """Asserts that a method draws the same as the processor's, but for a share of pixels, and waits for nothing.

    Args:
        there: what is put on the device first; here: what the method takes besides.
    """
    expected = np.asarray(getattr(OpenCV(), name)(*(array.copy() for array in there), *here))
    with no_transfers(kernels):
        drawn = getattr(kernels, name)(*(kernels.placed(array) for array in there), *here)
    drawn = drawn.numpy()
    assert drawn.shape == expected.shape
    assert drawn.dtype == expected.dtype
    apart = np.abs(drawn.astype(float) - expected.astype(float))
    assert (apart > 1 + 1e-3).mean() <= share, apart.max()


def positions(random: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in and around a picture, some of them exactly on pixels: (N, 50, 60) each."""
    x = random.uniform(-6, width + 6, (FRAMES, 50, 60)).astype(np.float32)
    y = random.uniform(-6, height + 6, (FRAMES, 50, 60)).astype(np.float32)
    x[:, :9], y[:, 5:20] = np.round(x[:, :9]), np.round(y[:, 5:20])
    return x, y


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("look", list(Look))
@pytest.mark.parametrize("count", [1, FRAMES])
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_pictures_are_looked_up(
    kernels: OnDevice, random: np.random.Generator, dtype: type, look: Look, count: int, shape: tuple[int, int]
) -> None:
    x, y = positions(random, *shape)
    for channels in ((), (3,), (4,)):
        values = picture(random, (count, *shape, *channels), dtype)
        for outside in (None,) if look is Look.LANCZOS else (None, 0.0, 90.0):
            compare(kernels, "looked_up", (values, x, y), look, outside)


@pytest.mark.parametrize("look", [Look.LINEAR, Look.CUBIC, Look.LANCZOS])
@pytest.mark.parametrize("outside", [None, 90.0])
def test_pictures_are_looked_up_without_the_help_of_torch(
    random: np.random.Generator, look: Look, outside: float | None
) -> None:
    x, y = positions(random, 64, 80)
    values = picture(random, (FRAMES, 64, 80, 3), np.float32)
    planes = torch.from_numpy(values).permute(0, 3, 1, 2)
    at = (torch.round(torch.from_numpy(axis) * sampling.STEPS) / sampling.STEPS for axis in (x, y))
    found = sampling.gathered(planes, *at, look, outside).permute(0, 2, 3, 1)
    np.testing.assert_allclose(found.numpy(), OpenCV().looked_up(values, x, y, look, outside), atol=0.01)


@pytest.mark.parametrize("size", [(20, 30), (80, 64), (200, 333), (2048, 64), (1, 5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_planes_are_resized(
    kernels: OnDevice, random: np.random.Generator, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    for channels in ((), (2,)):
        values = picture(random, (2, *shape, *channels), np.float32)
        compare(kernels, "resized", (values,), size)
        rows = slice(size[1] // 3, size[1])
        compare(kernels, "resized", (values,), size, Patches.whole(2, size, rows))


def test_pictures_are_laid_over_patches(kernels: OnDevice, random: np.random.Generator) -> None:
    patches = Patches(np.array([3, 40, 0]), np.array([0, 7, 90]), 100, 70, np.ones(3, bool))
    turns = np.array([[1.3, 0, -20], [0, 0.8, 5]]) + random.normal(0, 0.2, (FRAMES, 2, 3))
    turns[:, :, 2] += random.uniform(-30, 30, (FRAMES, 2))
    for channels in ((), (3,)):
        values = picture(random, (FRAMES, 96, 96, *channels), np.float32)
        compare(kernels, "warped", (values,), turns, patches)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [(64, 64), (500, 350), (2048, 100)])
@pytest.mark.parametrize("count", [1, 4])
def test_faces_are_aligned(
    kernels: OnDevice, random: np.random.Generator, dtype: type, size: tuple[int, int], count: int
) -> None:
    scales = np.array([1, 0.31, 3.0, 0.5])
    matrices = np.array(
        [cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), 20 * i, scale) for i, scale in enumerate(scales)]
    )
    matrices[:, :, 2] += np.array([48, 48]) - np.array(size) / 2
    for channels in ((), (3,)):
        values = picture(random, (count, size[1], size[0], *channels), dtype)
        compare(kernels, "aligned", (values,), matrices.astype(np.float32), 96)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [*SHAPES, (3, 4)])
def test_planes_are_smoothed(
    kernels: OnDevice, random: np.random.Generator, dtype: type, shape: tuple[int, int]
) -> None:
    for channels in ((), (3,)):
        values = picture(random, (FRAMES, *shape, *channels), dtype)
        for sigma, reach in ((0.5, None), (2.7, None), (1.2, 3), (np.array([0, 0.8, 6.5]), None)):
            compare(kernels, "blurred", (values,), sigma, reach)
    planes = picture(random, (FRAMES, *shape), dtype)
    for across in (3, 9):
        compare(kernels, "averaged", (planes,), across)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_planes_grow_and_shrink(
    kernels: OnDevice, random: np.random.Generator, dtype: type, shape: tuple[int, int]
) -> None:
    planes = picture(random, (FRAMES, *shape), dtype)
    for across in (3, 5, 11):
        compare(kernels, "grown", (planes,), across, share=0)
        compare(kernels, "shrunk", (planes,), np.full(FRAMES, across), share=0)
    compare(kernels, "shrunk", (planes,), np.array([7, 1, 21]), share=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_front_is_blended_over_back(kernels: OnDevice, random: np.random.Generator, dtype: type) -> None:
    front, back = picture(random, (FRAMES, 40, 50, 3), dtype), picture(random, (1, 40, 50, 3), dtype)
    matte = picture(random, (FRAMES, 40, 50), dtype)
    compare(kernels, "blended", (front, back, matte))


def test_patches_are_taken_and_laid_back_where_there_are_any(kernels: OnDevice, random: np.random.Generator) -> None:
    patches = Patches(np.array([0, 7, 30]), np.array([3, 0, 20]), 16, 12, np.array([True, False, True]))
    pictures, values = picture(random, (FRAMES, 40, 50, 3), np.uint8), picture(random, (FRAMES, 12, 16, 3), np.uint8)
    compare(kernels, "taken", (pictures,), patches, share=0)
    compare(kernels, "taken", (pictures[:1],), patches, share=0)
    parts = np.array([[0, 3, 16, 15], [7, 0, 8, 1], [32, 21, 36, 24]])
    for some in (patches, replace(patches, own=parts)):
        expected = OpenCV().laid(pictures.copy(), some, values)
        with no_transfers(kernels):
            drawn = kernels.laid(kernels.placed(pictures), some, kernels.placed(values))
        np.testing.assert_array_equal(drawn.numpy(), expected)
    for here, there in zip(OpenCV().grid(patches), kernels.grid(patches), strict=True):
        np.testing.assert_array_equal(there.numpy(), here)


def ring(middle: tuple[float, float], size: tuple[float, float], points: int) -> np.ndarray:
    """An outline (P, 2) as an eye has it, pointed at its corners."""
    at = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([middle[0] + size[0] * np.cos(at), middle[1] + size[1] * np.sin(at) * np.sin(at / 2)], -1)


def test_openings_are_filled_with_soft_edges(kernels: OnDevice, random: np.random.Generator) -> None:
    patches = Patches(np.array([5, 0, 100]), np.array([0, 9, 50]), 120, 90, np.ones(3, bool))
    for points, size in ((66, (40, 20)), (66, (6, 3)), (82, (80, 70)), (12, (300, 40)), (66, (0, 0))):
        outlines = np.stack([ring((65, 45), size, points), ring((4, 60), size, points), ring((160, 95), size, points)])
        outlines += random.normal(0, 0.3, outlines.shape)
        compare(kernels, "filled", (), outlines, patches, share=0)
    crossed = random.uniform(-30, 150, (3, 7, 2))
    compare(kernels, "filled", (), crossed, patches, share=0)


@pytest.mark.parametrize("side", [0.4, 4.0, 60.0, 9000.0])
def test_triangles_cover_the_same_pixels(kernels: OnDevice, random: np.random.Generator, side: float) -> None:
    patches = Patches(np.array([5, 0, 100]), np.array([0, 9, 50]), 70, 50, np.ones(3, bool))
    middles = random.uniform(-20, 180, (FRAMES, 40, 1, 2))
    triangles = middles + random.normal(0, side, (FRAMES, 40, 3, 2))
    counted = random.random((FRAMES, 40)) < 0.5
    compare(kernels, "covered", (), triangles, counted, patches, share=0)
    compare(kernels, "covered", (), triangles, np.zeros_like(counted), patches, share=0)


def triangles_of_all_sizes(random: np.random.Generator, columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners (N, T, 3, 2) from slivers to larger than the grid, some beyond it, and an order that leaves some out."""
    sizes = random.choice([0.3, 1, 5, 30, 400], (FRAMES, 150, 1, 1))
    corners = (
        random.uniform(-30, max(columns, rows) + 30, (FRAMES, 150, 1, 2))
        + random.normal(0, 1, (FRAMES, 150, 3, 2)) * sizes
    )
    corners[:, ::9, 2] = corners[:, ::9, :2].mean(2)
    order = np.argsort(random.random((FRAMES, 150)), axis=1)
    order[:, 130:] = -1
    return np.clip(corners, -(1 << 14), 1 << 14).astype(np.float32), order


@pytest.mark.parametrize(("columns", "rows"), [(512, 512), (64, 100), (1, 7), (300, 1), (1000, 40)])
def test_the_nearest_triangle_is_seen(kernels: OnDevice, random: np.random.Generator, columns: int, rows: int) -> None:
    corners, order = triangles_of_all_sizes(random, columns, rows)
    most = corners.shape[1] * rows
    here = OpenCV().nearest_triangles(corners, order, columns, rows, lambda: most)
    with no_transfers(kernels):
        there = kernels.nearest_triangles(kernels.put(corners), kernels.put(order), columns, rows, lambda: most)
    np.testing.assert_array_equal(there.numpy(), here)


def test_places_are_evaluated_by_the_triangle_that_is_seen(kernels: OnDevice, random: np.random.Generator) -> None:
    ids = random.integers(0, 21, (FRAMES, 30, 40)).astype(np.int32)
    tables = random.normal(0, 1, (FRAMES, 20, 4, 3)).astype(np.float32)
    low, high = np.full((FRAMES, 20, 4), -np.inf, np.float32), np.full((FRAMES, 20, 4), np.inf, np.float32)
    low[:, ::3, :2], high[:, ::3, :2] = -3, 5
    x, y = np.tile(np.arange(40.0), (FRAMES, 1)), np.tile(np.arange(30.0), (FRAMES, 1))
    here = OpenCV().evaluated(ids, tables, low, high, x, y)
    with no_transfers(kernels):
        there = kernels.evaluated(*(kernels.put(numbers) for numbers in (ids, tables, low, high, x, y)))
    np.testing.assert_allclose(there.numpy(), here, atol=1e-4)
    below = random.normal(0, 1, here.shape).astype(np.float32)
    over = np.where(ids[:, None] > 0, here, below)
    with no_transfers(kernels):
        there = kernels.evaluated_over(*(kernels.put(each) for each in (below, ids, tables, low, high, x, y)))
    np.testing.assert_allclose(there.numpy(), over, atol=1e-4)
    np.testing.assert_allclose(OpenCV().evaluated_over(below, ids, tables, low, high, x, y), over, atol=1e-4)


def test_a_frame_is_the_same_in_any_batch(kernels: OnDevice, random: np.random.Generator) -> None:
    pictures = kernels.put(picture(random, (FRAMES, 64, 80, 3), np.float32))
    x, y = (kernels.put(axis) for axis in positions(random, 64, 80))
    matrices = np.stack([np.array([[s, 0.1, 3], [-0.1, s, 2]], np.float32) for s in (0.3, 0.9, 1.5)])
    sigmas = np.array([0.6, 2.0, 5.0])
    for whole, alone in (
        (kernels.looked_up(pictures, x, y), lambda i: kernels.looked_up(pictures[i], x[i], y[i])),
        (kernels.aligned(pictures, matrices, 64), lambda i: kernels.aligned(pictures[i], matrices[i], 64)),
        (kernels.blurred(pictures, sigmas), lambda i: kernels.blurred(pictures[i], sigmas[i])),
    ):
        for number in range(FRAMES):
            assert torch.equal(whole[number], alone(slice(number, number + 1))[0])


def test_transfers_are_counted_and_others_are_found(kernels: OnDevice) -> None:
    numbers = np.arange(6.0).reshape(2, 3)
    with no_transfers(kernels):
        there = kernels.put(numbers)
        frames = kernels.fetch(there[None].to(torch.uint8))()
        for wait in (
            there.cpu, there.tolist, there[0, 0].item, lambda: bool(there[0, 0] > 0), lambda: there[there > 2],
            there.nonzero, lambda: np.asarray(there), lambda: torch.from_numpy(numbers), lambda: torch.tensor([1.0]),
        ):  # fmt: skip
            with pytest.raises(Transfer):
                wait()
    assert (kernels.puts, kernels.fetches) == (1, 1)
    assert there.dtype == torch.float32
    np.testing.assert_array_equal(frames[0], numbers)


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
def test_pictures_are_mirrored_beyond_what_is_touched(
    kernels: OnDevice, random: np.random.Generator, shape: tuple[int, ...]
) -> None:
    planes = np.zeros((FRAMES, 40, 50), np.float32)
    planes[0, 20, 30] = planes[0, 8, 12] = planes[1, :, 25:] = 0.5
    planes[1, 0, 24] = 1
    planes[2] = 1
    there = picture(random, (FRAMES, *shape), np.float32)
    reach = [there, planes]
    expected = OpenCV().mirrored(*reach)
    with no_transfers(kernels):
        drawn = kernels.mirrored(*(kernels.placed(array) for array in reach))
    for x, y in ((range(50), range(40)), (range(5, 38), range(1, 28))):
        number = int(len(x) < 50)
        frame = [2, 0][number]
        np.testing.assert_array_equal(drawn.numpy()[frame][y][:, x], expected[frame][y][:, x])
    np.testing.assert_array_equal(drawn.numpy()[1], expected[1])
    np.testing.assert_array_equal(expected[2], there[2])
    assert np.array_equal(expected[0][7, 12:31], there[0][9, 12:31])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_share_of_differences_is_added(kernels: OnDevice, random: np.random.Generator, dtype: type) -> None:
    pictures = picture(random, (FRAMES, 40, 50, 3), dtype)
    differences = picture(random, (1, 40, 50, 3), np.int16 if dtype is np.uint8 else np.float32)
    compare(kernels, "added", (pictures, differences, random.random((FRAMES, 40, 50)).astype(np.float32)), share=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("other", [np.uint8, np.float32])
def test_pictures_are_mixed(kernels: OnDevice, random: np.random.Generator, dtype: type, other: type) -> None:
    pictures, others = (random.integers(0, 256, (FRAMES, 40, 50, 3)).astype(kind) for kind in (dtype, other))
    # In 64ths, that some lie half way between levels.
    share = (np.round(random.random((FRAMES, 40, 50)) * 64) / 64).astype(np.float32)
    compare(kernels, "mixed", (pictures, others, share), share=0)
    found = OpenCV().mixed(pictures, others, share)
    expected = pictures + share[..., None] * (others.astype(np.float32) - pictures)
    np.testing.assert_array_equal(found, np.rint(expected) if dtype is np.uint8 else expected)
    assert found.dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_plane_becomes_the_fourth_channel(
    kernels: OnDevice, random: np.random.Generator, dtype: type, channels: int
) -> None:
    pictures, planes = (random.integers(0, 256, (FRAMES, 40, 50, *axes)).astype(dtype) for axes in ((channels,), ()))
    compare(kernels, "with_fourth", (pictures, planes), share=0)
    found = OpenCV().with_fourth(pictures, planes)
    np.testing.assert_array_equal(found, np.concatenate([pictures[..., :3], planes[..., None]], -1))
    assert found.dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_become_lighter_and_darker_and_what_is_transparent_stays_so(
    kernels: OnDevice, random: np.random.Generator, dtype: type, channels: int
) -> None:
    pictures = random.integers(0, 256, (FRAMES, 40, 50, channels)).astype(dtype)
    planes = random.uniform(0.5, 2, (FRAMES, 40, 50)).astype(np.float32)
    compare(kernels, "scaled", (pictures, planes), share=1e-3)
    found = OpenCV().scaled(pictures, planes)
    assert found.dtype == dtype and found.max() == 255
    assert (found[..., 3:] == pictures[..., 3:]).all()


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1), (2, 2)])
def test_planes_of_one_cell_have_no_steps(
    kernels: OnDevice, random: np.random.Generator, shape: tuple[int, int]
) -> None:
    planes = random.random((FRAMES, 2, *shape)).astype(np.float32)
    found = np.asarray(OpenCV().steep(planes, 0.3)) > 0
    assert (found == kernels.steep(kernels.placed(planes), 0.3).numpy()).all()


def test_a_whole_frame_is_a_patch_like_others(kernels: OnDevice, random: np.random.Generator) -> None:
    whole, planes = Patches.whole(FRAMES, (50, 40)), picture(random, (FRAMES, 20, 25), np.float32)
    part = Patches.whole(FRAMES, (50, 40), slice(10, 30))
    for patches in (whole, part):
        compare(kernels, "resized", (planes,), (50, 40), patches)
        compare(kernels, "taken", (picture(random, (1, 40, 50, 3), np.uint8),), patches, share=0)


def test_what_is_elsewhere_is_found_where_it_is_used() -> None:
    kernels = OnDevice(torch.device("meta"))
    with no_transfers(kernels):
        there = kernels.put(np.arange(6.0))
        with pytest.raises(Transfer, match="cpu"):
            there + torch.ones(())
        with pytest.raises(Transfer, match="cpu"):
            torch.ones(6).to(there.device)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pictures_are_held_near_others(kernels: OnDevice, random: np.random.Generator, dtype: type) -> None:
    pictures, centres = (picture(random, (FRAMES, 30, 40, 3), dtype) for _ in range(2))
    compare(kernels, "held_near", (pictures, centres), 4, share=0)
    near = OpenCV().held_near(pictures, centres, 4).astype(float)
    assert np.abs(near - centres).max() <= 4 + 1e-4
    assert near.min() >= 0
    assert near.max() <= 255
    inside = np.abs(pictures.astype(float) - centres) <= 4
    np.testing.assert_allclose(near[inside], pictures[inside], atol=1e-4)


def test_steep_places_are_found(kernels: OnDevice, random: np.random.Generator) -> None:
    planes = random.uniform(0, 3, (FRAMES, 2, 30, 40)).astype(np.float32)
    planes[:, :, :, 20:] += 2
    with no_transfers(kernels):
        there = kernels.steep(kernels.placed(planes), 2.5)
    here = OpenCV().steep(planes, 2.5)
    np.testing.assert_array_equal(there.numpy() > 0, here > 0)
    assert (here[:, :, 19:21] > 0).mean() > 0.5
    assert not OpenCV().steep(planes, 5.5).any()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of pictures so simple that the right answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.evaluation.metrics import (
    MOST_PSNR,
    compare,
    eye_boxes,
    face_mask,
    head_box,
    mouth_box,
    psnr,
    ssim,
)
from skimage.metrics import structural_similarity

PIXEL_COLUMNS = ("l1", "face", "mouth", "eyes", "ssim", "psnr", "flicker")

SHAPE = (256, 256, 3)
WHOLE = np.s_[0:256, 0:256]


@pytest.fixture
def points() -> np.ndarray:
    """A square face from (80, 100) to (160, 180), with eyes and a mouth in it."""
    points = np.full((70, 2), (120.0, 140.0), np.float32)
    points[0], points[8] = (80, 100), (160, 180)
    points[2], points[4] = (160, 100), (80, 180)
    points[36:42] = np.linspace((90, 115), (100, 119), 6)
    points[42:48] = np.linspace((140, 115), (150, 119), 6)
    points[48:68] = np.linspace((110, 160), (130, 170), 20)
    return points


def grey(level: int) -> np.ndarray:
    return np.full(SHAPE, level, np.uint8)


def test_regions(points: np.ndarray) -> None:
    # 80 wide and 80 tall: 20 to each side, 40 above, 8 below.
    assert head_box(points, SHAPE) == (slice(60, 189), slice(60, 181))
    assert mouth_box(points, SHAPE) == (slice(155, 176), slice(105, 136))
    assert eye_boxes(points, SHAPE) == [(slice(111, 124), slice(86, 105)), (slice(111, 124), slice(136, 155))]
    assert face_mask(points, SHAPE).sum() == 81 * 81


def test_margins_grow_with_the_picture(points: np.ndarray) -> None:
    assert mouth_box(points * 2, (512, 512, 3)) == (slice(310, 351), slice(210, 271))


def test_regions_stay_in_the_picture(points: np.ndarray) -> None:
    assert head_box(points - 90, SHAPE) == (slice(0, 99), slice(0, 91))
    for box in (*eye_boxes(points + 240, SHAPE), mouth_box(points + 240, SHAPE)):
        assert np.zeros(SHAPE)[box].size > 0


def test_equal_pictures(points: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), np.uint8)
    assert compare(noise[0], noise[0], noise[1], noise[1], points) == dict(
        l1=0, face=0, mouth=0, eyes=0, ssim=1, psnr=MOST_PSNR, flicker=0
    )


def test_a_picture_too_bright_by_a_fifth(points: np.ndarray) -> None:
    figures = compare(grey(151), grey(100), grey(151), grey(100), points)
    assert set(figures) == set(PIXEL_COLUMNS)
    for column in ("l1", "face", "mouth", "eyes"):
        assert figures[column] == pytest.approx(0.2)
    assert figures["psnr"] == pytest.approx(20 * np.log10(5))
    assert figures["flicker"] == 0, "it is too bright all the time"
    # Without variance only the means' term is left.
    assert figures["ssim"] == pytest.approx((2 * 151 * 100 + 6.5025) / (151**2 + 100**2 + 6.5025))


def test_flicker_is_a_change_that_is_not_real(points: np.ndarray) -> None:
    assert compare(grey(151), grey(100), grey(100), grey(100), points)["flicker"] == pytest.approx(0.2)
    assert compare(grey(100), grey(100), grey(100), grey(151), points)["flicker"] == pytest.approx(0.2)
    assert compare(grey(151), grey(151), grey(100), grey(100), points)["flicker"] == 0


def test_each_error_looks_at_its_own_region(points: np.ndarray) -> None:
    made = grey(0)
    made[eye_boxes(points, SHAPE)[0]] = 255
    figures = compare(made, grey(0), grey(0), grey(0), points)
    assert figures["eyes"] == pytest.approx(0.5), "one of two eyes"
    assert figures["mouth"] == 0
    assert figures["l1"] == pytest.approx(13 * 19 / (129 * 121))
    outside = grey(0)
    outside[:60] = 255
    assert compare(outside, grey(0), grey(0), grey(0), points)["l1"] == 0


def test_ssim_is_that_of_scikit_image() -> None:
    generator = np.random.default_rng(1)
    a = generator.integers(0, 256, (40, 60, 3), np.uint8)
    b = np.clip(a + generator.normal(0, 30, a.shape), 0, 255).astype(np.uint8)
    value, each = structural_similarity(a, b, channel_axis=2, full=True)
    for box in (np.s_[0:40, 0:60], np.s_[1:20, 33:60], np.s_[10:30, 10:50]):
        assert ssim(a, b, box) == pytest.approx(each[box].mean(), abs=1e-9)
    assert 0 < value < 1


def test_psnr() -> None:
    assert psnr(grey(0), grey(255)) == 0
    assert psnr(grey(10), grey(11)) == pytest.approx(48.1308, abs=1e-4)

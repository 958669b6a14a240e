# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's matte, on a photograph of an astronaut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.matte import person_matte


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return skimage.data.astronaut()


def test_matte_tells_person_from_background(photo: np.ndarray) -> None:
    matte = person_matte(photo)
    assert matte.shape == photo.shape[:2]
    assert matte.dtype == np.float32
    assert matte.min() >= 0 and matte.max() <= 1
    assert matte[80:140, 195:245].min() > 0.95, "face"
    assert matte[300:450, 150:250].min() > 0.95, "suit"
    assert matte[:150, 330:].max() < 0.05, "shuttle"
    assert matte[:100, :100].max() < 0.05, "flag"


def test_mattes_edge_lies_on_the_pictures(photo: np.ndarray) -> None:
    matte = person_matte(photo)
    for row in (50, 70, 90):
        edge = int(np.argmax(matte[row, :226] > 0.5))
        brightness = cv2.GaussianBlur(photo[row : row + 1].mean(2), (5, 1), 0)[0]
        steepest = 120 + int(np.argmin(np.diff(brightness[120:200])))
        assert abs(edge - steepest) <= 6, f"row {row}: hair starts at {steepest}, the matte at {edge}"


def test_matte_is_the_same_again_and_at_twice_the_size(photo: np.ndarray) -> None:
    matte = person_matte(photo)
    np.testing.assert_array_equal(matte, person_matte(photo))
    large = person_matte(cv2.resize(photo, (1400, 1400), interpolation=cv2.INTER_CUBIC))
    assert large.shape == (1400, 1400)
    assert np.abs(cv2.resize(large, (512, 512), interpolation=cv2.INTER_AREA) - matte).mean() < 0.02


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (16, 300), (301, 17)])
def test_matte_of_pictures_without_anyone(shape: tuple[int, int]) -> None:
    matte = person_matte(np.full((*shape, 3), 128, np.uint8))
    assert matte.shape == shape
    assert np.isfinite(matte).all() and matte.min() >= 0 and matte.max() <= 1

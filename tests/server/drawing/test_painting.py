# SPDX-License-Identifier: GPL-3.0-or-later
"""What painters are given of a frame, and how their painting comes back into it."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.drawing.painting import place
from portrait_server.geometry.alignment import transform_points
from portrait_server.geometry.crops import CROPS, LEFT_EYE, MOUTH, Crop
from portrait_server.kernels.opencv import OpenCV


def waves(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.round(127 + 60 * np.stack([np.sin(x / 9), np.cos(y / 11), np.sin((x + y) / 13)], -1)).astype(np.uint8)


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
def test_nothing_painted_leaves_the_frame(crop: Crop, face: np.ndarray) -> None:
    frame = waves(256, 256)[None]
    person, placed = frame.copy(), place(crop, face[None], (256, 256))
    nothing = np.zeros((1, crop.side, crop.side, 5), np.float32)
    placed.lay(OpenCV(), person, nothing[..., :2], nothing[..., 2:])
    np.testing.assert_array_equal(person, frame)


@pytest.mark.parametrize("crop", [MOUTH, LEFT_EYE], ids=["mouth", "left_eye"])
def test_what_is_painted_comes_where_the_crop_was(crop: Crop, face: np.ndarray) -> None:
    frame = waves(256, 256)[None]
    person, placed = frame.copy(), place(crop, face[None], (256, 256))
    before = placed.draft(OpenCV(), person)
    painting = np.zeros((1, crop.side, crop.side, 3), np.float32)
    painting[:, 20:60, 10:50, 0] = 0.2
    placed.lay(OpenCV(), person, np.zeros((1, crop.side, crop.side, 2), np.float32), painting)
    change = placed.draft(OpenCV(), person).astype(float) - before
    np.testing.assert_allclose(change[0, 24:56, 14:46, 0], 51, atol=2)
    assert np.abs(change[..., 1:]).max() <= 1 and np.abs(change[0, 64:]).max() <= 1


def test_a_shift_is_of_the_crops_pixels(face: np.ndarray) -> None:
    frame = waves(256, 256)[None]
    person, placed = frame.copy(), place(LEFT_EYE, face[None], (256, 256))
    before = placed.draft(OpenCV(), person).astype(float)
    shift = np.zeros((1, LEFT_EYE.side, LEFT_EYE.side, 2), np.float32)
    shift[..., 0] = 3
    placed.lay(OpenCV(), person, shift, np.zeros((1, LEFT_EYE.side, LEFT_EYE.side, 3), np.float32))
    after = placed.draft(OpenCV(), person)
    np.testing.assert_allclose(after[0, 8:-8, 8:-8], before[0, 8:-8, 11:-5], atol=4)


def test_a_face_outside_the_frame_is_not_painted(face: np.ndarray) -> None:
    frame = waves(64, 64)[None]
    person, placed = frame.copy(), place(MOUTH, face[None] + (2000, 0, 0), (64, 64))
    ones = np.ones((1, MOUTH.side, MOUTH.side, 5), np.float32)
    placed.lay(OpenCV(), person, ones[..., :2], ones[..., 2:])
    np.testing.assert_array_equal(person, frame)
    inside = transform_points(place(MOUTH, face[None], (256, 256)).matrices, face[None])
    assert np.abs(inside[0, list(MOUTH.middle), :2].mean(0) - 63.5).max() < 0.01

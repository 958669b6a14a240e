# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops of mouth and eyes: where they lie, and that they follow the head alone, not what the face does."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.geometry.alignment import inverse, transform_points
from portrait_server.geometry.crops import CROPS, LEFT_EYE, MOUTH, RIGHT_EYE, Crop, crop_outlines, crop_transforms
from portrait_server.geometry.pose import rotation_of
from portrait_shared.landmarks import EYES, GROUPS, MIRROR


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
def test_a_crop_follows_the_head(crop: Crop, face: np.ndarray) -> None:
    turned = np.array([[0.6, -0.8, 300], [0.8, 0.6, -40]]) * [[1.7, 1.7, 1], [1.7, 1.7, 1]]
    moved = transform_points(turned, face)
    before, after = (transform_points(crop_transforms(crop, points), points)[:, :2] for points in (face, moved))
    np.testing.assert_allclose(after, before, atol=0.02)
    middle = before[list(crop.middle)].mean(0)
    np.testing.assert_allclose(middle, (crop.side - 1) / 2, atol=1e-3)


def test_a_smile_leaves_a_crops_size(face: np.ndarray) -> None:
    smiling = face.copy()
    smiling[list(GROUPS["outer_lip"] + GROUPS["inner_lip"]), 1] -= 12
    sizes = [np.hypot(*crop_transforms(MOUTH, points)[:, 0]) for points in (face, smiling)]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-6)


def test_a_turned_head_keeps_its_crops_size(face: np.ndarray) -> None:
    middle = face[:68].mean(0)
    turned = (face - middle) @ rotation_of(np.array([0, 0.6, 0])).T + middle
    sizes = [np.hypot(*crop_transforms(MOUTH, points)[:, 0]) for points in (face, turned)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_left_eyes_look_as_right_ones(face: np.ndarray) -> None:
    mirrored = face[list(MIRROR)] * (-1, 1, 1) + (500, 0, 0)
    right, left = (
        transform_points(crop_transforms(crop, points), points)
        for crop, points in ((RIGHT_EYE, face), (LEFT_EYE, mirrored))
    )
    np.testing.assert_allclose(left[list(MIRROR), :2], right[:, :2], atol=0.02)


def test_a_crop_and_back(face: np.ndarray) -> None:
    matrices = crop_transforms(LEFT_EYE, np.stack([face, face + 10]), side=96)
    there = transform_points(matrices, np.stack([face, face + 10]))
    np.testing.assert_allclose(transform_points(inverse(matrices), there)[0, :, :2], face[:, :2], atol=0.02)
    assert np.allclose(there[:, list(LEFT_EYE.middle), :2].mean(1), 47.5, atol=1e-3)


def test_outlines_are_of_lips_lids_and_the_iris(face: np.ndarray) -> None:
    lips = crop_outlines(MOUTH, face)
    assert [len(line) for line in lips] == [12, 8]
    lid, iris = crop_outlines(RIGHT_EYE, face[None])
    assert lid.shape == (1, 6, 2)
    np.testing.assert_allclose(iris.mean(1), face[None, EYES[0].pupil, :2], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(iris[0] - iris.mean(1), axis=1), RIGHT_EYE.iris, atol=1e-4)


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
def test_eyes_in_one_place_leave_a_crop_upright(crop: Crop, face: np.ndarray) -> None:
    profile = face.copy()
    profile[36:48, :2] = face[27, :2]
    linear = crop_transforms(crop, profile)[:, :2]
    assert np.isfinite(linear).all() and abs(linear[0, 0]) > 0.1
    np.testing.assert_allclose(linear, np.diag(np.diag(linear)), atol=1e-6)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The aligned frame: the same places for every face."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.geometry.alignment import (
    EYES_AT,
    MOUTH_AT,
    aligned_transform,
    compose,
    crop,
    inverse,
    transform_points,
)

from tests.posing import turned


@pytest.mark.parametrize(("scale", "degrees", "shift"), [(1, 0, 0), (0.2, 30, 50), (7, -75, -900)])
def test_eyes_and_mouth_come_to_their_places(face: np.ndarray, scale: float, degrees: float, shift: float) -> None:
    photo = turned(face, roll=degrees) * scale + shift
    aligned = transform_points(aligned_transform(photo, 128), photo)
    assert aligned[[36, 39, 42, 45], :2].mean(0) == pytest.approx(np.array(EYES_AT) * 128 - 0.5, abs=1e-2)
    assert aligned[[48, 54], :2].mean(0) == pytest.approx(np.array(MOUTH_AT) * 128 - 0.5, abs=1e-2)


def test_depth_grows_with_the_picture(face: np.ndarray) -> None:
    assert transform_points(aligned_transform(face * 3, 256), face * 3)[:, 2] == pytest.approx(face[:, 2], rel=1e-3)


def test_the_scorers_head_box_is_inside(face: np.ndarray) -> None:
    for points in (face, turned(face, yaw=35), turned(face, yaw=-35), turned(face, pitch=20)):
        points = transform_points(aligned_transform(points, 256), points)
        (left, top), (right, bottom) = points[:68, :2].min(0), points[:68, :2].max(0)
        wide, tall = right - left, bottom - top
        assert left - wide / 4 > 5 and right + wide / 4 < 250 and top - tall / 2 > 0 and bottom + tall / 10 < 250


def test_a_point_of_the_photo_lands_where_its_pixel_does(face: np.ndarray) -> None:
    photo = np.zeros((700, 700), np.float32)
    points = face * 2 + 50
    x, y = np.round(points[30, :2]).astype(int)
    photo[y - 3 : y + 4, x - 3 : x + 4] = 255
    matrix = aligned_transform(points, 256)
    picture = crop(photo, matrix, 256)
    rows, columns = np.mgrid[:256, :256]
    found = np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()
    assert found == pytest.approx(transform_points(matrix, np.array([[x, y]]))[0], abs=0.2)


def test_a_large_photo_is_averaged_not_sampled() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (1000, 500))
    shrunk = crop(stripes, np.array([[0.1, 0, 0], [0, 0.1, 0]], np.float32), 64)
    assert abs(shrunk[5:-5, 5:-5].astype(int) - 127).max() <= 2


def test_inverse_and_compose_undo_each_other(face: np.ndarray) -> None:
    matrix = aligned_transform(face * 3 + 7, 256)
    assert compose(matrix, inverse(matrix)) == pytest.approx(np.eye(2, 3), abs=1e-3)


def test_points_in_one_place_still_give_a_frame() -> None:
    assert np.isfinite(aligned_transform(np.zeros((70, 3)), 256)).all()

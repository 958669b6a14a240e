# SPDX-License-Identifier: GPL-3.0-or-later
"""The background behind a person: as it goes on around, without a trace of who stood before it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.drawing.plate import build_plate, smooth_plate
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.geometry.head_mesh import HeadMesh, build_head_mesh
from portrait_shared.landmarks import MESH_VERTICES

SIDE = 256
RED = (230, 20, 20)


@pytest.fixture(scope="module")
def mesh(person: np.ndarray) -> HeadMesh:
    face = neutral_mesh() * 40 + (SIDE / 2, SIDE * 0.45, 0)
    return build_head_mesh(face[list(MESH_VERTICES)], face, np.full((SIDE, SIDE, 3), 128, np.uint8), person)


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    """Head and shoulders, (SIDE, SIDE) float32 from 0 to 1 with a soft edge."""
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.ellipse(mask, (SIDE // 2, round(SIDE * 0.42)), (44, 60), 0, 0, 360, 1, -1)
    cv2.ellipse(mask, (SIDE // 2, SIDE), (90, 90), 0, 0, 360, 1, -1)
    return cv2.GaussianBlur(mask, (0, 0), 1.5)


def wall(grain: float = 2.0) -> np.ndarray:
    """A plain wall in a light that changes across it, (SIDE, SIDE, 3) float64."""
    y, x = np.mgrid[:SIDE, :SIDE]
    light = 120 + 60 * x / SIDE + 30 * y / SIDE
    return light[..., None] * (0.9, 1.0, 1.1) + np.random.default_rng(0).normal(0, grain, (SIDE, SIDE, 3))


def photo(background: np.ndarray, person: np.ndarray) -> np.ndarray:
    shown = background + person[..., None] * (np.array(RED) - background)
    return np.clip(np.round(shown), 0, 255).astype(np.uint8)


def test_a_wall_goes_on_in_its_light_and_grain(person: np.ndarray, mesh: HeadMesh) -> None:
    background = wall()
    plate = build_plate(photo(background, person), person, mesh)
    head = np.s_[60:150, 84:172]
    error = plate[head] - wall(0.0)[head]
    assert np.abs(cv2.GaussianBlur(error, (0, 0), 4)).max() < 6, "the light goes on, without seams"
    assert 0.7 < error.std() / 2.0 < 1.8, "and the grain"


def test_nothing_of_the_person_stays(person: np.ndarray, mesh: HeadMesh) -> None:
    """Not of the edge, which the matte has not told, nor a lock and single hairs beside it."""
    seen = photo(wall(), person)
    for end in ((93, 55), (76, 107), (150, 48)):
        cv2.line(seen, (SIDE // 2, 80), end, RED, 1, cv2.LINE_AA)
    plate = build_plate(seen, np.maximum(person - 0.1, 0), mesh).astype(int)
    redness = plate[..., 0] - plate[..., 1]
    assert (seen.astype(int)[..., 0] - seen[..., 1]).max() > 200
    assert redness.max() < 15


def test_far_from_the_person_it_is_the_photo_to_the_bit(person: np.ndarray, mesh: HeadMesh) -> None:
    seen = photo(wall(), person)
    far = cv2.dilate((person > 0.02).astype(np.uint8), np.ones((45, 45), np.uint8)) == 0
    for plate in (build_plate(seen, person, mesh), smooth_plate(seen, person, mesh)):
        assert far.any()
        np.testing.assert_array_equal(plate[far], seen[far])


def test_a_transparent_background_stays_transparent(person: np.ndarray, mesh: HeadMesh) -> None:
    cut_out = np.dstack([photo(wall(), person), np.uint8(255 * person)])
    plate = build_plate(cut_out, person, mesh)
    assert plate.shape == cut_out.shape and plate[..., 3].max() == 0


def test_a_person_who_fills_the_picture_leaves_no_background(mesh: HeadMesh) -> None:
    seen = photo(wall(), np.ones((SIDE, SIDE), np.float32))
    np.testing.assert_array_equal(build_plate(seen, np.ones((SIDE, SIDE), np.float32), mesh), seen)


def test_a_corner_of_background_is_enough(mesh: HeadMesh) -> None:
    person = np.ones((SIDE, SIDE), np.float32)
    person[:24, :24] = 0
    plate = build_plate(photo(np.full((SIDE, SIDE, 3), 90.0), person), person, mesh)
    assert np.abs(plate[100:150, 100:150].astype(int) - 90).max() < 12


def test_fractions_of_levels_stay(person: np.ndarray, mesh: HeadMesh) -> None:
    seen = photo(wall(), person)
    deep = build_plate(seen.astype(np.float32) + np.float32(0.25), person, mesh)
    assert deep.dtype == np.float32 and np.abs(deep - build_plate(seen, person, mesh)).mean() < 3

# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs behind their lids: what a photo does not show of them, and where it shows that lids end."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.drawing.eyes import EyeLayer, build_eyes
from portrait_server.drawing.lid_rims import edges
from portrait_server.geometry.face_mesh import EYES, neutral_mesh
from portrait_server.geometry.head_mesh import HeadMesh, build_head_mesh
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MESH_VERTICES

SIDE = 1024
SKIN, WHITE, SHADED, IRIS, PUPIL = (200, 150, 120), (230, 225, 220), (120, 112, 110), (90, 60, 40), (15, 12, 10)
GLINT = (255, 255, 255)


@pytest.fixture(scope="module")
def mesh() -> HeadMesh:
    vertices = neutral_mesh() * 900 + (SIDE / 2, SIDE / 2, 0)
    points = vertices[list(MESH_VERTICES)].astype(np.float32)
    flat = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    return build_head_mesh(points, vertices, flat, np.ones((SIDE, SIDE), np.float32))


def rims(mesh: HeadMesh, number: int = 0) -> tuple[np.ndarray, np.ndarray, float]:
    upper, lower = (np.array(mesh.vertices[list(rim)]) for rim in EYES[number])
    return upper, lower, float(np.linalg.norm(upper[-1, :2] - upper[0, :2]))


def photo_of(mesh: HeadMesh, radius: float = 0.17, lower_by: float = 0.0, shaded: bool = False) -> np.ndarray:
    """A face whose right eye has an iris of a radius, and a lower lid so far below its landmarks, both in eye widths."""
    photo = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    upper, lower, wide = rims(mesh)
    lower[1:-1, 1] += lower_by * wide
    opening = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(opening, [np.round(np.concatenate([upper, lower[::-1]])[:, :2]).astype(np.int32)], 1)
    eye = np.full_like(photo, WHITE)
    x, y = mesh.points[68, :2]
    if shaded:
        eye[:, : round(x - 0.3 * wide)] = SHADED
    for colour, far in ((IRIS, radius), (PUPIL, 0.4 * radius)):
        cv2.circle(eye, (round(x), round(y)), round(far * wide), colour, -1, cv2.LINE_AA)
    cv2.circle(eye, (round(x + 0.05 * wide), round(y)), max(1, round(0.02 * wide)), GLINT, -1, cv2.LINE_AA)
    photo[opening > 0] = eye[opening > 0]
    return photo


def drawn(
    mesh: HeadMesh, eye: EyeLayer, gaze: tuple[float, float] = (0, 0), up: float = 0.0, down: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The eye, its pupil moved, its upper lid higher and its lower lid lower, all in eye widths; and where it shows."""
    upper, lower, wide = rims(mesh)
    upper[1:-1, 1] -= up * wide
    lower[1:-1, 1] += down * wide
    frames = np.stack([np.full((SIDE, SIDE, 3), colour, np.uint8) for colour in (0, 255)])
    above, below = edges(np.stack([upper] * 2), np.stack([lower] * 2), np.zeros(2), eye.below)
    pupil = np.stack([eye.pupil + np.multiply(gaze, wide)] * 2)
    eye.draw(
        OpenCV(), frames, above, below, np.stack([np.eye(2)] * 2), pupil, np.zeros(2, bool), np.empty((2, 0, 3, 3))
    )  # fmt: skip
    return frames[0], (frames[0] == frames[1]).all(-1)


def around_pupil(mesh: HeadMesh, at: tuple[float, float]) -> np.ndarray:
    """How far each pixel lies from where a pupil is moved to, in eye widths."""
    y, x = np.mgrid[:SIDE, :SIDE]
    wide = rims(mesh)[2]
    middle = mesh.points[68, :2] + np.multiply(at, wide)
    return np.asarray(np.hypot(x - middle[0], y - middle[1]) / wide)


@pytest.mark.parametrize("radius", [0.17, 0.22])
def test_an_iris_that_turns_is_a_disc_as_large_as_the_photos(mesh: HeadMesh, radius: float) -> None:
    eye = build_eyes(photo_of(mesh, radius), mesh, np.ones(2))[0]
    assert eye.iris == pytest.approx(radius * rims(mesh)[2], rel=0.12)
    for gaze in ((-0.2, 0.0), (0.2, 0.0), (0.0, 0.12)):
        picture, shown = drawn(mesh, eye, gaze, up=0.15, down=0.1)
        reach = around_pupil(mesh, gaze)
        inside, outside = shown & (reach < 0.85 * radius), shown & (reach > 1.2 * radius) & (reach < 1.5 * radius)
        assert np.percentile(picture[inside].min(1), 95) < 110
        assert np.percentile(picture[outside].min(1), 5) > 110


def test_what_an_iris_leaves_is_as_white_as_the_eye_where_light_falls(mesh: HeadMesh) -> None:
    eye = build_eyes(photo_of(mesh, shaded=True), mesh, np.ones(2))[0]
    picture, _ = drawn(mesh, eye, (0.25, 0.0))
    x, y = np.round(mesh.points[68, :2]).astype(int)
    left = picture[y - 2 : y + 3, x - 8 : x - 2].mean((0, 1))
    np.testing.assert_allclose(left, WHITE, rtol=0.15)


def test_a_light_mirrored_in_an_eye_goes_with_a_gaze_down(mesh: HeadMesh) -> None:
    eye = build_eyes(photo_of(mesh), mesh, np.ones(2))[0]
    for gaze in ((0.0, 0.12), (-0.2, 0.0)):
        picture, _ = drawn(mesh, eye, gaze, down=0.1)
        assert picture[around_pupil(mesh, gaze) < 0.1].min(1).max() > 200


def test_lids_that_open_wide_bare_a_white_that_is_warm_in_their_shade(mesh: HeadMesh) -> None:
    eye = build_eyes(photo_of(mesh), mesh, np.ones(2))[0]
    picture, _ = drawn(mesh, eye, up=0.12)
    upper, _, wide = rims(mesh)
    x, y = np.round(upper[4, :2] - (0, 0.1 * wide)).astype(int)
    red, green, blue = picture[y, x - 3 : x + 4].mean(0) / WHITE
    assert 0.5 < red < 0.85 and blue < 0.95 * red and green < 0.97 * red


def test_a_lower_lid_is_found_where_the_photo_shows_it(mesh: HeadMesh) -> None:
    for lower_by in (0.0, 0.03):
        photo = photo_of(mesh, lower_by=lower_by)
        eye = build_eyes(photo, mesh, np.ones(2))[0]
        assert eye.below == pytest.approx(lower_by, abs=0.012)
        whole, shown = drawn(mesh, eye)
        assert shown.any()
        assert np.abs(whole[shown].astype(int) - photo[shown]).mean() < 1, "at rest it is the photo's"
    assert build_eyes(np.full_like(photo, SKIN), mesh, np.ones(2))[0].below == 0

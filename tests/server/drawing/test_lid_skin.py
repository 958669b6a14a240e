# SPDX-License-Identifier: GPL-3.0-or-later
"""A lid that comes down over an eye."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.drawing.hair import smooth_hair
from portrait_server.drawing.lid_skin import build_lids
from portrait_server.drawing.plate import smooth_plate
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.geometry.face_mesh import EYES, neutral_mesh
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MESH_VERTICES

from tests.posing import blinking
from tests.server.moving import person_at

SIDE = 512
SKIN, WHITE, LASHES = (200, 150, 120), (240, 240, 240), (60, 40, 30)


@pytest.fixture(scope="module")
def mesh() -> np.ndarray:
    return neutral_mesh() * 300 + (SIDE / 2, SIDE / 2, 0)


@pytest.fixture(scope="module")
def points(mesh: np.ndarray) -> np.ndarray:
    return mesh[list(MESH_VERTICES)].astype(np.float32)


@pytest.fixture(scope="module")
def scene(mesh: np.ndarray, points: np.ndarray) -> Scene:
    """A face of one colour with white eyes and a dark line along each upper lid."""
    photo = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    for upper, lower in EYES:
        rim = np.round(mesh[[*upper, *reversed(lower)], :2]).astype(np.int32)
        cv2.fillPoly(photo, [rim], WHITE)
        cv2.polylines(photo, [np.round(mesh[list(upper), :2]).astype(np.int32)], False, LASHES, 3, cv2.LINE_AA)
    matte = np.ones((SIDE, SIDE), np.float32)
    head = build_head_mesh(points, mesh, photo, matte)
    return build_scene(
        photo, smooth_plate(photo, matte, head), matte, head, smooth_hair(photo, matte, head), (SIDE, SIDE)
    )


def test_a_shut_eye_shows_skin_and_lashes_and_no_white(scene: Scene, points: np.ndarray) -> None:
    shut = person_at(scene, blinking(points))
    for upper, lower in EYES:
        rim = scene.mesh.vertices[[*upper, *lower], :2]
        (left, top), (right, bottom) = np.floor(rim.min(0)).astype(int), np.ceil(rim.max(0)).astype(int)
        eye = shut[top - 4 : bottom + 4, left:right]
        assert eye.min(2).max() < 170  # the white of the eye has 240, skin 120 in blue
        middle = shut[(2 * top + bottom) // 3, (left + right) // 2]
        np.testing.assert_allclose(middle, SKIN, rtol=0.12)
        assert shut[bottom - 12 : bottom + 4, (left + right) // 2].sum(1).min() < 0.65 * sum(SKIN)


def test_a_lid_that_does_not_close_draws_nothing(scene: Scene) -> None:
    frames = np.stack([scene.photo] * 3)
    for lid, (upper, _) in zip(scene.lids, EYES, strict=True):
        edges = np.repeat(scene.mesh.vertices[None, list(upper)], 3, 0)
        lid.draw(OpenCV(), frames, edges, np.stack([np.eye(2)] * 3), np.array([0, -0.4, 0.05]), np.empty((3, 0, 3, 3)))
    np.testing.assert_array_equal(frames, np.stack([scene.photo] * 3))


def test_the_texture_reaches_past_the_corners_at_any_size(scene: Scene) -> None:
    for scale in (0.02, 0.5, 3.0):
        size = max(1, round(SIDE * scale))
        photo = cv2.resize(scene.photo, (size, size), interpolation=cv2.INTER_AREA)
        for lid in build_lids(photo, scene.mesh, np.full(2, scale)):
            assert lid.skin.shape[:2] == lid.lashes.shape and lid.skin.shape[1] > lid.wide
            assert lid.skin.dtype == np.uint8


def test_white_below_a_lower_lids_landmarks_is_no_line_below_a_shut_eye(mesh: np.ndarray, points: np.ndarray) -> None:
    photo = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    for upper, lower in EYES:
        wide = np.ptp(mesh[list(upper), 0])
        lids = mesh[[*upper, *reversed(lower)], :2].copy()
        lids[len(upper) + 1 : -1, 1] += 0.045 * wide
        cv2.fillPoly(photo, [np.round(lids).astype(np.int32)], WHITE)
    matte = np.ones((SIDE, SIDE), np.float32)
    head = build_head_mesh(points, mesh, photo, matte)
    scene = build_scene(
        photo, smooth_plate(photo, matte, head), matte, head, smooth_hair(photo, matte, head), (SIDE, SIDE)
    )
    shut = person_at(scene, blinking(points))
    for upper, lower in EYES:
        (left, top), (right, bottom) = mesh[[*upper, *lower], :2].min(0), mesh[[*upper, *lower], :2].max(0)
        eye = shut[int(top) - 4 : int(bottom) + 8, int(left + 8) : int(right - 8)]
        assert eye.min(2).max() < 170  # white has 240, skin 120 in blue


def test_lashes_that_stand_high_lie_down_with_their_lid(mesh: np.ndarray, points: np.ndarray, scene: Scene) -> None:
    photo = scene.photo.copy()
    for upper, _ in EYES:
        rim, wide = mesh[list(upper), :2], np.ptp(mesh[list(upper), 0])
        for at in np.linspace(1, len(rim) - 2, 13):
            root = np.array([np.interp(at, np.arange(len(rim)), rim[:, axis]) for axis in (0, 1)])
            ends = np.round([root, root - (0, 0.22 * wide)]).astype(int).tolist()
            cv2.line(photo, *ends, LASHES, 1, cv2.LINE_AA)
    lids = build_lids(photo, build_head_mesh(points, mesh, photo, np.ones((SIDE, SIDE), np.float32)), np.ones(2))
    for lid, bare in zip(lids, scene.lids, strict=True):
        assert 0.17 < lid.long < 0.3 and bare.long < 0.1

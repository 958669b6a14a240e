# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame of a shot whose head is turned a little: what it uncovers beside the head, and how its rim goes along."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait
from portrait_server.geometry.face_mesh import OVAL, VERTEX_COUNT

from tests.posing import turned

WALL = (30, 90, 220)  # no colour of the photo's
DEGREES = [-12.0, -8.0, 8.0, 12.0]


@pytest.fixture(scope="module")
def frame(astronaut: Reference) -> Reference:
    """The astronaut before a plain wall."""
    image, matte, _ = WarpEngine().person_of(astronaut)
    share = np.clip(matte, 0, 1)[..., None]
    shown = np.round(share * image[..., :3] + (1 - share) * WALL).astype(np.uint8)
    return Reference(shown, astronaut.points, astronaut.mesh478)


@pytest.fixture(scope="module")
def prepared(frame: Reference) -> WarpPortrait:
    return WarpEngine().prepare_frame(frame)


@pytest.mark.parametrize("degrees", DEGREES)
def test_nothing_of_the_person_is_left_beside_a_turned_neck(
    frame: Reference, prepared: WarpPortrait, degrees: float
) -> None:
    target = turned(frame.points, degrees)
    size = (frame.image.shape[1], frame.image.shape[0])
    (drawn,) = WarpEngine().render(prepared, target[None], size, False, np.zeros((1, 2), np.float32))
    nose, chin = (frame.points[point, 1] for point in (33, 8))
    beside = np.zeros(drawn.shape[:2], bool)
    beside[int(nose) : int(chin)] = True
    beside &= prepared.matte < 0.02
    strange = np.abs(drawn.astype(int) - WALL).max(2) > 40
    assert (strange & beside).sum() < 40


@pytest.mark.parametrize("degrees", DEGREES)
def test_the_rim_of_hair_goes_along_with_the_face(prepared: WarpPortrait, degrees: float) -> None:
    mesh = prepared.mesh
    moved = mesh.moved(mesh.pose_of(turned(mesh.points, degrees)), np.zeros((70, 2)))
    rings = [VERTEX_COUNT + ring * len(OVAL) + np.arange(len(OVAL)) for ring in (0, 6)]
    before, after = (np.linalg.norm(at[rings[1], :2] - at[rings[0], :2], axis=1) for at in (mesh.vertices, moved))
    crown = mesh.vertices[rings[1], 1] < mesh.points[27, 1]
    assert crown.sum() > 10
    assert (after / before)[crown].max() < 1.1


def test_depth_is_that_of_the_whole_head(frame: Reference, prepared: WarpPortrait) -> None:
    _, _, head = WarpEngine().person_of(frame, 384)
    np.testing.assert_array_equal(prepared.mesh.depth, head.depth)
    resting = prepared.mesh.moved(head.pose_of(head.points), np.zeros((70, 2)))
    np.testing.assert_allclose(resting[..., 2], head.depth, atol=1e-2 * head.size)


def test_what_is_uncovered_has_the_backgrounds_grain(frame: Reference) -> None:
    grain = np.random.default_rng(5).normal(0, 4, frame.image.shape)
    noisy = np.clip(frame.image + grain, 0, 255).astype(np.uint8)
    photo = WarpEngine().prepare_frame(Reference(noisy, frame.points, frame.mesh478))
    own = np.abs(noisy.astype(int) - photo.plate).max(2) == 0
    near = cv2.dilate(own.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    near[int(frame.points[8, 1]) :] = False
    fine = photo.plate - cv2.GaussianBlur(photo.plate.astype(np.float32), (0, 0), 2)
    assert (near & ~own).sum() > 1000
    assert fine[near & ~own].std() > 0.7 * fine[own].std()
    assert fine[near & ~own].std() < 1.1 * fine[own].std()
    np.testing.assert_array_equal(
        photo.plate, WarpEngine().prepare_frame(Reference(noisy, frame.points, frame.mesh478)).plate
    )

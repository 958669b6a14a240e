# SPDX-License-Identifier: GPL-3.0-or-later
"""Shoulders follow the neck, late and in part; breath lifts them; nothing is torn from the picture's edge."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.geometry.face_mesh import CHIN, OVAL, VERTEX_COUNT, neutral_mesh
from portrait_server.geometry.head_mesh import HeadMesh, build_head_mesh
from portrait_server.geometry.pose import rotation_of, vector_of
from portrait_server.geometry.torso import torso_motion
from portrait_shared.landmarks import MESH_VERTICES

from tests.posing import moved, turned

PICTURE = (400, 500)
AT = np.array([200, 130, 0])


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return (neutral_mesh() * 60 + AT)[list(MESH_VERTICES)]


@pytest.fixture(scope="module")
def mesh(points: np.ndarray) -> HeadMesh:
    picture = np.full((*PICTURE[::-1], 3), 128, np.uint8)
    return build_head_mesh(points, neutral_mesh() * 60 + AT, picture, np.ones(PICTURE[::-1], np.float32))


@pytest.fixture(scope="module")
def shoulders(mesh: HeadMesh) -> np.ndarray:
    """Vertices of the chest, a face below the chin, and left and right of it: (3, …) their numbers."""
    at = (mesh.vertices[:, :2] - mesh.vertices[CHIN, :2]) / mesh.size
    goals = np.array([[-1, 0.9], [0, 0.9], [1, 0.9]])
    return np.linalg.norm(at[None] - goals[:, None], axis=2).argmin(1)


def motion(mesh: HeadMesh, target: np.ndarray, shoulders: float = 1, breath: float = 0) -> np.ndarray:
    (found,) = torso_motion(mesh, PICTURE, mesh.pose_of(target[None]), np.array([[shoulders, breath]]))
    return found / mesh.size


def test_a_body_at_rest_does_not_move(mesh: HeadMesh, points: np.ndarray) -> None:
    assert np.abs(motion(mesh, points)).max() < 1e-6
    assert np.abs(torso_motion(mesh, PICTURE, mesh.pose_of(points[None]), None)).max() < 1e-6 * mesh.size


@pytest.mark.parametrize("turn", [{"yaw": 30}, {"yaw": -30}, {"roll": 20}, {"pitch": -20}])
def test_shoulders_follow_a_head_in_part(
    mesh: HeadMesh, points: np.ndarray, shoulders: np.ndarray, turn: dict[str, float]
) -> None:
    target = turned(points, **turn)
    found = motion(mesh, target)
    assert not found[list(OVAL)].any() and not found[mesh.vertices[:, 1] < mesh.vertices[CHIN, 1]].any()
    assert 0.005 < np.abs(found[shoulders]).max() < 0.2
    assert not motion(mesh, target, shoulders=0).any()
    assert np.linalg.norm(motion(mesh, target, shoulders=2)) > 1.5 * np.linalg.norm(found)


def test_a_turn_brings_the_chest_along_and_small_ones_do_not(
    mesh: HeadMesh, points: np.ndarray, shoulders: np.ndarray
) -> None:
    chest = [motion(mesh, turned(points, yaw=yaw))[shoulders[1], 0] for yaw in (-45, -30, -10, 10, 30, 45)]
    assert np.all(np.diff(chest) < 0), "to the picture's left with a positive yaw"
    assert abs(chest[3]) < 0.2 * abs(chest[4])


def test_shoulders_lean_with_the_head_and_go_along_with_it(
    mesh: HeadMesh, points: np.ndarray, shoulders: np.ndarray
) -> None:
    left, _, right = motion(mesh, turned(points, roll=20))[shoulders]
    assert left[1] < right[1], "clockwise, as the head"
    aside = motion(mesh, moved(points, 0.1))[shoulders[1]]
    far = motion(mesh, moved(points, 2))[shoulders[1]]
    assert 0.02 < aside[0] < 0.08 and far[0] < 0.4 and abs(aside[1]) < 1e-3
    up, down = (motion(mesh, turned(points, pitch=pitch))[shoulders[1], 1] for pitch in (-20, 20))
    assert up < down


def test_breath_lifts_the_shoulders_and_leaves_the_head(
    mesh: HeadMesh, points: np.ndarray, shoulders: np.ndarray
) -> None:
    found = motion(mesh, points, breath=1)
    assert not found[:VERTEX_COUNT].any()
    assert (found[shoulders, 1] < -0.02).all() and found[shoulders[0], 0] < 0 < found[shoulders[2], 0]
    np.testing.assert_allclose(motion(mesh, points, breath=0.5), found / 2, atol=1e-7)
    np.testing.assert_array_equal(motion(mesh, points, breath=7), found)


def test_nothing_moves_across_the_edges_of_the_picture(mesh: HeadMesh, points: np.ndarray) -> None:
    x, y = mesh.vertices[:, 0], mesh.vertices[:, 1]
    sides, bottom = (x <= 0) | (x >= PICTURE[0] - 1), y >= PICTURE[1] - 1
    assert sides.sum() > 10 and bottom.sum() > 10
    assert (sides & bottom & (x <= 0)).any() and (sides & bottom & (x > 0)).any(), "vertices in both lower corners"
    for target in (turned(points, yaw=40, roll=20), moved(points, 0.5, -0.3)):
        found = motion(mesh, target, breath=1)
        assert not found[sides, 0].any() and not found[bottom, 1].any()


def test_vectors_and_rotations() -> None:
    vectors = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 3))
    np.testing.assert_allclose(vector_of(rotation_of(vectors)), vectors, atol=1e-9)
    assert not vector_of(np.eye(3)).any()

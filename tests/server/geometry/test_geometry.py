# SPDX-License-Identifier: GPL-3.0-or-later
"""Pose, mesh, spread and raster: the numbers, on geometry whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.detectors.installed_mediapipe import brings_its_networks
from portrait_server.drawing.fill import push_pull
from portrait_server.drawing.offsets import backward_offsets
from portrait_server.geometry.face_mesh import (
    BROWS,
    EYES,
    LOWER_LIP,
    UPPER_LIP,
    VERTEX_COUNT,
    neutral_mesh,
    opening_triangles,
    skin_triangles,
)
from portrait_server.geometry.head_mesh import HeadMesh, build_head_mesh
from portrait_server.geometry.pose import fit_pose, rotation_of
from portrait_server.geometry.raster import Window
from portrait_server.geometry.reference_mesh import is_face_of, mesh_near, visible_depth, with_depth
from portrait_server.geometry.spread import spread_weights
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MESH_VERTICES, STABLE

from tests.posing import blinking, turned
from tests.server import drawn_faces

SIDE = 400


@pytest.fixture(scope="module")
def mesh() -> np.ndarray:
    """The mean face, 150 pixels tall in the middle of a picture of 400."""
    return neutral_mesh() * 150 + np.array([SIDE / 2, SIDE / 2, 0])


@pytest.fixture(scope="module")
def points(mesh: np.ndarray) -> np.ndarray:
    return mesh[list(MESH_VERTICES)].astype(np.float32)


@pytest.fixture(scope="module")
def head(mesh: np.ndarray, points: np.ndarray) -> HeadMesh:
    return build_head_mesh(points, mesh, np.full((SIDE, SIDE, 3), 128, np.uint8), np.ones((SIDE, SIDE), np.float32))


def test_pose_recovers_a_similarity() -> None:
    source = np.random.default_rng(1).normal(size=(16, 3)) * 50
    rotation = rotation_of(np.array([0.2, -0.6, 0.3]))
    target = 1.3 * source @ rotation.T + (10, -20, 5)
    pose = fit_pose(source, target)
    np.testing.assert_allclose(pose.apply(source), target, atol=1e-3)
    np.testing.assert_allclose(pose.rotation, rotation, atol=1e-5)
    assert pose.scale == pytest.approx(1.3, abs=1e-5)


@pytest.mark.parametrize("yaw", [-40, -15, 5, 30])
def test_pose_without_depth_finds_the_same_turn(points: np.ndarray, yaw: float) -> None:
    target = turned(points, yaw=yaw, pitch=8, roll=-5)
    stable = list(STABLE)
    solid, flat = fit_pose(points[stable], target[stable]), fit_pose(points[stable], target[stable, :2])
    np.testing.assert_allclose(flat.rotation, solid.rotation, atol=1e-3)
    assert flat.scale == pytest.approx(solid.scale, abs=1e-3)


def test_pose_gives_an_outlier_little_say(points: np.ndarray) -> None:
    stable = list(STABLE)
    target = turned(points, yaw=12)[stable]
    pulled = target.copy()
    pulled[0] += (40, 0, 0)
    honest, robust = fit_pose(points[stable], target), fit_pose(points[stable], pulled)
    assert np.linalg.norm(robust.apply(points[stable])[1:] - honest.apply(points[stable])[1:], axis=1).max() < 1.5


def test_mesh_is_one_sheet_with_three_openings() -> None:
    skin, openings = skin_triangles(), opening_triangles()
    assert len(skin) == 852
    assert set(skin.ravel()) == set(range(VERTEX_COUNT))
    edges: dict[tuple[int, int], int] = {}
    for triangle in np.concatenate([skin, openings]):
        for a, b in zip(triangle, np.roll(triangle, -1), strict=True):
            edges[(a, b)] = edges.get((a, b), 0) + 1
    assert max(edges.values()) == 1, "two triangles turn differently or lie on one another"
    outline = [edge for edge in edges if edge[::-1] not in edges]
    assert len(outline) == 36


def test_a_brow_moves_as_a_band(mesh: np.ndarray) -> None:
    weights = spread_weights(mesh[:VERTEX_COUNT])
    motion = np.zeros((70, 2))
    motion[17:22, 1] = -10.0
    moved = weights @ motion
    (upper, lower), (_, other) = BROWS
    assert np.allclose(moved[list(upper), 1], -10, atol=0.5)
    assert np.allclose(moved[list(lower), 1], -10, atol=0.5), "its lower edge goes with the upper one"
    assert np.abs(moved[list(other)]).max() < 1.5
    lid = list(EYES[0][0])
    assert np.abs(moved[lid]).max() < 0.01, "skin between brow and lid stretches, the lid stays"


def test_rims_follow_their_own_points_alone(mesh: np.ndarray) -> None:
    weights = spread_weights(mesh[:VERTEX_COUNT])
    motion = np.zeros((70, 2))
    motion[[37, 38], 1] = 10
    moved = weights @ motion
    upper, lower = EYES[0]
    assert moved[upper[4], 1] > 9
    assert np.abs(moved[list(lower)]).max() < 1e-9
    motion[:] = 0
    motion[[65, 66, 67, 57], 1] = 20
    moved = weights @ motion
    assert moved[LOWER_LIP[-1][5], 1] == pytest.approx(20, abs=1e-6)
    assert np.abs(moved[list(UPPER_LIP[-1])]).max() < 1e-9


def test_landmarks_arrive_where_they_are_sent(head: HeadMesh, points: np.ndarray) -> None:
    target = blinking(turned(points, yaw=15), 0.7)
    pose = head.pose_of(target)
    moved = head.moved(pose, target[:, :2] - head.posed_points(pose))
    gap = np.linalg.norm(moved[list(MESH_VERTICES[:68]), :2] - target[:68, :2], axis=1)
    assert gap[17:].max() < 0.5, "of a face of 150 pixels"
    assert gap.max() < 5, "the jaw's sides are flattened: they are hardly seen"


def test_nothing_moves_at_the_pictures_edge(head: HeadMesh, points: np.ndarray) -> None:
    target = turned(points, yaw=20, roll=10)
    pose = head.pose_of(target)
    moved = head.moved(pose, target[:, :2] - head.posed_points(pose))
    x, y = head.vertices[:, 0], head.vertices[:, 1]
    outside = (x <= 0) | (y <= 0) | (x >= SIDE - 1) | (y >= SIDE - 1)
    assert outside.any()
    np.testing.assert_allclose(moved[outside, :2], head.vertices[outside, :2], atol=1e-6)


def test_mesh_where_none_is_found_lies_on_the_points(points: np.ndarray) -> None:
    for known in (points, np.column_stack([points[:, :2], np.zeros(70)])):
        mesh = mesh_near(known, None)
        assert is_face_of(mesh, known)
        gap = np.linalg.norm(mesh[list(MESH_VERTICES)][:68, :2] - known[:68, :2], axis=1)
        assert gap.max() < 2.0
        assert np.ptp(mesh[:VERTEX_COUNT, 2]) > 50, "a face of 150 pixels is deep"


def test_a_found_mesh_takes_the_depth_that_the_points_have(mesh: np.ndarray, points: np.ndarray) -> None:
    np.testing.assert_allclose(mesh_near(points, mesh), mesh, atol=1e-3)
    prouder = points.copy()
    prouder[48:68, 2] -= 12.0
    taken = mesh_near(prouder, mesh)
    np.testing.assert_array_equal(taken[:, :2], mesh[:, :2])
    assert np.abs(taken[list(MESH_VERTICES[48:68]), 2] - prouder[48:68, 2]).max() < 1.0, "of 12 pixels"
    assert np.abs(taken[list(MESH_VERTICES[36:48]), 2] - points[36:48, 2]).max() < 1.0


def test_a_mesh_elsewhere_is_not_the_face(mesh: np.ndarray, points: np.ndarray) -> None:
    assert not is_face_of(mesh + np.array([120, 0, 0]), points)


def test_a_mesh_of_a_person_is_not_the_face_of_a_drawing_with_huge_eyes() -> None:
    points = with_depth(drawn_faces.coloured().points)
    mesh = mesh_near(points, None)
    assert is_face_of(mesh, points)
    gap = np.linalg.norm(mesh[list(MESH_VERTICES)][:68, :2] - points[:68, :2], axis=1)
    assert gap.max() < 3.0, "of a face of 130 pixels"
    a, b, c = (mesh[skin_triangles()[:, corner], :2] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    assert area[area < 0].sum() > -0.02 * area.sum(), "hardly a fold, though no face is so"
    person = neutral_mesh() * np.ptp(points[:68, 0]) + np.append(points[:68, :2].mean(0), 0)
    assert not is_face_of(person, points)


def test_hidden_skin_gets_the_depth_of_the_seen(mesh: np.ndarray) -> None:
    turn = rotation_of(np.array([0, np.radians(55), 0]))
    away = (mesh - mesh.mean(0)) @ turn.T
    flat, full = visible_depth(away), away[:VERTEX_COUNT, 2]
    changed = np.abs(flat - full) > 1
    assert 10 < changed.sum() < VERTEX_COUNT / 2
    assert not np.array_equal(visible_depth(mesh) == mesh[:VERTEX_COUNT, 2], changed)


def cells(side: int, frames: int = 1) -> Window:
    """A cell for each pixel of a square picture."""
    return Window.over(np.zeros(frames), np.zeros(frames), side, side, 1)


def test_raster_of_an_unmoved_mesh_is_still(head: HeadMesh) -> None:
    flat = head.vertices[:, :2]
    triangles = np.concatenate([head.triangles, head.openings])
    (offsets,) = backward_offsets(OpenCV(), cells(SIDE), flat, flat[None], head.depth[None], triangles)
    assert offsets.shape == (2, SIDE, SIDE)
    assert np.abs(offsets).max() < 1e-3


def test_raster_shows_the_nearer_triangle() -> None:
    source = np.array([[0, 0], [40, 0], [0, 40], [100, 0], [140, 0], [100, 40]], float)
    target = np.array([[0, 0], [40, 0], [0, 40], [0, 0], [40, 0], [0, 40]], float)
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    for near, expected in (((1, 1, 1, 9, 9, 9), 0), ((9, 9, 9, 1, 1, 1), 100)):
        depth = np.array([near], float)
        (offsets,) = backward_offsets(OpenCV(), cells(50), source, target[None], depth, triangles)
        assert offsets[0, 10, 10] == pytest.approx(expected, abs=1e-3)
        assert offsets[0, 45, 45] == 0


def test_raster_never_looks_beyond_a_squeezed_triangle() -> None:
    source = np.array([[0, 0], [40, 0], [0, 40], [40, 40]], float)
    target = np.array([[20, 0], [20.4, 0], [20, 40], [20.4, 40]], float)
    triangles = np.array([[0, 1, 2], [1, 3, 2]])
    (offsets,) = backward_offsets(OpenCV(), cells(41), source, target[None], np.zeros((1, 4)), triangles)
    rows, columns = np.nonzero(np.abs(offsets).sum(0))
    from_x = columns + offsets[0, rows, columns]
    assert len(columns)
    assert from_x.min() > -2 and from_x.max() < 42


def test_push_pull_keeps_the_known_and_continues_it() -> None:
    image = np.zeros((60, 80, 3), np.float32)
    image[:, :40], image[:, 40:] = 50, 200
    known = np.ones((60, 80), np.float32)
    known[20:40, 10:70] = 0
    filled = push_pull(image, known)
    np.testing.assert_allclose(filled[known > 0], image[known > 0], atol=1e-3)
    assert filled.min() >= 49 and filled.max() <= 201
    assert filled[30, 14, 0] < 90 < 160 < filled[30, 65, 0]


def test_the_triangles_are_those_of_mediapipes_edges() -> None:
    if brings_its_networks():
        from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION as edges
    else:
        from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarksConnections

        edges = [(edge.start, edge.end) for edge in FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION]
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    loops = {tuple(sorted((a, b, c))) for a, b in edges for c in neighbours[a] & neighbours[b]}
    beside_the_nostrils = {(49, 64, 129), (279, 294, 358)}
    assert {tuple(sorted(triangle)) for triangle in skin_triangles().tolist()} == loops - beside_the_nostrils

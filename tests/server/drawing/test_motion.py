# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch of frames is its frames: what landmarks say of one does not depend on what stands beside it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from portrait_server.drawing.hair import smooth_hair
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.plate import smooth_plate
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.geometry.alignment import aligned_transform, inverse, transform_points
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_shared.landmarks import MESH_VERTICES

from tests.posing import blinking, looking, moved, speaking, turned

SIDE = 96


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return (neutral_mesh() * 50 + (SIDE / 2, SIDE / 2, 0))[list(MESH_VERTICES)].astype(np.float32)


@pytest.fixture(scope="module")
def scene(points: np.ndarray) -> Scene:
    """A mean face on noise."""
    mesh = neutral_mesh() * 50 + (SIDE / 2, SIDE / 2, 0)
    photo = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    matte = np.ones((SIDE, SIDE), np.float32)
    head = build_head_mesh(points, mesh, photo, matte)
    return build_scene(
        photo, smooth_plate(photo, matte, head), matte, head, smooth_hair(photo, matte, head), (2 * SIDE, 2 * SIDE)
    )


@pytest.fixture(scope="module")
def targets(points: np.ndarray) -> np.ndarray:
    flat = turned(points, yaw=14)
    flat[:, 2] = 0
    return np.stack([
        turned(points, yaw=25), blinking(points), speaking(turned(points, roll=9), 0.1), points, flat,
        moved(points, 4, 1), looking(points, 0.3), points * 0.1 + 40,
    ])  # fmt: skip


def test_each_frame_of_a_batch_is_moved_as_it_would_be_alone(scene: Scene, targets: np.ndarray) -> None:
    together = motion_of(scene, targets)
    assert len(together) == len(targets)
    for number in range(len(targets)):
        alone, one = motion_of(scene, targets[number : number + 1]), together.only(slice(number, number + 1))
        for part in fields(alone):
            for a, b in _arrays(getattr(alone, part.name), getattr(one, part.name)):
                np.testing.assert_array_equal(a, b, err_msg=part.name)
    assert together.shut.tolist() == [[number == 1] * 2 for number in range(len(targets))]


def test_targets_without_depth_may_stand_beside_those_with_it(scene: Scene, targets: np.ndarray) -> None:
    assert np.array_equal(motion_of(scene, targets[4:5, :, :2]).vertices[0], motion_of(scene, targets).vertices[4])


def test_aligned_frames_of_a_batch_are_those_of_its_frames(targets: np.ndarray) -> None:
    matrices = aligned_transform(targets, 128)
    for matrix, target in zip(matrices, targets, strict=True):
        np.testing.assert_array_equal(matrix, aligned_transform(target, 128))
    there = transform_points(matrices, targets)
    np.testing.assert_allclose(transform_points(inverse(matrices), there), targets, atol=0.01)


def _arrays(a: object, b: object) -> list[tuple[np.ndarray, np.ndarray]]:
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        return [(a, b)]
    return [(getattr(a, name.name), getattr(b, name.name)) for name in fields(a)]  # type: ignore[arg-type]

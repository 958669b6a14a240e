# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames drawn many at once are those drawn one by one, and where nothing moves they are the photo."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.drawing.frame import _smooth_folds, composite, move, what_is_lacking
from portrait_server.drawing.hair import smooth_hair
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.plate import smooth_plate
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.drawing.tiles import Tiles
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.kernels.base import Patches
from portrait_server.kernels.levels import finished
from portrait_server.kernels.on_device import OnDevice
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MESH_VERTICES

from tests.posing import blinking, looking, speaking, turned
from tests.server.drawing.unlit import draw_frames

SIDE = 224
KERNELS = OpenCV()


@pytest.fixture(scope="module", params=[np.uint8, np.float32])
def scene(request: pytest.FixtureRequest) -> Scene:
    """A mean face on soft noise, all of it the person but a frame around it."""
    mesh = neutral_mesh() * 70 + (SIDE / 2, SIDE / 2, 0)
    coarse = np.random.default_rng(3).integers(0, 256, (SIDE // 8, SIDE // 8, 3))
    photo = np.kron(coarse, np.ones((8, 8, 1))).astype(request.param)
    matte = np.zeros((SIDE, SIDE), np.float32)
    matte[52:-52, 52:-52] = 1
    head = build_head_mesh(mesh[list(MESH_VERTICES)], mesh, photo, matte)
    return build_scene(
        photo, smooth_plate(photo, matte, head), matte, head, smooth_hair(photo, matte, head), (SIDE, SIDE)
    )


@pytest.fixture(scope="module")
def targets(scene: Scene) -> np.ndarray:
    points = scene.mesh.points.astype(np.float32)
    return np.stack(
        [turned(points, yaw=20), speaking(points, 0.15), looking(blinking(points, 0.3), 0.2), points * 0.01 + 90]
    )


@pytest.mark.parametrize("matte", [False, True])
def test_a_batch_is_its_frames(scene: Scene, targets: np.ndarray, matte: bool) -> None:
    motion = motion_of(scene, targets)
    together = draw_frames(KERNELS, scene, motion, matte)
    for number, frame in enumerate(together):
        (alone,) = draw_frames(KERNELS, scene, motion.only(slice(number, number + 1)), matte)
        apart = np.abs(frame.astype(int) - alone).max(-1)
        assert (apart > (1 if frame.dtype == np.uint8 else 257)).mean() < 1e-3


def test_outside_of_what_moves_lies_the_photo(scene: Scene, targets: np.ndarray) -> None:
    only_the_gaze = looking(scene.mesh.points.astype(np.float32), 0.3)
    for target in (*targets, only_the_gaze):
        moved = move(KERNELS, scene, motion_of(scene, target[None]))
        (frame,) = composite(KERNELS, scene, moved, False)
        moving = np.zeros((1, SIDE, SIDE), bool)
        for patches in moved.field.moving:
            KERNELS.laid(moving, patches, np.ones((1, patches.height, patches.width), bool))
        shown = np.abs(frame / (1 if frame.dtype == np.uint8 else 257) - scene.photo).max(-1)
        assert shown[moving[0]].max() > 5, "an eye moves between lids that do not"
        assert shown[~moving[0]].max(initial=0) < 0.01
    assert moving.mean() < 0.8, "of the last, whose eyes alone move"


def test_a_frame_is_its_person_over_the_plate_and_what_those_lack_of_the_photo(
    scene: Scene, targets: np.ndarray
) -> None:
    whole = Patches.whole(1, scene.size)
    for target in targets:
        moved = move(KERNELS, scene, motion_of(scene, target[None]))
        mixed = KERNELS.blended(moved.person, scene.plate[None], moved.alpha)
        lacking, share = what_is_lacking(KERNELS, scene, moved.field, whole)
        frame = finished(mixed if lacking is None else KERNELS.added(mixed, lacking, share))
        np.testing.assert_allclose(composite(KERNELS, scene, moved, False), frame, atol=frame.dtype == np.uint16)


def test_colours_that_are_left_where_they_were_are_never_seen(
    scene: Scene, targets: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    motions = [motion_of(scene, target[None]) for target in targets]
    moved = [move(KERNELS, scene, motion) for motion in motions]
    frames = [composite(KERNELS, scene, each, True) for each in moved]
    monkeypatch.setattr(Tiles, "near", lambda _, found, pixels: np.ones_like(found, bool))
    everywhere = [move(KERNELS, scene, motion) for motion in motions]
    assert any((one.person != other.person).any() for one, other in zip(moved, everywhere, strict=True))
    for frame, each in zip(frames, everywhere, strict=True):
        np.testing.assert_allclose(frame, composite(KERNELS, scene, each, True), atol=frame.dtype == np.uint16)


def test_folds_are_smoothed_in_parts_as_they_are_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    share = np.zeros((1, 300, 400), np.float32)
    share[0, 20:280, 30:60] = share[0, 100:130, 30:380] = rng.random()
    person, alpha = (rng.integers(0, 256, (1, 300, 400, *axes)).astype(np.uint8) for axes in ((3,), ()))
    smoothed = []
    for method in (OpenCV.scattered, OnDevice.scattered):
        monkeypatch.setattr(OpenCV, "scattered", method)
        smoothed.append((person.copy(), alpha.copy()))
        _smooth_folds(KERNELS, *smoothed[-1], share)
    for one, other, before in zip(*smoothed, (person, alpha), strict=True):
        np.testing.assert_array_equal(one, other)
        assert (one != before).any()

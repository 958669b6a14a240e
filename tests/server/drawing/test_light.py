# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that stays while a head turns."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from portrait_server.drawing.confidence import confidence
from portrait_server.drawing.frame import composite, move
from portrait_server.drawing.light import lit
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.geometry.face_light import face_light
from portrait_server.geometry.face_mesh import neutral_mesh, skin_triangles
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.geometry.pose import rotation_of
from portrait_server.geometry.reference_mesh import skin_normals
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MESH_VERTICES

_SIDE = 320
_ALONG = np.array([0.5, 0.0, 0.2])  # a lamp beside the face
_CONSTANT = 0.7


def a_face() -> np.ndarray:
    """(478, 3), pixels."""
    return neutral_mesh() * 200 + np.array([_SIDE / 2, _SIDE / 2, 0])


def a_photo(face: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of matt skin in that light."""
    photo = np.full((_SIDE, _SIDE, 3), 90, np.uint8)
    light = np.maximum(_CONSTANT + skin_normals(face[:468]) @ _ALONG, 0) * 0.4
    for corners in skin_triangles():
        level = 255 * light[corners].mean() ** (1 / 2.2)
        cv2.fillConvexPoly(photo, np.round(face[corners, :2]).astype(np.int32), (level,) * 3)
    return photo


def scene_of(image: np.ndarray) -> Scene:
    face = a_face()
    matte = np.zeros((_SIDE, _SIDE), np.float32)
    cv2.circle(matte, (_SIDE // 2, _SIDE // 2), 125, 1.0, -1)
    mesh = build_head_mesh(face[list(MESH_VERTICES)], face, image.astype(np.uint8), matte)
    return build_scene(image, image.copy(), matte, mesh, None, (_SIDE, _SIDE))


def turned(yaw: float) -> np.ndarray:
    """Landmarks (1, 70, 3) of the face, turned by degrees."""
    points = a_face()[list(MESH_VERTICES)]
    middle = points[:68].mean(0)
    return ((points - middle) @ rotation_of(np.array([0, np.radians(yaw), 0])).T + middle)[None].astype(np.float32)


def test_light_is_read_off_a_face() -> None:
    face = a_face()
    light = face_light(a_photo(face), face[:468])
    assert light is not None
    across, down, towards = light.along / light.constant
    # Less than there is: what normals hardly tell is not believed.
    assert 0.6 < across / (_ALONG[0] / _CONSTANT) < 1.1 and abs(down) < 0.05 and 0 < towards < 0.4
    turn = rotation_of(np.array([0, np.radians(20.0), 0]))
    normals = skin_normals(face[:468])
    seen = normals[:, 2] > 0.5
    exact = np.log((_CONSTANT + normals @ turn.T @ _ALONG) / (_CONSTANT + normals @ _ALONG)) / 2.2
    change = light.change(turn[None])[0]
    assert np.abs(change - exact)[seen].mean() < 0.35 * np.abs(exact)[seen].mean()
    assert (light.change(np.eye(3)[None]) == 0).all()


def test_where_no_skin_is_seen_there_is_no_light() -> None:
    face = a_face()
    assert face_light(np.zeros((_SIDE, _SIDE, 3), np.uint8), face[:468]) is None
    assert face_light(a_photo(face), face[:468] + np.array([5 * _SIDE, 0, 0])) is None


@pytest.mark.parametrize("yaw", [-20.0, 20.0])
def test_a_head_that_turns_to_the_lamp_becomes_lighter(yaw: float) -> None:
    scene, kernels = scene_of(a_photo(a_face())), OpenCV()
    motion = motion_of(scene, turned(yaw))
    before = move(kernels, scene, motion)
    colours = before.person.copy()
    after = lit(kernels, scene, before)
    middle = np.s_[0, _SIDE // 2 - 40 : _SIDE // 2 + 40, _SIDE // 2 - 40 : _SIDE // 2 + 40]
    grew = after.person[middle].astype(float).mean() - colours[middle].mean()
    faces_lamp = float(motion.pose.rotation[0] @ np.array([0, 0, 1.0]) @ _ALONG) > _ALONG[2]
    assert (grew > 3) == faces_lamp and (grew < -3) != faces_lamp, grew


def test_light_is_no_paint() -> None:
    scene, kernels = scene_of(a_photo(a_face())), OpenCV()
    moved = move(kernels, scene, motion_of(scene, turned(20.0)))
    plain = confidence(kernels, scene, lit(kernels, scene, moved))
    drafted = replace(moved, person=moved.person.copy(), draft=moved.person.copy())
    assert np.abs(confidence(kernels, scene, lit(kernels, scene, drafted)) - plain).max() < 0.02


def test_a_head_at_rest_keeps_its_colours_and_deep_photos_are_lit_alike() -> None:
    photo, kernels = a_photo(a_face()), OpenCV()
    scene = scene_of(photo)
    resting = move(kernels, scene, motion_of(scene, turned(0.0)))
    colours = resting.person.copy()
    assert (lit(kernels, scene, resting).person == colours).all()
    deep = scene_of(photo.astype(np.float32))
    frames = []
    for shown in (scene, deep):
        moved = lit(kernels, shown, move(kernels, shown, motion_of(shown, turned(15.0))))
        frames.append(composite(kernels, shown, moved, matte=True).astype(float))
    assert np.abs(frames[0] - frames[1] / 257).max() <= 2

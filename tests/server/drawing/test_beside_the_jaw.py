# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock of hair beside the jaw that the matte misses stays whole while its owner speaks, and goes when the head does."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from portrait_server.drawing.hair import smooth_hair
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.geometry.face_mesh import OVAL, neutral_mesh, outline
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.kernels.base import Kernels
from portrait_server.kernels.on_device import OnDevice
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MESH_VERTICES, STABLE

from tests.posing import speaking, turned
from tests.server.drawing.unlit import draw_frames

SIDE = 512
SKIN, WALL, HAIR = (200, 150, 120), (210, 215, 220), (30, 25, 20)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A plain face before a plain wall, a dark lock on the wall beside either side of its jaw."""
    mesh = neutral_mesh() * 170 + (SIDE / 2, SIDE / 2, 0)
    face = face_of(mesh)
    photo = np.where(face[..., None], SKIN, WALL).astype(np.uint8)
    photo[lock(mesh)] = HAIR
    matte = face.astype(np.float32)
    head = build_head_mesh(mesh[list(MESH_VERTICES)], mesh, photo, matte)
    plate = np.full_like(photo, WALL)
    return build_scene(photo, plate, matte, head, smooth_hair(photo, matte, head), (SIDE, SIDE))


def face_of(mesh: np.ndarray) -> np.ndarray:
    """Where (H, W) a face is: bool."""
    filled = np.zeros((SIDE, SIDE), np.uint8)
    return cv2.fillPoly(filled, [np.round(outline(mesh[:, :2], 1.0)).astype(np.int32)], 1) > 0


def lock(mesh: np.ndarray) -> np.ndarray:
    """Where (H, W) the locks are: a band along the jaw, some pixels away from it."""
    away = cv2.distanceTransform((~face_of(mesh)).astype(np.uint8), cv2.DIST_L2, 3)
    rows = np.arange(SIDE)[:, None]
    oval = mesh[list(OVAL), 1]
    beside = (rows > oval.mean()) & (rows < oval.mean() + 0.6 * (oval.max() - oval.mean()))
    return (away > 6) & (away < 16) & beside


def spoken(scene: Scene, opened: float) -> np.ndarray:
    """Its points (70, 3) with the mouth open by so many face sizes, the head at rest."""
    points = scene.mesh.points.astype(np.float32)
    target = speaking(points, opened)
    target[list(STABLE)] = points[list(STABLE)]
    return target


def hair_beside(scene: Scene, frame: np.ndarray) -> float:
    """How much hair a frame shows around the jaw, against the photo."""
    around = cv2.dilate(lock(scene.mesh.vertices).astype(np.uint8), np.ones((61, 21), np.uint8)) > 0
    there, before = (
        (SKIN[0] - picture[around, 0].astype(float)).clip(0, None).sum() for picture in (frame, scene.photo)
    )
    return float(there / before)


@pytest.mark.parametrize("kernels", [OpenCV(), OnDevice(torch.device("cpu"))], ids=["processor", "device"])
def test_speech_leaves_a_lock_and_moves_it_softly(scene: Scene, kernels: Kernels) -> None:
    placed = scene.placed(kernels)
    motion = motion_of(placed, np.stack([spoken(scene, opened) for opened in (0.05, 0.1, 0.2)]))
    assert np.abs(motion.carried).max() < 1, "the head rests"
    beside = lock(scene.mesh.vertices)
    for number in range(len(motion)):
        (frame,) = np.asarray(draw_frames(kernels, placed, motion.only(slice(number, number + 1)), matte=False))
        assert 0.9 < hair_beside(scene, frame) < 1.1
        assert np.abs(frame.astype(int) - scene.photo)[beside].mean() > 1, "it is pulled along"


def test_a_head_that_goes_leaves_no_lock_behind(scene: Scene) -> None:
    scene = replace(scene, back_side=None)
    motion = motion_of(scene, turned(scene.mesh.points, yaw=10)[None])
    (frame,) = draw_frames(OpenCV(), scene, motion, matte=False)
    assert hair_beside(scene, frame) < 0.1

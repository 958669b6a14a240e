# SPDX-License-Identifier: GPL-3.0-or-later
"""The far outline of a turned face, in frames whose motion is drawn on a coarser grid: as smooth as the mesh itself."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.geometry.face_mesh import OVAL, VERTEX_COUNT, neutral_mesh, outline, skin_triangles
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.kernels.base import Kernels
from portrait_server.kernels.on_device import OnDevice
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MESH_VERTICES

from tests.posing import turned
from tests.server.drawing.unlit import draw_frames

SKIN, WALL, HAIR = (200, 150, 120), (210, 215, 220), (30, 25, 20)
PROCESSOR, DEVICE = OpenCV(), OnDevice(torch.device("cpu"))


def scene_of(side: int) -> Scene:
    """A plain face in dark hair before a plain wall."""
    mesh = neutral_mesh() * side / 3.5 + (side / 2, side / 2, 0)
    matte, photo = np.zeros((side, side), np.uint8), np.full((side, side, 3), WALL, np.uint8)
    for times, colour in ((1.25, HAIR), (1.0, SKIN)):
        shape = [np.round(outline(mesh[:, :2], times)).astype(np.int32)]
        cv2.fillPoly(photo, shape, colour)
        cv2.fillPoly(matte, shape, 1)
    share = matte.astype(np.float32)
    head = build_head_mesh(mesh[list(MESH_VERTICES)], mesh, photo, share)
    return build_scene(photo, np.full_like(photo, WALL), share, head, None, (side, side))


def left_end(mesh: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where a face's mesh (468, 2) begins in rows of a frame, pixels."""
    found = np.full(len(rows), np.inf)
    for pair in (0, 1), (1, 2), (2, 0):
        for one, other in skin_triangles()[:, pair]:
            (x, y), (to_x, to_y) = sorted((mesh[one], mesh[other]), key=lambda place: place[1])
            on = (rows >= y) & (rows <= to_y) & (to_y > y)
            found[on] = np.minimum(found[on], x + (rows[on] - y) * (to_x - x) / (to_y - y))
    return found


@pytest.mark.parametrize(("side", "kernels"), [(1024, PROCESSOR), (2048, PROCESSOR), (1024, DEVICE)])
def test_a_far_cheek_ends_where_its_mesh_does_without_steps_and_without_a_rim(side: int, kernels: Kernels) -> None:
    scene = scene_of(side)
    motion = motion_of(scene, turned(scene.mesh.points, yaw=30)[None])
    (frame,) = np.asarray(draw_frames(kernels, scene.placed(kernels), motion, matte=False))
    face = motion.vertices[0, :VERTEX_COUNT, :2]
    top, height = face[list(OVAL), 1].min(), np.ptp(face[list(OVAL), 1])
    rows, middle = np.arange(int(top + 0.35 * height), int(top + 0.75 * height)), int(face[:, 0].mean())
    blue, wall, skin = frame[rows, :middle, 2].astype(float), WALL[2], SKIN[2]
    ends = middle - ((wall - blue) / (wall - skin)).clip(0, 1).sum(1)
    assert (ends - left_end(face, rows)).std() < 0.25  # pixels; measured 0.18, and steps of cells had 0.5 and 0.95
    assert skin - blue.min(1).mean() < 1.5, "between cheek and wall lies no hair"  # levels; 0.3, and had 9 and 3

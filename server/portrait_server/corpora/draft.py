# SPDX-License-Identifier: GPL-3.0-or-later
"""The draft: what geometry alone makes of the first reference, which the networks then mend.

The engine moves the head within its photo, where all else keeps its place, and cuts the target's aligned frame out
of that. So here the reference is wider than its aligned frame.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from portrait_shared.landmarks import GROUPS

from portrait_server.drawing.frame import aligned_draft, move
from portrait_server.drawing.hair import smooth_hair
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.plate import smooth_plate
from portrait_server.drawing.scene import build_scene
from portrait_server.geometry.alignment import compose, inverse, transform_points
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.geometry.reference_mesh import mesh_near
from portrait_server.kernels.opencv import OpenCV

_OPENINGS: Final = ("right_eye", "left_eye", "inner_lip")
_OPENING_RIM: Final = 0.01  # of the side


def margin(side: int) -> int:
    """By how many pixels a wide frame reaches beyond an aligned frame of `side` pixels, on every side."""
    return side // 4


def widened(matrix: np.ndarray, side: int) -> np.ndarray:
    """The affine (2, 3) into a wide frame, from that into the aligned one."""
    return matrix + np.array([[0, 0, margin(side)], [0, 0, margin(side)]], np.float32)


def wide_side(side: int) -> int:
    """Of the wide frame, pixels."""
    return side + 2 * margin(side)


def middle(wide: np.ndarray) -> np.ndarray:
    """The aligned frame (S, S, …) in a wide one."""
    around = wide.shape[0] // 6
    return np.ascontiguousarray(wide[around:-around, around:-around])


def draw_draft(
    wide: np.ndarray,
    matte: np.ndarray,
    points: np.ndarray,
    mesh: np.ndarray | None,
    target_points: np.ndarray,
    to_target: np.ndarray,
) -> np.ndarray:
    """A reference moved to a target's landmarks as the engine `warp` does it: (S, S, 4) uint8, colours and matte, in the
    target's aligned frame.

    Args:
        wide: (W, W, 3) uint8, the reference in its wide frame; matte (W, W) uint8, the person.
        points: (70, 3) of the reference, pixels of its aligned frame.
        mesh: (478, 3) MediaPipe's, pixels of the aligned frame; None for the mean face laid on the points.
        target_points: (70, 3) pixels of the target's aligned frame.
        to_target: (2, 3) from the reference's aligned frame to the target's, for what keeps its place.
    """
    size = wide.shape[0]
    around = size // 6
    step = np.array([around, around, 0])
    placed = points.astype(float) + step
    alpha = matte.astype(np.float32) / 255
    head = build_head_mesh(placed, mesh_near(placed, None if mesh is None else mesh + step), wide, alpha)
    plate, hair = smooth_plate(wide, alpha, head), smooth_hair(wide, alpha, head)
    scene = build_scene(wide, plate, alpha, head, hair, (size, size))
    goal = transform_points(inverse(to_target), target_points) + step
    kernels = OpenCV()
    moved = move(kernels, scene, motion_of(scene, goal[None].astype(np.float32)))
    back = np.array([[1, 0, -around], [0, 1, -around]], np.float32)
    to_frame, side = compose(to_target, back), size - 2 * around
    (picture,) = aligned_draft(kernels, scene, moved, to_frame[None], side)
    return picture


def away_from_openings(points: np.ndarray, side: int) -> np.ndarray:
    """(side, side) uint8: 0 between the lids and between the lips of landmarks (70, 2 or 3), 255 elsewhere.

    What shows there is not carried by the field of motion: eyeballs and teeth are drawn by themselves.
    """
    carried = np.full((side, side), 255, np.uint8)
    for name in _OPENINGS:
        cv2.fillPoly(carried, [np.round(points[list(GROUPS[name]), :2]).astype(np.int32)], 0)
    rim = 2 * max(1, round(_OPENING_RIM * side)) + 1
    return cv2.erode(carried, np.ones((rim, rim), np.uint8))

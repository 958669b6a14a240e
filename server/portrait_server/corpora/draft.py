# SPDX-License-Identifier: GPL-3.0-or-later
"""The draft: what geometry alone makes of the first reference, which the networks then mend.

The engine moves the head within its photo, where all else keeps its place, and cuts the target's aligned frame out
of that. So here the reference is wider than its aligned frame.
"""

from __future__ import annotations

import numpy as np

from portrait_server.engines.warp_frame import draw_frame
from portrait_server.engines.warp_scene import build_scene
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.geometry.reference_mesh import mesh_near
from portrait_server.networks.alignment import compose, crop, inverse, transform_points


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
    """A reference moved to a target's landmarks as the engine `warp` does it, in the target's aligned frame.

    Args:
        wide: (W, W, 3) uint8, the reference in its wide frame; matte (W, W) uint8, the person.
        points: (70, 3) of the reference, pixels of its aligned frame.
        mesh: (478, 3) MediaPipe's, pixels of the aligned frame; None for the mean face laid on the points.
        target_points: (70, 3) pixels of the target's aligned frame.
        to_target: (2, 3) from the reference's aligned frame to the target's, for what keeps its place.

    Returns:
        (S, S, 4) uint8: colours, and the matte.
    """
    size = wide.shape[0]
    around = size // 6
    step = np.array([around, around, 0])
    placed = points.astype(float) + step
    head = build_head_mesh(placed, mesh_near(placed, None if mesh is None else mesh + step), size, size)
    scene = build_scene(wide, matte.astype(np.float32) / 255, head, (size, size))
    goal = transform_points(inverse(to_target), target_points) + step
    drawn = draw_frame(scene, goal.astype(np.float32), matte=True)
    back = np.array([[1, 0, -around], [0, 1, -around]], np.float32)
    return crop(drawn, compose(to_target, back), size - 2 * around)

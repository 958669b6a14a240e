# SPDX-License-Identifier: GPL-3.0-or-later
"""The draft: what geometry alone makes of the first reference, which the networks then mend."""

from __future__ import annotations

import numpy as np

from portrait_server.engines.warp_frame import draw_frame
from portrait_server.engines.warp_scene import build_scene
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.geometry.reference_mesh import mesh_near


def draw_draft(
    image: np.ndarray, matte: np.ndarray, points: np.ndarray, mesh: np.ndarray | None, target_points: np.ndarray
) -> np.ndarray:
    """A reference moved to a target's landmarks as the engine `warp` does it.

    Args:
        image: (S, S, 3) uint8, in its aligned frame.
        matte: (S, S) uint8, the person.
        points, target_points: (70, 3) pixels of the aligned frames.
        mesh: (478, 3) MediaPipe's, pixels of the aligned frame; None for the mean face laid on the points.

    Returns:
        (S, S, 4) uint8: colours, and the matte.
    """
    side = image.shape[0]
    head = build_head_mesh(points.astype(float), mesh_near(points, mesh), side, side)
    scene = build_scene(image, matte.astype(np.float32) / 255, head, (side, side))
    return draw_frame(scene, target_points, matte=True)

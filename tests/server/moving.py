# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame of a scene on the processor, for tests that look at a single one."""

from __future__ import annotations

import numpy as np
from portrait_server.drawing.frame import Moved, move
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.scene import Scene
from portrait_server.kernels.opencv import OpenCV


def moved_to(scene: Scene, target: np.ndarray) -> Moved:
    """The scene's person at target points (70, 2 or 3)."""
    return move(OpenCV(), scene, motion_of(scene, target[None]))


def person_at(scene: Scene, target: np.ndarray) -> np.ndarray:
    """Its colours (H, W, 3 or 4)."""
    return moved_to(scene, target).person[0]

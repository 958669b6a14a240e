# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks of a face whose mouth and lids are where a test wants them."""

from __future__ import annotations

import numpy as np
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_shared.landmarks import MESH_VERTICES

_LOWER = [55, 56, 57, 58, 59, 65, 66, 67, 6, 7, 8, 9, 10]


def face(mouth: float = 0.0, lids: float = 0.0, at: tuple[float, float] = (320, 240), size: float = 200) -> np.ndarray:
    """A face (70, 3), its lower lip and chin lower by a part of its size, and both upper lids."""
    points = neutral_mesh()[list(MESH_VERTICES)].astype(np.float32)
    points[_LOWER, 1] += mouth
    points[[37, 38, 43, 44], 1] += lids
    return points * np.float32(size) + np.float32([*at, 0])

# SPDX-License-Identifier: GPL-3.0-or-later
"""A head's mesh: cheeks lie farther back than a detector has them, and landmarks where it has them."""

from __future__ import annotations

import numpy as np
from portrait_server.geometry.face_mesh import CHEEKS, OVAL, VERTEX_COUNT, neutral_mesh
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_shared.landmarks import MESH_VERTICES

_WIDTH = 200.0
_OUTER_CHEEKS = (50, 187, 280, 411)
_NOSTRILS = (75, 79, 166, 305, 309, 392)


def test_cheeks_lie_farther_back_and_landmarks_stay() -> None:
    mesh = neutral_mesh() * _WIDTH + (256.0, 256.0, 0.0)
    image, matte = np.full((512, 512, 3), 128, np.uint8), np.ones((512, 512), np.float32)
    head = build_head_mesh(mesh[list(MESH_VERTICES)], mesh, image, matte)
    behind = (head.depth[:VERTEX_COUNT] - mesh[:VERTEX_COUNT, 2]) / _WIDTH
    assert behind[list(_OUTER_CHEEKS)].min() > 0.015
    assert behind[list(CHEEKS)].min() > 0.005
    assert np.abs(behind[[*MESH_VERTICES[:68], *OVAL, *_NOSTRILS]]).max() < 1e-6

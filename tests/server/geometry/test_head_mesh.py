# SPDX-License-Identifier: GPL-3.0-or-later
"""A head's mesh: cheeks lie farther back than a detector has them, and landmarks where it has them; beside a cheek
that a photo hides the head ends in a round line."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.geometry.face_mesh import CHEEKS, CHIN, OVAL, SIDES, VERTEX_COUNT, neutral_mesh
from portrait_server.geometry.head_body import BACK_RINGS, FRONT_RINGS
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.geometry.pose import rotation_of
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


@pytest.mark.parametrize("yaw", [-40, 40])
def test_nothing_is_drawn_out_beside_a_hidden_jaw_and_the_head_ends_round_there(yaw: float) -> None:
    turn = rotation_of(np.array([0, np.radians(yaw), 0]))
    mesh = neutral_mesh() * _WIDTH @ turn.T + (256.0, 256.0, 0.0)
    # The face alone, with nothing beside it and below its chin.
    hull = cv2.convexHull(np.round(mesh[:VERTEX_COUNT, :2]).astype(np.int32))
    matte = cv2.fillConvexPoly(np.zeros((512, 512), np.float32), hull, 1.0)
    image = np.full((512, 512, 3), 128, np.uint8)
    head = build_head_mesh(mesh[list(MESH_VERTICES)], mesh, image, matte)
    half_width = np.linalg.norm(mesh[SIDES[1]] - mesh[SIDES[0]]) / 2
    outline, count = head.vertices[list(OVAL)], len(OVAL)
    depth = head.body.vertices[: (FRONT_RINGS + BACK_RINGS) * count, 2].reshape(-1, count) / half_width
    rim, end = depth[FRONT_RINGS - 1] - outline[:, 2] / half_width, depth[-1]
    at = list(OVAL).index(CHIN)
    assert rim[at - 1 : at + 2].max() < 0.1
    jaw, (hidden, shown) = (slice(11, 15), (8, 28)) if yaw < 0 else (slice(22, 26), (28, 8))
    assert rim[jaw].max() < 0.1
    assert end[hidden] < end[shown] - 0.3, "beside the ears"

# SPDX-License-Identifier: GPL-3.0-or-later
"""How far landmarks over bone are believed when they move by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.drawing.noise import steadied
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_shared.landmarks import GROUPS, MESH_VERTICES

from tests.posing import turned

SIZE = 200.0
BRIDGE, NOSTRILS, JAW = (list(GROUPS[name]) for name in ("nose_bridge", "nose_base", "jaw"))
LIPS = [*GROUPS["outer_lip"], *GROUPS["inner_lip"]]


def believed(own: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Own motion (70, 2) of a mean face that lies turned in the picture, by degrees."""
    face = turned((neutral_mesh() * SIZE)[list(MESH_VERTICES)], roll=roll)[:, :2]
    return steadied(own[None], (face[45] - face[36])[None], np.array([SIZE]))[0]


@pytest.mark.parametrize("points", [BRIDGE, NOSTRILS])
def test_a_nose_that_trembles_stays_and_one_that_is_moved_moves(points: list[int]) -> None:
    own = np.zeros((70, 2))
    for far, least, most in ((0.5, 0.0, 0.3), (12.0, 0.9, 1.0)):
        own[points] = (0.6 * far, 0.8 * far)
        share = np.linalg.norm(believed(own)[points], axis=-1) / far
        assert (share >= least).all() and (share <= most).all()
    others = np.setdiff1d(np.arange(70), points)
    assert not believed(own)[others].any()


@pytest.mark.parametrize("roll", [0.0, 90.0, -30.0])
def test_a_jaw_and_a_mouth_tremble_sideways_alone_however_the_head_lies(roll: float) -> None:
    face = turned((neutral_mesh() * SIZE)[list(MESH_VERTICES)], roll=roll)[:, :2]
    across = (face[45] - face[36]) / np.linalg.norm(face[45] - face[36])
    axes = np.stack([across, [-across[1], across[0]]])
    for points in (JAW, LIPS):
        sideways, down = np.zeros((70, 2)), np.zeros((70, 2))
        sideways[points], down[points] = 0.5 * axes[0], 0.5 * axes[1]
        assert (np.linalg.norm(believed(sideways, roll)[points], axis=-1) < 0.1).all()
        np.testing.assert_allclose(believed(down, roll), down, atol=1e-9)
        far = 24 * sideways
        assert (np.linalg.norm((believed(far, roll) - far)[points], axis=-1) < 1.2).all()


def test_a_mouth_keeps_its_shape_and_every_point_keeps_its_way_down() -> None:
    own = np.random.default_rng(0).normal(0, 2, (70, 2))
    steady = believed(own)
    np.testing.assert_allclose(np.diff(steady[LIPS], axis=0), np.diff(own[LIPS], axis=0), atol=1e-9)
    kept = [i for i in range(70) if i not in (*BRIDGE, *NOSTRILS, *JAW, *LIPS)]
    np.testing.assert_array_equal(steady[kept], own[kept])

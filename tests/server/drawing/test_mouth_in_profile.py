# SPDX-License-Identifier: GPL-3.0-or-later
"""A mouth in profile: of its opening the half that is seen, between the landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.drawing.opening import nearer_half, of_half
from portrait_server.geometry.face_mesh import MOUTH, neutral_mesh
from portrait_shared.landmarks import MESH_VERTICES

from tests import posing

_SEEN = {85.0: (64, 63, 62), -85.0: (60, 61, 62)}  # corner, beside the middle, middle


def rims(yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower, (11, 3) pixels, of a mean head turned by degrees, positive to the picture's left."""
    mesh = posing.turned(neutral_mesh() * 300, yaw)
    upper, lower = (mesh[list(rim)] for rim in MOUTH)
    return upper, lower


@pytest.mark.parametrize("yaw", [-60.0, -30.0, 0.0, 45.0, 60.0])
def test_a_mouth_whose_corners_are_both_seen_is_whole(yaw: float) -> None:
    upper, lower = rims(yaw)
    assert nearer_half(upper, lower) is None
    assert of_half(upper[..., :2], None) is not None and np.array_equal(of_half(upper[..., :2], None), upper[..., :2])


@pytest.mark.parametrize("yaw", [-85.0, 85.0])
def test_of_one_in_profile_the_nearer_half_is_drawn(yaw: float) -> None:
    upper, lower = rims(yaw)
    half = nearer_half(upper, lower)
    assert half is not None
    seen = {MESH_VERTICES[point] for point in _SEEN[yaw]}
    assert {MOUTH[0][place] for place in half} == seen
    assert min(upper[list(half), 2]) <= min(upper[0, 2], upper[10, 2])
    part = of_half(upper[None, :, :2], half)
    assert part.shape == (1, 11, 2)
    np.testing.assert_allclose(part[0, [0, -1]], upper[[half[0], half[-1]], :2])
    assert (np.diff(part[0] @ (part[0, -1] - part[0, 0])) > 0).all(), "from one end to the other"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Movements add up, scale with the face, and go where their names say."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_shared.expressions import MOVEMENTS, offsets
from portrait_shared.landmarks import MIRROR


@pytest.fixture
def face() -> np.ndarray:
    """A symmetric face of plain proportions, looking at the viewer."""
    points = np.zeros((70, 3))
    points[0:17, 0] = 50 + 45 * np.sin(np.linspace(-np.pi / 2, np.pi / 2, 17))
    points[0:17, 1] = 50 + 50 * np.cos(np.linspace(-np.pi / 2, np.pi / 2, 17))
    points[17:22] = np.linspace((12, 35, 0), (42, 33, 0), 5)
    points[22:27] = np.linspace((58, 33, 0), (88, 35, 0), 5)
    points[27:31] = np.linspace((50, 42, 0), (50, 62, -15), 4)
    points[31:36] = np.linspace((40, 68, 0), (60, 68, 0), 5)
    points[36:42] = [(20, 45, 0), (27, 41, 0), (33, 41, 0), (40, 45, 0), (33, 48, 0), (27, 48, 0)]
    points[42:48] = [(60, 45, 0), (67, 41, 0), (73, 41, 0), (80, 45, 0), (73, 48, 0), (67, 48, 0)]
    points[48:60] = [(35, 80, 0), (40, 77, 0), (46, 76, 0), (50, 77, 0), (54, 76, 0), (60, 77, 0),
                     (65, 80, 0), (60, 84, 0), (54, 85, 0), (50, 86, 0), (46, 85, 0), (40, 84, 0)]  # fmt: skip
    points[60:68] = [
        (37, 80, 0),
        (45, 79, 0),
        (50, 79, 0),
        (55, 79, 0),
        (63, 80, 0),
        (55, 81, 0),
        (50, 81, 0),
        (45, 81, 0),
    ]
    points[68:] = [(30, 45, 0), (70, 45, 0)]
    return points


def test_no_movement_moves_nothing(face: np.ndarray) -> None:
    assert not offsets(face, {}).any()


def test_movements_add_up_and_scale(face: np.ndarray) -> None:
    both = offsets(face, {"jaw_open": 0.5, "smile": 1.0})
    assert np.allclose(both, 0.5 * offsets(face, {"jaw_open": 1}) + offsets(face, {"smile": 1}))
    assert np.allclose(offsets(face * 3, {"jaw_open": 1}), 3 * offsets(face, {"jaw_open": 1}))


def test_a_blink_shuts_its_own_eye_only(face: np.ndarray) -> None:
    shut = face + offsets(face, {"blink_right": 1})
    assert np.allclose(shut[[37, 38]], shut[[41, 40]])
    assert np.allclose(shut[42:48], face[42:48])


def test_the_jaw_opens_the_mouth_and_lowers_the_chin(face: np.ndarray) -> None:
    moved = face + offsets(face, {"jaw_open": 1})
    assert moved[66, 1] - moved[62, 1] > 5 * (face[66, 1] - face[62, 1])
    assert moved[8, 1] > face[8, 1] and np.allclose(moved[27:48], face[27:48])


def test_directions(face: np.ndarray) -> None:
    assert offsets(face, {"gaze_side": 1})[68, 0] > 0 > offsets(face, {"gaze_up": 1})[68, 1]
    assert offsets(face, {"brows_raise": 1})[19, 1] < 0 < offsets(face, {"brows_lower": 1})[21, 1]
    smile = offsets(face, {"smile": 1})
    assert smile[48, 0] < 0 < smile[54, 0] and smile[48, 1] < 0
    assert (offsets(face, {"pucker": 1})[48:68, 2] < 0).all(), "puckered lips come nearer: smaller z"


@pytest.mark.parametrize("name", sorted(set(MOVEMENTS) - {"gaze_side", "blink_right", "blink_left"}))
def test_movements_are_symmetric(face: np.ndarray, name: str) -> None:
    moved = offsets(face, {name: 1})
    assert np.allclose(moved[list(MIRROR)] * (-1, 1, 1), moved, atol=1e-9)


def test_a_movement_that_does_not_exist_is_refused(face: np.ndarray) -> None:
    with pytest.raises(KeyError):
        offsets(face, {"wiggle_ears": 1})

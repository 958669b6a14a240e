# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a head ends, told from a matte: at its hair and its ears, and not at a shoulder beside its jaw."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.geometry.head_outline import rim_of

LINES = 36
MIDDLE = np.array([100.0, 100.0])
RADIUS = 40.0
GAP = 4.0  # pixels
ANGLES = 2 * np.pi * np.arange(LINES) / LINES
ARM = RADIUS * np.column_stack([np.sin(ANGLES), -np.cos(ANGLES)])
EAR, JAW = 9, 13  # lines to the right, and down to the right


@pytest.fixture
def matte() -> np.ndarray:
    """A round head that reaches to 1.2 of the outline."""
    y, x = np.mgrid[0:200, 0:200]
    return (np.hypot(x - MIDDLE[0], y - MIDDLE[1]) < 1.2 * RADIUS).astype(np.float32)


def along(first: float, last: float, line: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what lies around a line between two multiples of the outline."""
    rings, sides = np.meshgrid(np.linspace(first, last, 60), np.linspace(-0.08, 0.08, 20))
    angle = ANGLES[line] + sides
    place = MIDDLE + RADIUS * rings[..., None] * np.stack([np.sin(angle), -np.cos(angle)], -1)
    x, y = np.round(place).astype(int).reshape(-1, 2).T
    return y, x


def test_a_head_ends_where_its_matte_does(matte: np.ndarray) -> None:
    for reach in rim_of(MIDDLE, ARM, matte, GAP):
        np.testing.assert_allclose(reach, 1.2, atol=0.03)


def test_a_shoulder_beyond_a_jaw_that_lies_beside_the_person_is_no_head(matte: np.ndarray) -> None:
    matte[along(0.9, 1.5, JAW)] = 0
    matte[along(1.5, 2.3, JAW)] = 1
    assert rim_of(MIDDLE, ARM, matte, GAP)[0][JAW] < 1.05


def test_an_ear_reaches_as_far_as_it_is_seen_and_the_skull_behind_it_does_not(matte: np.ndarray) -> None:
    matte[along(1.1, 1.38, EAR)] = 1
    rim, skull = rim_of(MIDDLE, ARM, matte, GAP)
    assert 1.34 < rim[EAR] < 1.42
    np.testing.assert_allclose(skull, 1.2, atol=0.03)


def test_a_lock_that_flies_far_off_moves_its_line_a_little(matte: np.ndarray) -> None:
    matte[along(1.1, 2.1, EAR)] = 1
    assert rim_of(MIDDLE, ARM, matte, GAP)[0][EAR] < 1.5

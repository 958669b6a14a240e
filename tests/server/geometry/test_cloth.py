# SPDX-License-Identifier: GPL-3.0-or-later
"""A veil over hair, or a turban's end, is no skin, whatever its colour; an ear beyond hair is."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.geometry.cloth import Cloth
from portrait_server.geometry.hair import HairColour
from portrait_server.geometry.head_outline import kinds_along, without_tails

LINES = 36
MIDDLE = np.array([150.0, 150.0])
RADIUS = 60.0
ANGLES = 2 * np.pi * np.arange(LINES) / LINES
ARM = RADIUS * np.column_stack([np.sin(ANGLES), -np.cos(ANGLES)])
DOWN = -np.cos(ANGLES)
SKIN, HAIR, VEIL = (205, 160, 140), (40, 28, 22), (190, 160, 125)
COLOUR = HairColour.of(np.array([[SKIN, HAIR]], np.uint8), np.zeros((1, 2)), np.array([[1, 0]]))
Y, X = np.mgrid[0:300, 0:300]
RING = np.hypot(X - MIDDLE[0], Y - MIDDLE[1]) / RADIUS
COSINE = (Y - MIDDLE[1]) / np.maximum(RING * RADIUS, 1e-6)
HAIRY = (RING > 1) & (COSINE < 0.6)


@pytest.fixture
def picture() -> np.ndarray:
    """A face with hair around it, down to the jaw."""
    image = np.full((300, 300, 3), SKIN, np.uint8)
    image[HAIRY] = HAIR
    return image


def cloth_in(picture: np.ndarray, rim: np.ndarray) -> Cloth:
    return Cloth.of(picture, COLOUR, MIDDLE, ARM, rim, rim, DOWN)


def at(ring: float) -> np.ndarray:
    return MIDDLE + ring * ARM


def test_hair_alone_is_no_cloth(picture: np.ndarray) -> None:
    assert not cloth_in(picture, np.full(LINES, 2.0)).there.any()


def test_a_veil_beyond_hair_is_cloth_and_neither_hair_nor_face_is(picture: np.ndarray) -> None:
    assert COLOUR.skin_share(np.array(VEIL)[None])[0] > 0.9, "by its colour alone it would be skin"
    picture[HAIRY & (RING > 1.4)] = VEIL
    rim = np.full(LINES, 1.8)
    cloth = cloth_in(picture, rim)
    covered = DOWN < 0.5
    assert (cloth.at(at(1.6))[covered] > 0.9).all()
    for ring in (0.9, 1.2, 1.9):
        assert (cloth.at(at(ring)) < 0.1).all()
    assert (cloth.at(at(1.6))[DOWN > 0.75] < 0.1).all(), "the neck is skin"


def test_an_ear_beyond_hair_is_skin(picture: np.ndarray) -> None:
    picture[(RING > 1.15) & (RING < 1.5) & (np.abs(COSINE) < 0.25)] = SKIN
    assert not cloth_in(picture, np.full(LINES, 1.6)).there.any()


def test_lines_over_a_veil_are_not_bare(picture: np.ndarray) -> None:
    veiled = picture.copy()
    veiled[HAIRY & (RING > 1.2)] = VEIL
    face, rim = np.zeros((468, 3)), np.full(LINES, 1.8)
    face[:, :2] = MIDDLE
    for shown in (picture, veiled):
        _, _, bare, hairy = kinds_along(shown, face, MIDDLE, ARM, rim, DOWN)
        assert (bare[DOWN < 0.5] < 0.05).all()
        assert (hairy[DOWN < 0.5] > 0.95).all(), "it hangs as hair does"


def test_a_head_ends_before_cloth_that_hangs_beside_it(picture: np.ndarray) -> None:
    beside = (MIDDLE[0] < X) & (COSINE > -0.9)
    tail = HAIRY & beside & (RING > 2.0)
    picture[tail] = VEIL
    farthest = np.full(LINES, 2.2)
    rim = without_tails(farthest, cloth_in(picture, farthest))
    hangs = (ARM[:, 0] > 0.5 * RADIUS) & (DOWN < 0.5)
    assert (rim[hangs] < 2.0).all() and (rim[hangs] > 1.8).all()
    assert (rim[ARM[:, 0] < 0] == 2.2).all()
    ends = np.full(LINES, 2.15)
    np.testing.assert_array_equal(without_tails(ends, cloth_in(picture, ends)), ends)

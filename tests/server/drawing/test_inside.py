# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of an open mouth that no photo shows: teeth by the size of the face, and what lies between the rows."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.drawing.inside import Bones, Place, rows_of_teeth, tongue
from portrait_server.kernels.base import Patches
from portrait_server.kernels.opencv import OpenCV

SIDE, USUAL = 400, 200.0  # pixels, of the frame and of a mouth's usual width
MIDDLE = np.array([200.0, 100.0])
KERNELS = OpenCV()


def mouth(wide: float, high: float, jaw: float | None = None) -> tuple[Place, Bones]:
    """One that is so wide and opens downwards by so much, with the jaw or by as much as that goes down."""
    across = np.linspace(-0.5, 0.5, 11)
    arch = 1 - (2 * across) ** 2
    upper = MIDDLE + np.stack([across * wide, 0 * arch], -1)
    lower = upper + np.stack([0 * arch, arch * high], -1)
    rest = np.stack([across * 0.9 * USUAL, 0 * arch], -1)
    place = Place(KERNELS, upper[None], lower[None], *KERNELS.grid(Patches.whole(1, (SIDE, SIDE))))
    down = np.array([0, high if jaw is None else jaw])
    usual = np.array([USUAL])
    return place, Bones(rest[None], MIDDLE[None], (MIDDLE + down)[None], usual, usual, 0.9 * usual)


def column(plane: np.ndarray, across: float = 0.0) -> np.ndarray:
    """Of a plane (1, h, w) the pixels from the upper lip down, so many usual widths beside the middle."""
    return plane[0, int(MIDDLE[1]) :, round(MIDDLE[0] + across * USUAL)]


def test_a_smile_does_not_widen_teeth() -> None:
    rest, smile = (rows_of_teeth(KERNELS, *mouth(wide, 30.0))[0] for wide in (0.9 * USUAL, 1.3 * USUAL))
    row = int(MIDDLE[1]) + 4
    assert rest.gaps[0, row].max() > 0.1
    np.testing.assert_allclose(rest.gaps[0, row], smile.gaps[0, row], atol=1e-6)


def test_behind_rounded_lips_teeth_lie_in_the_dark() -> None:
    rest, round_lips = (rows_of_teeth(KERNELS, *mouth(wide, 40.0)) for wide in (0.9 * USUAL, 0.58 * USUAL))
    for usual, shaded in zip(rest, round_lips, strict=True):
        assert column(shaded.light)[2] < 0.4 * column(usual.light)[2]


@pytest.mark.parametrize(("jaw", "most"), [(90.0, 0.13), (60.0, 0.17)], ids=["with the jaw", "drawn down"])
def test_a_wide_mouth_shows_lower_teeth_and_not_their_gum(jaw: float, most: float) -> None:
    place, bones = mouth(0.9 * USUAL, 90.0, jaw)
    _, below = rows_of_teeth(KERNELS, place, bones)
    shown = column(below.bare * (1 - below.gum))[:90]
    assert 0.06 * USUAL < shown.sum() < most * USUAL
    assert shown[-8:].min() > 0.9


def test_a_lip_drawn_down_bares_whole_crowns() -> None:
    place, bones = mouth(0.9 * USUAL, 50.0, 10.0)
    _, below = rows_of_teeth(KERNELS, place, bones)
    assert column(below.bare * (1 - below.gum))[:50].sum() > 0.14 * USUAL


def test_its_tongue_lies_between_them_and_leaves_the_throat_dark() -> None:
    place, bones = mouth(0.9 * USUAL, 90.0)
    there, light = tongue(KERNELS, place, bones)
    lit = there * light
    assert column(lit)[70] > 0.6 and column(lit)[10] < 0.05
    assert column(lit)[70] > column(lit)[50] > column(lit)[30], "it is darker the farther back"
    assert column(lit, 0.42)[60] < 0.05 < column(lit, 0.3)[60], "and narrower than the mouth"

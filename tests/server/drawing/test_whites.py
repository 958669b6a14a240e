# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth are white in the light of their picture."""

from __future__ import annotations

import numpy as np
from portrait_server.drawing.whites import teeth_in
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine

NOTHING = np.zeros((0, 3), np.float32)


def test_teeth_are_ivory_under_yellow_varnish_and_less_coloured_than_skin(astronaut: Reference) -> None:
    mesh = WarpEngine().prepare([astronaut]).mesh
    varnished = (astronaut.image * np.array([0.95, 0.8, 0.42])).astype(np.uint8)
    plain, golden = (teeth_in(photo, mesh, np.ones(2), NOTHING, 0.0) for photo in (astronaut.image, varnished))
    assert 0.85 < plain[2] / plain[0] < 1, "white by daylight"
    assert 0.45 < golden[2] / golden[0] < 0.65, "warm, but not as yellow as what lies under the varnish"
    assert 0.8 < golden[1] / golden[0] < 0.93, "nor green"


def test_teeth_that_a_photo_shows_are_its_own(astronaut: Reference) -> None:
    mesh = WarpEngine().prepare([astronaut]).mesh
    shown = np.full((50, 3), (240, 230, 220), np.float32)
    lips = np.full((50, 3), (180, 90, 90), np.float32)
    own, usual, red = (teeth_in(astronaut.image, mesh, np.ones(2), each, 0.2) for each in (shown, NOTHING, lips))
    np.testing.assert_allclose(own, (240, 230, 220))
    np.testing.assert_allclose(red, usual)

# SPDX-License-Identifier: GPL-3.0-or-later
"""`warp` on a drawing whose points were placed by hand: no detector knows its face, nor takes it for a person."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait

from tests import posing
from tests.server import drawn_faces


@pytest.fixture(scope="module")
def engine() -> WarpEngine:
    return WarpEngine()


@pytest.fixture(scope="module")
def face() -> drawn_faces.DrawnFace:
    return drawn_faces.coloured()


@pytest.fixture(scope="module")
def portrait(engine: WarpEngine, face: drawn_faces.DrawnFace) -> WarpPortrait:
    return engine.prepare([Reference(face.image, face.points)])


def test_the_whole_figure_is_cut_out_before_its_background(portrait: WarpPortrait, face: drawn_faces.DrawnFace) -> None:
    figure = portrait.matte > 0.5
    assert (figure & face.figure).sum() / (figure | face.figure).sum() > 0.93
    behind = portrait.plate[60:150, 60:180].reshape(-1, 3).astype(int)
    assert np.abs(behind - (196, 222, 240)).max() < 30, "sky, and nothing of the head"


def test_at_rest_it_is_the_drawing(engine: WarpEngine, portrait: WarpPortrait, face: drawn_faces.DrawnFace) -> None:
    np.testing.assert_array_equal(engine.render(portrait, face.points[None], (240, 300), False)[0], face.image)


def test_a_shut_eye_is_skin(engine: WarpEngine, portrait: WarpPortrait, face: drawn_faces.DrawnFace) -> None:
    shut = engine.render(portrait, posing.blinking(face.points)[None], (240, 300), False)[0]
    for x in (92, 148):
        lid = shut[128:150, x - 8 : x + 8].reshape(-1, 3).astype(float)
        assert np.abs(np.median(lid, axis=0) - (255, 224, 189)).max() < 20, "neither white, nor iris, nor outline"


def test_a_turned_head_leaves_no_copy_behind(
    engine: WarpEngine, portrait: WarpPortrait, face: drawn_faces.DrawnFace
) -> None:
    moved = face.points + np.float32((12, 0))
    frame = engine.render(portrait, moved[None], (240, 300), False)[0]
    beside = frame[60:150, 36:44].reshape(-1, 3).astype(int)
    assert np.abs(np.median(beside, axis=0) - (196, 222, 240)).max() < 30, "sky where the hair was"

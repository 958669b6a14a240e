# SPDX-License-Identifier: GPL-3.0-or-later
"""A head thrown back: its crown stays round, and nothing hangs beside its jaw that the photo does not show."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.drawing.motion import motion_of
from portrait_server.geometry.face_mesh import CHIN
from portrait_server.kernels.opencv import OpenCV

from tests.posing import turned
from tests.server.drawing.unlit import draw_frames
from tests.server.geometry.test_neck import HAIR, SKIN, figure, scene_of, sizes


@pytest.mark.parametrize("kind", ["bald", "with a pale lock beside the parting"])
def test_a_crown_is_round(kind: str) -> None:
    half_width, half, (x, y) = sizes()
    photo, matte = figure(0.6, 0.6)
    across, down = (np.arange(512)[None] - x) / half_width, (np.arange(512)[:, None] - y) / half
    pale = (across > 0.15) & (across < 0.55) & (down < -0.8)
    photo[(photo == HAIR).all(-1) & (pale if kind != "bald" else True)] = SKIN
    scene = scene_of(photo, matte)
    assert scene.mesh.body.colour.bald == (kind == "bald")
    motion = motion_of(scene, turned(scene.mesh.points.astype(np.float32), pitch=-20)[None])
    top = (draw_frames(OpenCV(), scene, motion, matte=True)[0, ..., 3] > 127).argmax(0) / half_width
    middle, aside = round(x), round(0.3 * half_width)
    left, crown, right = top[[middle - aside, middle, middle + aside]]
    assert (left + right) / 2 - crown < 0.06, "no point: as a circle of its width, 0.04 half face widths"
    assert abs(left - right) < 0.02, "and no dent beside it"


@pytest.mark.parametrize("hair", [0.5, 0.7])
def test_nothing_hangs_beside_a_neck_where_the_photo_shows_nothing_beside_the_jaw(hair: float) -> None:
    half_width, half, (x, _) = sizes()
    scene = scene_of(*figure(0.6, 0.6, hair=hair, wide=1.15))
    motion = motion_of(scene, turned(scene.mesh.points.astype(np.float32), pitch=-20)[None])
    shown = draw_frames(OpenCV(), scene, motion, matte=True)[0, ..., 3] > 127
    chin, neck = motion.vertices[0, CHIN, 1], 0.62 * half_width + 2
    rows = slice(round(chin - 0.3 * half), round(chin + 0.1 * half))
    beside = shown[rows] & (np.abs(np.arange(shown.shape[1]) - x) > neck)
    assert beside.sum() < 0.16 * half**2, "the lowest part of the cheeks"


@pytest.mark.parametrize("hair", [0.7, 0.9])
def test_no_skin_hangs_below_the_end_of_hair(hair: float) -> None:
    half_width, half, (x, _) = sizes()
    scene = scene_of(*figure(0.6, 0.6, hair=hair, wide=1.45))
    motion = motion_of(scene, turned(scene.mesh.points.astype(np.float32), pitch=-20)[None])
    chin = motion.vertices[0, CHIN, 1]
    shown = draw_frames(OpenCV(), scene, motion, matte=True)[0, round(chin - 0.3 * half) : round(chin + 0.3 * half)]
    beside = np.abs(np.arange(shown.shape[1]) - x) > 0.8 * half_width
    skin = (shown[..., 3] > 127) & (shown[..., 0] > 90) & beside
    assert skin.sum() < 0.04 * half**2, "an edge of the cheeks"

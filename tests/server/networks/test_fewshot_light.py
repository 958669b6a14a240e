# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine fewshot lets its networks paint: in the picture's light, in the face, and flesh behind the lips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.drawing.frame import Moved
from portrait_server.drawing.mouth import Place
from portrait_server.drawing.opening import patches_around
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_frame import Drawing, Layers, mended
from portrait_server.engines.fewshot_light import in_flesh, in_its_light
from portrait_server.geometry.alignment import aligned_transform
from portrait_server.geometry.face_mesh import MOUTH, OVAL
from portrait_server.kernels.opencv import OpenCV

from tests.posing import speaking, turned
from tests.server.moving import moved_to

SIDE = 64  # of the aligned frame of tiny networks


@pytest.fixture(scope="module")
def layers(quiet_weights: Path, astronaut: Reference) -> Layers:
    return FewshotEngine("cpu", quiet_weights).prepare([astronaut]).at((512, 512))


@pytest.fixture
def drawing() -> Drawing:
    """Moves nothing, and paints everything lighter by a fifth."""
    axis = np.arange(SIDE, dtype=np.float32)
    return Drawing(
        warped=np.full((1, SIDE, SIDE, 3), 0.5, np.float32), painted=np.full((1, SIDE, SIDE, 3), 0.2, np.float32),
        flow=np.stack(np.meshgrid(axis, axis), -1)[None, None], merge=np.ones((1, 1, SIDE, SIDE), np.float32),
    )  # fmt: skip


def painted_over(layers: Layers, draft: Moved, target: np.ndarray, drawing: Drawing) -> np.ndarray:
    """The person (1, H, W, 3) as mended; the draft is left as it was."""
    moved = replace(draft, person=draft.person.copy())
    mended(OpenCV(), layers, moved, aligned_transform(target, SIDE)[None].astype(float), drawing)
    return moved.person


def test_what_is_painted_is_white_in_the_picture_s_own_light() -> None:
    yellow_teeth = np.array([200.0, 180, 140])
    before = np.array([[[30.0, 20, 10], [180, 170, 200], [160, 120, 90]]])
    painted = np.array([[[180.0, 185, 190], [200, 200, 230], [166, 126, 98]]])
    found = painted.copy()
    in_its_light(OpenCV(), found[None], before[None], yellow_teeth)
    assert found[0, 0] == pytest.approx([180, 162, 126]), "a tooth where it was dark is as yellow as teeth are there"
    assert found[0, 1] == pytest.approx([200, 188.8, 221.8], abs=0.1), "what was blue before may be"
    assert found[0, 2] == pytest.approx([166, 126, 98]), "skin that is hardly changed is left alone"


def test_nothing_is_painted_beyond_the_face(layers: Layers, drawing: Drawing, astronaut: Reference) -> None:
    target = turned(astronaut.points, yaw=15)
    draft = moved_to(layers.scene, target)
    found = painted_over(layers, draft, target, drawing)
    (changed,) = np.abs(found.astype(int) - draft.person).max(-1)
    oval = cv2.convexHull(draft.motion.vertices[0, list(OVAL), :2].astype(np.int32))
    face = cv2.fillConvexPoly(np.zeros((512, 512), np.uint8), oval, 1)
    reach = np.ones((25, 25), np.uint8)
    assert np.median(changed[cv2.erode(face, reach) > 0]) > 30
    assert changed[cv2.dilate(face, reach) == 0].max() <= 2, "hair and neck are the photo's"


def test_what_is_painted_behind_the_lips_is_flesh(layers: Layers, drawing: Drawing, astronaut: Reference) -> None:
    target = speaking(astronaut.points, 0.25)
    draft = moved_to(layers.scene, target)
    found = painted_over(layers, draft, target, drawing)
    upper, lower = (draft.motion.vertices[:, list(rim), :2] for rim in MOUTH)
    whole = patches_around(np.array([[[0, 0], [511, 511]]]), 0, (512, 512))
    deep = Place(OpenCV(), upper, lower, *OpenCV().grid(whole)).depth > 0.17
    red, _, blue = (found.astype(int) - draft.person)[deep].T
    assert len(red) > 20
    assert 15 < np.median(red) < 35, "half of the 51 that were painted"
    assert np.median(blue) < 0.8 * np.median(red)
    x, y = ((target[57] + target[66]) / 2)[:2].astype(int)
    assert found[0, y, x].max() > draft.person[0, y, x].max() + 20, "the lower lip is painted"


@pytest.mark.filterwarnings("error")
def test_a_mouth_without_width_is_left_alone(layers: Layers, drawing: Drawing, astronaut: Reference) -> None:
    target = turned(astronaut.points, yaw=-30)
    target[[60, 64], :2] = target[62, :2]
    draft = moved_to(layers.scene, target)
    found = painted_over(layers, draft, target, drawing)
    x, y = target[62, :2].astype(int)
    assert found[0, y - 5 : y + 6, x - 5 : x + 6].max(-1).min() > 20


@pytest.mark.parametrize(("height", "rim_is_painted"), [(12, True), (40, False)])
def test_flesh_is_between_the_lips_and_teeth_are_behind_them(height: int, rim_is_painted: bool) -> None:
    across = np.linspace(0, 1, 11)
    arc = height / 2 * np.sin(np.pi * across)
    upper, lower = (np.stack([20 + 60 * across, 40 + way * arc], -1) for way in (-1, 1))
    dark, grey = np.full((80, 100, 3), (30.0, 14, 12), np.float32), np.full((80, 100, 3), 90.0, np.float32)
    color, lips = grey.copy(), np.array([180.0, 90, 60])
    in_flesh(OpenCV(), color[None], dark[None], upper[None], lower[None], lips)
    middle, rim, lip = color[40, 50], color[42 - height // 2, 50], color[34 - height // 2, 50]
    assert middle == pytest.approx([60, 29, 22], abs=0.5), "half the light, in the lips' hue"
    assert (rim.min() > 80) == rim_is_painted, "just behind the lip teeth may be painted, unless it is wide open"
    np.testing.assert_array_equal(lip, grey[0, 0])
    color = grey.copy()
    in_flesh(OpenCV(), color[None], np.full_like(dark, 200.0)[None], upper[None], lower[None], lips)
    np.testing.assert_array_equal(color, grey)

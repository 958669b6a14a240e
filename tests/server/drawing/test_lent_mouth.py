# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of a mouth from another photo: the same teeth in the same place, in the first photo's light."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from portrait_server.drawing.lent_mouth import lent_mouth, most_open
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait

from tests.posing import moved, speaking, turned
from tests.server.moving import person_at

SIZE = (512, 512)


@pytest.fixture(scope="module")
def smiling(astronaut: Reference) -> WarpPortrait:
    """She shows her teeth."""
    return WarpEngine().prepare([astronaut])


@pytest.fixture(scope="module")
def shut(astronaut: Reference) -> WarpPortrait:
    """The same, with the lips brought together."""
    points = astronaut.points.copy()
    middle = (points[61:64] + points[[67, 66, 65]]) / 2
    points[61:64], points[[67, 66, 65]] = middle, middle
    warp = WarpEngine()
    (photo,) = warp.render(warp.prepare([astronaut]), points[None], SIZE, False)
    return WarpEngine().prepare([Reference(photo, points)])


def with_teeth(scene: Scene, other: WarpPortrait) -> Scene:
    return replace(scene, mouth=lent_mouth(scene, other.image, other.mesh))


def inside(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    x, y = np.round(points[[61, 62, 63, 65, 66, 67], :2].mean(0)).astype(int)
    return picture[y - 2 : y + 3, x - 8 : x + 9].astype(float)


def test_the_most_open_of_those_that_face_as_the_first_does(shut: WarpPortrait, astronaut: Reference) -> None:
    points = shut.mesh.points
    wide, aside = speaking(points, 0.2), turned(speaking(points, 0.3), yaw=40)
    assert most_open(shut.mesh, [points, astronaut.points, wide, aside]) == 2
    assert most_open(shut.mesh, [points, aside]) is None and most_open(shut.mesh, []) is None


def test_a_mouth_that_shows_its_inside_borrows_none(smiling: WarpPortrait, astronaut: Reference) -> None:
    assert most_open(smiling.mesh, [speaking(astronaut.points, 0.3)]) is None


@pytest.mark.parametrize("shift", [0, 0.4], ids=["in place", "elsewhere"])
def test_teeth_come_where_they_are(
    shut: WarpPortrait, smiling: WarpPortrait, astronaut: Reference, shift: float
) -> None:
    target = moved(astronaut.points, shift)
    if shift:
        turn = np.float32([[1, 0, round(target[30, 0] - astronaut.points[30, 0])], [0, 1, 0]])
        target = astronaut.points + np.float32([turn[0, 2], 0, 0])
        photo = cv2.warpAffine(smiling.image, turn, SIZE, borderMode=cv2.BORDER_REPLICATE)
        smiling = WarpEngine().prepare([Reference(photo, target)])
    scene = shut.scene(SIZE)
    seen = inside(smiling.image, target)
    lent = inside(person_at(with_teeth(scene, smiling), astronaut.points), astronaut.points)
    made = inside(person_at(scene, astronaut.points), astronaut.points)
    assert np.abs(lent - seen).mean() < 0.5 * np.abs(made - seen).mean()


def test_another_light_is_taken_away(shut: WarpPortrait, smiling: WarpPortrait, astronaut: Reference) -> None:
    scene = shut.scene(SIZE)
    usual = inside(person_at(with_teeth(scene, smiling), astronaut.points), astronaut.points)
    dim = replace(smiling, image=(smiling.image * 0.7).astype(np.uint8))
    dimmed = inside(person_at(with_teeth(scene, dim), astronaut.points), astronaut.points)
    assert np.abs(dimmed - usual).mean() < 5


def test_shut_it_stays_the_photo_s(shut: WarpPortrait, smiling: WarpPortrait) -> None:
    scene, target = shut.scene(SIZE), moved(shut.mesh.points.astype(np.float32), 0.05)
    np.testing.assert_array_equal(person_at(with_teeth(scene, smiling), target), person_at(scene, target))

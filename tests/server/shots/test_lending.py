# SPDX-License-Identifier: GPL-3.0-or-later
"""What moments lend: teeth where the frame has none, in the frame's light, and not a pixel where nothing is lent."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.shots.film_grain import Grain
from portrait_server.shots.lending import Lender
from portrait_server.shots.moment import Box, Moment
from portrait_server.shots.motion_blur import blurred_along
from portrait_server.shots.neighbours import Neighbours
from portrait_shared.track import LandmarkTrack

from tests.server.shots.made_up_faces import face

SIZE = (480, 360)
TEETH = (20, 200, 60)  # a colour that a face has nowhere


def filmed(points: np.ndarray, light: float = 1.0, seed: int = 0) -> np.ndarray:
    """A frame (360, 480, 3): grained skin, red lips, and teeth of that colour between them where they are open."""
    picture = np.full((SIZE[1], SIZE[0], 3), (180, 140, 120), np.float32)
    flat = np.round(points[:, :2]).astype(np.int32)
    cv2.fillPoly(picture, [flat[48:60]], (150, 70, 70))
    if (points[66, 1] - points[62, 1]) > 2:
        cv2.fillPoly(picture, [flat[60:68]], TEETH)
    noise = np.random.default_rng(seed).standard_normal((*picture.shape[:2], 1)) * 3
    return np.clip(picture * light + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """A mouth shut, shut, opening, open, open: (5, 70, 3)."""
    return np.stack([face(mouth, at=(240, 180)) for mouth in (0, 0, 0.05, 0.1, 0.1)])


def inside_mouth(points: np.ndarray) -> tuple[slice, slice]:
    (left, top), (right, bottom) = points[[61, 62, 63], :2].min(0), points[[65, 66, 67], :2].max(0)
    return slice(int(top) + 4, int(bottom) - 3), slice(int(left) + 2, int(right) - 1)


def lender_of(points: np.ndarray, light: float = 1.0) -> tuple[Lender, list[np.ndarray]]:
    """The frames after the first are lit otherwise by a factor."""
    shot = [filmed(each, light if number else 1.0, number) for number, each in enumerate(points)]
    return Lender.of(LandmarkTrack(points, SIZE), shot.__getitem__), shot


def test_a_shut_mouth_that_opens_finds_its_teeth_in_another_moment(points: np.ndarray) -> None:
    lender, shot = lender_of(points)
    drawn = lender.lent(shot[0], (0, 0), shot[0], 0, points[3])
    seen = drawn[inside_mouth(points[3])].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(seen, TEETH, atol=12)
    far = np.ones(drawn.shape[:2], bool)
    far[100:340, 110:370] = False
    np.testing.assert_array_equal(drawn[far], shot[0][far])


def test_what_is_lent_comes_in_the_frames_own_light(points: np.ndarray) -> None:
    lender, shot = lender_of(points, light=0.7)
    drawn = lender.lent(shot[0], (0, 0), shot[0], 0, points[3]).astype(int)
    seen = drawn[inside_mouth(points[3])].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(seen, TEETH, atol=14)
    lip_to_chin = drawn[int(points[3][57, 1]) + 8 : int(points[3][8, 1]) - 8, 235:245]
    np.testing.assert_allclose(lip_to_chin.reshape(-1, 3).mean(0), (180, 140, 120), atol=4)


def test_a_frame_that_is_drawn_as_it_was_is_left_alone(points: np.ndarray) -> None:
    lender, shot = lender_of(points)
    assert lender.lent(shot[0], (0, 0), shot[0], 0, points[0]) is shot[0]


def test_what_the_points_file_tells_of_cuts_and_frames_without_a_face_is_heeded(points: np.ndarray) -> None:
    for name, told in (("cuts", [False, False, True, False, False]), ("detected", [True, True, False, False, False])):
        shot = [filmed(each, 1, number) for number, each in enumerate(points)]
        track = LandmarkTrack(points, SIZE, extra={name: np.array(told)})
        drawn = Lender.of(track, shot.__getitem__).lent(shot[0], (0, 0), shot[0], 0, points[3])
        assert np.abs(drawn[inside_mouth(points[3])].reshape(-1, 3).mean(0) - TEETH).max() > 60


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_part_of_a_frame_gets_what_the_whole_does(points: np.ndarray, kind: type) -> None:
    scale = 257 if kind is np.uint16 else 1
    shot = [(filmed(each, 1, number).astype(int) * scale).astype(kind) for number, each in enumerate(points)]
    lender = Lender.of(LandmarkTrack(points, SIZE), shot.__getitem__)
    whole = lender.lent(shot[0], (0, 0), shot[0], 0, points[3])
    part = lender.lent(shot[0][60:330, 100:400], (100, 60), shot[0], 0, points[3])
    assert part.dtype == kind and part.shape == (270, 300, 3)
    # The grain alone may lie otherwise.
    soft = [cv2.GaussianBlur(each.astype(np.float32) / scale, (0, 0), 4) for each in (whole[60:330, 100:400], part)]
    assert np.abs(soft[0] - soft[1]).max() < 2


def test_what_three_moments_lend_together_has_the_frames_grain(points: np.ndarray) -> None:
    many = np.stack([points[0], *(face(mouth, at=(240, 180)) for mouth in (0.096, 0.098, 0.102, 0.104))])
    lender, shot = lender_of(many)
    drawn = lender.lent(shot[0], (0, 0), shot[0], 0, face(0.1, at=(240, 180)))
    chin = np.zeros(drawn.shape[:2], bool)
    lip, tip = many[1][57, 1], many[1][8, 1]
    chin[int(lip) + 5 : int((lip + tip) / 2), 215:265] = True
    own, made = (Grain.of(picture, chin) for picture in (shot[0], drawn))
    assert own is not None and made is not None and made.level == pytest.approx(own.level, rel=0.2)


def test_a_moment_drawn_for_its_own_points_is_itself(points: np.ndarray) -> None:
    frame = filmed(points[3])
    moment, box = Moment(frame, points[3], None), Box(180, 140, 300, 280)
    np.testing.assert_allclose(moment.drawn(points[3], box, None, 80), box.of(frame), atol=1)


def test_a_moment_goes_where_the_head_is(points: np.ndarray) -> None:
    frame = filmed(points[3])
    moment, box = Moment(frame, points[3], None), Box(180, 140, 300, 280)
    there = Box(box.left + 30, box.top - 20, box.right + 30, box.bottom - 20)
    moved = moment.drawn(points[3] + np.float32([30, -20, 0]), there, None, 80)
    np.testing.assert_allclose(moved, box.of(frame), atol=2)


def test_an_iris_is_put_where_the_gaze_shall_be() -> None:
    points = face(at=(240, 180))
    frame = np.full((SIZE[1], SIZE[0], 3), 200, np.uint8)
    cv2.circle(frame, np.round(points[68, :2]).astype(int).tolist(), 5, (40, 40, 40), -1)
    target = points.copy()
    target[68, 0] += 4
    box = Box.around(points[36:42], 20, Box(0, 0, *SIZE))
    drawn = Moment(frame, points, None).drawn(target, box, 68, 85)[..., 0]
    x = box.left + (np.arange(drawn.shape[1])[None] * (200 - drawn)).sum() / (200 - drawn).sum()
    assert x == pytest.approx(target[68, 0], abs=1)


def test_only_what_stood_stiller_is_blurred_and_along_the_motion() -> None:
    point = np.zeros((41, 41, 3), np.float32)
    point[20, 20] = 255
    along = blurred_along(point, np.array([12.0, 0]), np.zeros(2), 0)[..., 0]
    assert (along[20] > 1).sum() in (6, 7, 8) and along[[18, 22]].max() == 0
    assert along.sum() == pytest.approx(255, rel=1e-4)
    slanted = blurred_along(point, np.array([8.0, 8.0]), np.zeros(2), 0)[..., 0]
    assert slanted[18, 18] > 1 and slanted[22, 22] > 1 and slanted[18, 22] == 0
    assert blurred_along(point, np.array([12.0, 0]), np.array([-12.0, 3]), 0) is point
    assert blurred_along(point, np.array([5.0, 0]), np.zeros(2), 2) is point


def test_how_the_head_moves_is_told_between_cuts() -> None:
    still = face(at=(240, 180))
    track = np.stack([still, still + np.float32([2, 0, 0]), still + np.float32([4, 0, 0]), still + 90, still + 90])
    neighbours = Neighbours(track, cuts=np.arange(5) == 3)
    np.testing.assert_allclose([neighbours.motion(row)[30] for row in range(5)], [[2, 0]] * 3 + [[0, 0]] * 2, atol=1e-4)

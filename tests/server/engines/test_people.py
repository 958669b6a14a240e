# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people of one picture: told apart, one behind the other, and each moved without the other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.detectors.base import DetectedFace
from portrait_server.detectors.matte import person_matte
from portrait_server.detectors.registry import create_detector
from portrait_server.detectors.shared_matte import divided
from portrait_server.drawing.people import taken_apart
from portrait_server.engines.base import Reference
from portrait_server.engines.people import PeoplePortrait
from portrait_server.engines.warp import WarpEngine
from portrait_server.geometry.face_mesh import OVAL
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import USUAL, channels_of
from portrait_shared.other_faces import OtherFaces

from tests.posing import face_size, moved, turned
from tests.two_people import two_people

FIRST, SECOND = 0, 1


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return two_people(overlapping=True)[0]


@pytest.fixture(scope="module")
def faces(picture: np.ndarray) -> list[DetectedFace]:
    found = sorted(create_detector("mediapipe").detect(picture), key=lambda face: face.points[0, 0])
    assert len(found) == 2
    return found


@pytest.fixture(scope="module")
def points(faces: list[DetectedFace]) -> np.ndarray:
    """(2, 70, 3) of the first and the second."""
    return np.stack([face.points for face in faces]).astype(np.float32)


@pytest.fixture(scope="module")
def outlines(faces: list[DetectedFace]) -> list[np.ndarray]:
    return [np.asarray(face.mesh478)[list(OVAL), :2] for face in faces]


@pytest.fixture(scope="module")
def portrait(engine: WarpEngine, picture: np.ndarray, points: np.ndarray) -> PeoplePortrait:
    made = engine.prepare([Reference(picture, points[FIRST])], points[SECOND:])
    assert isinstance(made, PeoplePortrait)
    return made


def frames(engine: WarpEngine, portrait: PeoplePortrait, *pairs: tuple[np.ndarray, np.ndarray], matte: bool = False,
           bodies: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    """A frame for each pair of the first's and the second's points."""
    first, second = (np.stack(points) for points in zip(*pairs, strict=True))
    others = OtherFaces(second[:, None], bodies)
    height, width = portrait.people[0].photo.image.shape[:2]
    return engine.render(portrait, first, (width, height), matte, None, others)


def inside(outline: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], (1,))
    return mask > 0


def test_a_matte_is_divided_and_the_larger_face_is_nearer(picture: np.ndarray, outlines: list[np.ndarray]) -> None:
    truth = two_people(overlapping=True)[1]
    matte = person_matte(picture)
    parts, order = divided(picture, matte, outlines)
    assert order == [FIRST, SECOND] and divided(picture, matte, outlines[::-1])[1] == [SECOND, FIRST]
    np.testing.assert_allclose(parts.sum(0), matte, atol=1e-5)
    shown = truth.max(0) > 0.9
    assert (parts.argmax(0) != truth.argmax(0))[shown].mean() < 0.08
    for face, outline in enumerate(outlines):
        assert parts[face][inside(outline, picture.shape)].mean() > 0.97


def test_people_go_on_behind_those_who_hide_them(picture: np.ndarray, outlines: list[np.ndarray]) -> None:
    truth = two_people(overlapping=True)[1]
    first, second = taken_apart(picture, list(truth), outlines)
    assert second.shown is picture and second.plate is first.shown
    far = cv2.erode((truth[SECOND] < 0.01).astype(np.uint8), np.ones((41, 41))) > 0
    np.testing.assert_array_equal(first.shown[far], picture[far])
    np.testing.assert_array_equal(first.matte[far & ~inside(outlines[FIRST], picture.shape)],
                                  truth[FIRST][far & ~inside(outlines[FIRST], picture.shape)])  # fmt: skip
    beside = (truth[SECOND] > 0.99) & (cv2.dilate(truth[FIRST], np.ones((15, 15))) > 0.99)
    assert first.matte[beside].mean() > 0.8, "what is hidden next to a person is the person"
    assert first.matte[:, -60:].max() < 0.01, "and far from it is not"


def test_at_rest_the_frame_is_the_photo(engine: WarpEngine, portrait: PeoplePortrait, picture: np.ndarray,
                                        points: np.ndarray) -> None:  # fmt: skip
    (frame,) = frames(engine, portrait, tuple(points))
    np.testing.assert_array_equal(frame, picture)
    (frame,) = frames(engine, portrait, tuple(points), matte=True)
    np.testing.assert_array_equal(frame[..., :3], picture)
    union = two_people(overlapping=True)[1].sum(0)
    assert frame[..., 3][union > 0.99].mean() > 235 and frame[..., 3][union < 0.01].mean() < 40
    breathing = np.array([[[1, 0.8]]], np.float32)
    assert (frames(engine, portrait, tuple(points), bodies=breathing)[0] != picture).any(), "each has its own body"


def test_each_moves_and_the_other_stays(engine: WarpEngine, portrait: PeoplePortrait, picture: np.ndarray,
                                        points: np.ndarray, outlines: list[np.ndarray]) -> None:  # fmt: skip
    first, second = points
    left, right, behind, before = frames(
        engine, portrait, (turned(first, 15), second), (first, turned(second, 15)), (moved(first, 0.5), second),
        (first, moved(second, -0.9)),
    )  # fmt: skip
    in_first, in_second = (inside(outline, picture.shape) for outline in outlines)
    for frame, still, changed in ((left, in_second, in_first), (right, in_first, in_second)):
        np.testing.assert_array_equal(frame[still], picture[still])
        assert np.abs(frame[changed].astype(int) - picture[changed]).mean() > 5
    np.testing.assert_array_equal(behind[in_second], picture[in_second], "who is in front hides who comes near")
    way = -round(0.9 * face_size(second))
    covered, came = in_first & np.roll(in_second, way, 1), np.roll(picture, way, 1)
    assert covered.sum() > 200 and np.abs(before[covered].astype(int) - came[covered]).mean() < 12


def test_the_same_bytes_in_any_order_and_batch(engine: WarpEngine, portrait: PeoplePortrait, picture: np.ndarray,
                                               points: np.ndarray) -> None:  # fmt: skip
    first, second = points
    pairs = [(turned(first, 10), second), (first, second), (turned(first, 20), turned(second, -10))]
    together = frames(engine, portrait, *pairs, matte=True)
    for pair, frame in zip(pairs, together, strict=True):
        np.testing.assert_array_equal(frames(engine, portrait, pair, matte=True)[0], frame)
    swapped = engine.prepare([Reference(picture, second)], first[None])
    assert isinstance(swapped, PeoplePortrait)
    np.testing.assert_array_equal(frames(engine, swapped, *[pair[::-1] for pair in pairs], matte=True), together)


def test_sixteen_bits_and_transparency_stay(engine: WarpEngine, picture: np.ndarray, points: np.ndarray) -> None:
    deep = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]).astype(np.uint16) * 257
    deep[:40, :40, 3] = 0
    portrait = engine.prepare([Reference(deep, points[FIRST])], points[SECOND:])
    assert isinstance(portrait, PeoplePortrait)
    rest, turning = frames(engine, portrait, tuple(points), (points[FIRST], turned(points[SECOND], 10)))
    np.testing.assert_array_equal(rest, deep)
    assert turning.dtype == np.uint16 and turning.shape == deep.shape and not turning[:40, :40, 3].any()


def test_layers_are_those_of_the_foremost(engine: WarpEngine, portrait: PeoplePortrait, picture: np.ndarray,
                                          points: np.ndarray, outlines: list[np.ndarray]) -> None:  # fmt: skip
    first, second = points
    target, size = turned(first, 12), picture.shape[1::-1]
    rows, others = np.stack([first, target, target, target]), OtherFaces(np.repeat(second[None, None], 4, 0))
    drawn = engine.render_layers(portrait, rows, size, False, USUAL, None, others)
    channels = channels_of(USUAL)
    assert drawn.shape == (2, *picture.shape[:2], len(channels)) and drawn.dtype == np.float32

    def layer(name: str) -> np.ndarray:
        return drawn[..., channels.index(name)]

    colours = drawn[..., :3]
    np.testing.assert_array_equal(colours[0], picture)
    np.testing.assert_array_equal(colours[1], frames(engine, portrait, (target, second))[0])
    in_first, in_second = (inside(outline, picture.shape) for outline in outlines)
    assert (layer("confidence.Y")[0][in_first | in_second] > 0.99).all(), "all is the photo's own"
    assert layer("confidence.Y")[1][in_first].mean() < 0.99 < layer("confidence.Y")[1][in_second].min()
    assert np.abs(layer("forward.u")[0][in_first]).mean() > 2 and not layer("forward.u")[:, in_second].any()
    assert not layer("forward.u")[1].any(), "the last is followed by itself"
    assert layer("matte.A")[0, in_first | in_second].mean() > 250 and layer("depth.Z")[:, in_second].std() > 0.02
    cut_out = engine.render_layers(portrait, rows[:2], size, True, ("rgba", "matte"), None, others.rows(slice(0, 2)))
    assert cut_out.shape[-1] == 5
    np.testing.assert_array_equal(cut_out[..., 3], cut_out[..., 4])
    within = cv2.erode(in_second.astype(np.uint8), np.ones((25, 25))) > 0
    assert np.abs(cut_out[0, within, :3] - picture[within]).mean() < 0.1


def test_who_is_not_driven_is_background(engine: WarpEngine) -> None:
    pair = two_people(overlapping=False)[0]
    three = cv2.resize(np.hstack([pair, pair[:, :340]]), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    found = sorted(create_detector("mediapipe").detect(three), key=lambda face: face.points[0, 0])
    first, second, _ = (face.points.astype(np.float32) for face in found)
    third = inside(np.asarray(found[2].mesh478)[list(OVAL), :2], three.shape)
    portrait = engine.prepare([Reference(three, first)], second[None])
    assert isinstance(portrait, PeoplePortrait) and len(portrait.people) == 2
    np.testing.assert_array_equal(portrait.people[0].photo.plate[third], three[third])
    (frame,) = frames(engine, portrait, (turned(first, 10), moved(second, 0.1)))
    np.testing.assert_array_equal(frame[third], three[third])


def test_what_does_not_fit_is_refused(engine: WarpEngine, portrait: PeoplePortrait, points: np.ndarray) -> None:
    size = (200, 132)
    for others in (None, OtherFaces(points[None]), OtherFaces(np.zeros((1, 1, 70, 3), np.float32))):
        with pytest.raises(PortraitError) as caught:
            engine.render(portrait, points[:1], size, False, None, others)
        assert caught.value.code == ErrorCode.BAD_POINTS
    small = engine.render(portrait, turned(points[0], 10)[None], size, False, None, OtherFaces(points[None, 1:]))
    assert small.shape == (1, 132, 200, 3)

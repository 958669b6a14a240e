# SPDX-License-Identifier: GPL-3.0-or-later
"""What the warp engine takes: every size of picture and frame, points with and without depth, and bad ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait
from portrait_shared.errors import ErrorCode, PortraitError

from tests.posing import blinking, turned

SIZE = (512, 512)
BACKGROUND = (slice(0, 150), slice(360, 512))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def points(photo: np.ndarray) -> np.ndarray:
    detector = MediaPipeDetector()
    (face,) = detector.detect(photo)
    detector.close()
    return face.points


def frame(engine: WarpEngine, portrait: WarpPortrait, target: np.ndarray, matte: bool = False) -> np.ndarray:
    return engine.render(portrait, target[None], SIZE, matte)[0]


def boxed(image: np.ndarray, points: np.ndarray, margin: int = 0) -> np.ndarray:
    """The part of an image around points (N, 2 or 3)."""
    low, high = points[:, :2].min(0).astype(int) - margin, points[:, :2].max(0).astype(int) + 1 + margin
    return image[low[1] : high[1], low[0] : high[0]].astype(float)


@pytest.mark.parametrize("size", [(256, 256), (128, 200), (777, 640)])
def test_frames_come_in_the_size_asked_for(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray, size: tuple[int, int]
) -> None:
    still = engine.render(portrait, points[None], size, False)[0]
    turning = engine.render(portrait, turned(points, yaw=15)[None], size, False)[0]
    assert still.shape == turning.shape == (size[1], size[0], 3)
    full = cv2.resize(frame(engine, portrait, turned(points, yaw=15)), size, interpolation=cv2.INTER_AREA)
    assert np.abs(full.astype(int) - turning).mean() < 3


def test_a_large_photo_keeps_its_detail(engine: WarpEngine, photo: np.ndarray, points: np.ndarray) -> None:
    large = cv2.resize(photo, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    large = cv2.add(large, np.random.default_rng(0).integers(0, 24, large.shape, np.uint8))
    portrait = engine.prepare([Reference(large, points * 4)])
    image = engine.render(portrait, blinking(turned(points * 4, yaw=8))[None], (2048, 2048), False)[0]
    assert image.shape == large.shape

    def grain(picture: np.ndarray) -> float:
        return float(cv2.Laplacian(boxed(picture, points[27:36] * 4).mean(2), cv2.CV_64F).std())

    assert grain(image) > 0.6 * grain(large)


def test_points_without_depth_still_turn(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    flat = engine.prepare([Reference(photo, points * np.array([1, 1, 0], np.float32))])
    target = turned(points, yaw=15)
    gap = np.abs(frame(engine, flat, target[:, :2]).astype(int) - frame(engine, portrait, target)).mean()
    assert gap < 2


def test_a_face_that_no_network_sees_is_driven_by_its_points(engine: WarpEngine, points: np.ndarray) -> None:
    drawing = np.full((512, 512, 3), 90, np.uint8)
    drawing[::8] = 200
    portrait = engine.prepare([Reference(drawing, points)])
    image = frame(engine, portrait, turned(points, yaw=15, roll=10))
    assert np.abs(boxed(image, points[:68]) - boxed(drawing, points[:68])).mean() > 10
    np.testing.assert_array_equal(image[BACKGROUND], drawing[BACKGROUND])


@pytest.mark.parametrize("far", [(9000, 0), (-1e6, 1e6), (3e38, -3e38)])
def test_points_far_outside_are_drawn(
    engine: WarpEngine, portrait: WarpPortrait, points: np.ndarray, far: tuple[float, float]
) -> None:
    everything, one = points.copy(), points.copy()
    everything[:, :2] += np.array(far, np.float32)
    one[57, :2] += np.array(far, np.float32)
    one[8] = -one[8]
    if abs(far[0]) < 1e30:
        assert frame(engine, portrait, everything).shape == (512, 512, 3)
    assert frame(engine, portrait, one).shape == (512, 512, 3)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 40), (64, 1), (2, 65), (7, 5)])
@pytest.mark.parametrize("yaw", [0.2, 20.0])
def test_frames_may_be_tiny(
    engine: WarpEngine, photo: np.ndarray, points: np.ndarray, size: tuple[int, int], yaw: float
) -> None:
    portrait = engine.prepare([Reference(photo, points)])
    assert engine.render(portrait, turned(points, yaw=yaw)[None], size, False).shape == (1, *size[::-1], 3)


@pytest.mark.parametrize("side", [1, 16, 33])
def test_tiny_pictures_are_drawn(engine: WarpEngine, photo: np.ndarray, points: np.ndarray, side: int) -> None:
    small = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    placed = points * side / 512 if side > 16 else points / 32
    portrait = engine.prepare([Reference(small, placed)])
    target = turned(placed, yaw=20)
    assert engine.render(portrait, target[None], (side, side), True).shape == (1, side, side, 4)


def test_reference_points_outside_the_picture(engine: WarpEngine, photo: np.ndarray, points: np.ndarray) -> None:
    portrait = engine.prepare([Reference(photo[:, 230:], points - np.array([230, 0, 0], np.float32))])
    image = engine.render(portrait, turned(points - np.array([230, 0, 0], np.float32), yaw=10)[None], (282, 512), True)
    assert image.shape == (1, 512, 282, 4)


@pytest.mark.parametrize(("scale", "shift"), [(1, (900, 0, 0)), (1, (0, -2000, 0)), (20, (0, 0, 0))])
def test_a_reference_s_face_that_is_not_in_the_picture(
    engine: WarpEngine, photo: np.ndarray, points: np.ndarray, scale: float, shift: tuple[float, float, float]
) -> None:
    placed = (points * scale + shift).astype(np.float32)
    portrait = engine.prepare([Reference(photo[::4, ::4], placed / 4)])
    assert engine.render(portrait, turned(placed / 4, yaw=10)[None], (128, 128), True).shape == (1, 128, 128, 4)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((70, 3)), np.full((70, 3), 5e4), np.zeros((68, 2)), np.full((70, 2), np.nan), np.full((70, 2), 1e300)],
)
def test_points_that_are_no_face_are_refused(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, bad: np.ndarray
) -> None:
    for attempt in (
        lambda: engine.prepare([Reference(photo, bad)]),
        lambda: engine.render(portrait, bad[None], SIZE, False),
    ):
        with pytest.raises(PortraitError) as error:
            attempt()
        assert error.value.code is ErrorCode.BAD_POINTS


@pytest.mark.parametrize("bad", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)])
def test_pictures_that_are_none_are_refused(engine: WarpEngine, points: np.ndarray, bad: np.ndarray) -> None:
    with pytest.raises(PortraitError) as error:
        engine.prepare([Reference(bad, points)])
    assert error.value.code is ErrorCode.BAD_IMAGE


def test_an_eye_that_the_photo_shows_shut_opens(engine: WarpEngine, photo: np.ndarray, points: np.ndarray) -> None:
    shut = blinking(points)
    asleep = engine.render(engine.prepare([Reference(photo, points)]), shut[None], SIZE, False)[0]
    image = frame(engine, engine.prepare([Reference(asleep, shut)]), points)
    for pupil in (68, 69):
        assert boxed(image, points[[pupil]], 1).mean() < 0.7 * boxed(asleep, points[[pupil]], 1).mean(), "an iris"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces that lie or stand on their heads are found as they are, or not at all; never upright."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.detectors.tracking import track_of_video
from portrait_server.detectors.turns import UprightCheck, points_turned_back, quarter_turns, turned_back
from portrait_server.media.images import read_image
from portrait_shared.landmarks import GROUPS

from tests.paths import portraits
from tests.server.video_files import write_video

ALL_ROUND = [0, 30, 45, 60, 90, 120, 135, 150, 180, 210, 225, 270, 300, 315]


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeDetector]:
    detector = MediaPipeDetector()
    yield detector
    detector.close()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut()[:, 60:420])


@pytest.fixture(scope="module")
def upright(detector: Detector, photo: np.ndarray) -> DetectedFace:
    (face,) = detector.detect(photo)
    return face


def turned(image: np.ndarray, points: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture turned against the clock on a larger one, and its points (P, 3) there."""
    height, width = image.shape[:2]
    side = int(np.hypot(height, width))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turn[:, 2] += ((side - width) / 2, (side - height) / 2)
    there = cv2.warpAffine(image, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
    # Points count from a pixel's corner, OpenCV's matrices from its middle.
    return there, np.column_stack([(points[:, :2] - 0.5) @ turn[:, :2].T + turn[:, 2] + 0.5, points[:, 2]])


def assert_alike(found: np.ndarray, wanted: np.ndarray) -> None:
    """Within parts of the face's size."""
    width = np.sqrt(np.prod(np.ptp(wanted[:, :2], axis=0)))
    assert np.linalg.norm(found[:, :2] - wanted[:, :2], axis=1).mean() < 0.04 * width
    assert np.abs(found[:, 2] - wanted[:, 2]).mean() < 0.08 * width


@pytest.mark.parametrize("degrees", ALL_ROUND)
def test_a_face_at_any_angle(
    detector: MediaPipeDetector, photo: np.ndarray, upright: DetectedFace, degrees: int
) -> None:
    picture, wanted = turned(photo, upright.points, degrees)
    (face,) = detector.detect(picture)
    assert_alike(face.points, wanted)
    assert face.mesh478 is not None and upright.mesh478 is not None
    assert_alike(face.mesh478, turned(photo, upright.mesh478, degrees)[1])
    at = detector.detect_at(picture, wanted.astype(np.float32))
    assert at is not None
    assert_alike(at.points, wanted)


def test_points_given_the_wrong_way_up_find_no_face(
    detector: MediaPipeDetector, photo: np.ndarray, upright: DetectedFace
) -> None:
    picture = np.ascontiguousarray(np.rot90(photo, 2))
    invented = upright.points.copy()
    invented[:, :2] += points_turned_back(upright.points, 2, photo.shape)[:, :2].mean(0) - invented[:, :2].mean(0)
    assert detector.detect_at(picture, invented) is None


def test_right_and_left_are_the_persons_own(detector: Detector, photo: np.ndarray) -> None:
    (face,) = detector.detect(np.ascontiguousarray(np.rot90(photo, 2)))
    x = face.points[:, 0]
    assert x[0] > x[list(GROUPS["right_eye"])].mean() > x[30] > x[list(GROUPS["left_eye"])].mean() > x[16]
    assert abs(x[68] - x[list(GROUPS["right_eye"])].mean()) < abs(x[68] - x[list(GROUPS["left_eye"])].mean())


def test_upright_faces_are_read_as_without_the_check(detector: MediaPipeDetector, photo: np.ndarray) -> None:
    for picture in (photo, np.ascontiguousarray(photo[:, ::-1]), turned(photo, np.zeros((1, 3)), 25)[0]):
        (plain,), (checked,) = detector._find_upright(picture), detector.detect(picture)
        np.testing.assert_array_equal(plain.points, checked.points)
        assert plain.score == checked.score


def test_an_ordinary_picture_is_looked_through_once(photo: np.ndarray, upright: DetectedFace) -> None:
    looks: list[tuple[int, ...]] = []

    def find(image: np.ndarray) -> list[DetectedFace]:
        looks.append(image.shape)
        return [upright]

    check = UprightCheck()
    assert check.find(photo, find) == [upright]
    assert looks == [photo.shape]
    check.close()


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_detector_that_sees_every_face_upright_is_not_believed(
    photo: np.ndarray, upright: DetectedFace, quarters: int
) -> None:
    """As S3FD's boxes with 3DFAN in them: whatever way up the face is, there is one, and it is upright."""
    picture = np.ascontiguousarray(np.rot90(photo, quarters))
    middle = turned_back(upright, -quarters, picture.shape).points[:68, :2].mean(0)

    def find(image: np.ndarray) -> list[DetectedFace]:
        turns = next(n for n in range(4) if np.array_equal(np.rot90(picture, n), image))
        place = points_turned_back(middle[None], -turns, image.shape)[0]
        points = upright.points.copy()
        points[:, :2] += place - upright.points[:68, :2].mean(0)
        return [DetectedFace(points)]

    check = UprightCheck()
    (face,) = check.find(picture, find)
    assert_alike(face.points, turned_back(upright, -quarters, picture.shape).points)
    check.close()


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_one_upright_and_one_that_lies_or_stands_on_its_head(
    detector: Detector, photo: np.ndarray, upright: DetectedFace, quarters: int
) -> None:
    other = np.ascontiguousarray(np.rot90(photo, quarters))
    beside = np.pad(other, ((0, photo.shape[0] - other.shape[0]), (0, 0), (0, 0)), mode="edge")
    first, second = sorted(
        detector.detect(np.ascontiguousarray(np.hstack([photo, beside]))), key=lambda face: face.points[30, 0]
    )
    assert_alike(first.points, upright.points)
    there = points_turned_back(upright.points, -quarters, other.shape) + np.array([photo.shape[1], 0, 0])
    assert_alike(second.points, there)


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "immunohistochemistry", "brick", "text"])
def test_nothing_is_a_face_at_no_turn(detector: Detector, name: str) -> None:
    picture = np.asarray(getattr(skimage.data, name)())
    picture = np.dstack([picture] * 3) if picture.ndim == 2 else picture
    for quarters in range(4):
        assert detector.detect(np.ascontiguousarray(np.rot90(picture, quarters))) == []


def test_paintings_upside_down(detector: Detector) -> None:
    folder = portraits()
    if folder is None:
        pytest.skip("the paintings are not beside the repository")
    for path in sorted(folder.glob("*.jpg")):
        picture = read_image(path)
        (face,) = detector.detect(picture)
        for quarters in (1, 2, 3):
            (found,) = detector.detect(np.ascontiguousarray(np.rot90(picture, quarters)))
            assert_alike(found.points, turned_back(face, -quarters, np.rot90(picture, quarters).shape).points)


@pytest.mark.parametrize("degrees", [90, 180, 250])
def test_a_video_of_a_turned_face(tmp_path: Path, photo: np.ndarray, upright: DetectedFace, degrees: int) -> None:
    picture, wanted = turned(photo, upright.points, degrees)
    picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    frames = [np.roll(picture, 2 * number, axis=1) for number in range(6)]
    detector = MediaPipeDetector()
    track = track_of_video(write_video(tmp_path / "a.mkv", frames, options={"qp": "8"}), detector, None)
    detector.close()
    assert track.extra["detected"].all()
    for number, points in enumerate(track.points):
        assert_alike(points, wanted + np.array([2 * number, 0, 0]))


def test_a_head_that_rolls_right_round_is_followed(photo: np.ndarray, upright: DetectedFace) -> None:
    detector = MediaPipeDetector()
    for degrees in range(0, 361, 20):
        picture, wanted = turned(photo, upright.points, degrees)
        (face,) = detector.detect_next(picture)
        assert_alike(face.points, wanted)
    detector.close()


def test_a_face_that_stands_on_its_head_from_one_frame_to_the_next(photo: np.ndarray, upright: DetectedFace) -> None:
    """The picture is turned about the face, so that the place where it is followed stays the same."""
    middle = upright.points[:68, :2].mean(0)
    around = photo[: 2 * int(middle[1]), : 2 * int(middle[0])]
    detector = MediaPipeDetector()
    (first,) = detector.detect_next(np.ascontiguousarray(around))
    (second,) = detector.detect_next(np.ascontiguousarray(np.rot90(around, 2)))
    assert_alike(second.points, points_turned_back(first.points, 2, around.shape))
    detector.close()


def test_turned_there_and_back_is_the_same() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (70, 3)).astype(np.float32)
    for quarters in range(4):
        there = points_turned_back(points, -quarters, (200, 300) if quarters % 2 == 0 else (300, 200))
        shape = (200, 300)
        np.testing.assert_allclose(points_turned_back(there, quarters, shape), points, atol=1e-4)


@pytest.mark.parametrize(("degrees", "quarters"), [(0, 0), (60, 0), (-60, 0), (80, 1), (120, 1), (180, 2), (-150, 2),
                                                   (-90, 3)])  # fmt: skip
def test_how_often_a_picture_is_turned(degrees: float, quarters: int, upright: DetectedFace) -> None:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = upright.points.copy()
    points[:, :2] = (points[:, :2] - points[:, :2].mean(0)) @ turn.T
    assert quarter_turns(points) == quarters

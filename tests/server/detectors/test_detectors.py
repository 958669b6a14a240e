# SPDX-License-Identifier: GPL-3.0-or-later
"""Detectors find faces of every size, the same way each time, in the 70 points' order and depth."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.base import Detector
from portrait_server.detectors.installed_mediapipe import brings_its_networks
from portrait_server.detectors.pupils import with_pupils
from portrait_server.detectors.registry import (
    create_detector,
)
from portrait_server.media.images import read_image
from portrait_shared.landmarks import GROUPS

from tests.paths import portraits, real_clips


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    detector = create_detector("mediapipe")
    yield detector
    detector.close()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def points(detector: Detector, photo: np.ndarray) -> np.ndarray:
    (face,) = detector.detect(photo)
    return face.points


def group_middle(points: np.ndarray, name: str) -> np.ndarray:
    return points[list(GROUPS[name])].mean(0)


def test_points_lie_where_the_names_say(points: np.ndarray) -> None:
    assert points.shape == (70, 3)
    assert points.dtype == np.float32
    right_eye, left_eye = group_middle(points, "right_eye"), group_middle(points, "left_eye")
    # Read off the photograph by eye.
    np.testing.assert_allclose(right_eye[:2], (203, 101), atol=2)
    np.testing.assert_allclose(left_eye[:2], (246, 104), atol=2)
    np.testing.assert_allclose(points[30, :2], (223, 126), atol=3)
    np.testing.assert_allclose(group_middle(points, "inner_lip")[:2], (223, 144), atol=3)
    np.testing.assert_allclose(points[[68, 69], :2], [(203, 101), (247, 103.5)], atol=1.5)
    assert points[0, 0] < right_eye[0] < left_eye[0] < points[16, 0]
    assert (
        group_middle(points, "right_brow")[1]
        < right_eye[1]
        < points[33, 1]
        < points[51, 1]
        < points[57, 1]
        < points[8, 1]
    )


def test_pupils_belong_to_their_eyes(points: np.ndarray) -> None:
    for pupil, eye in ((68, "right_eye"), (69, "left_eye")):
        contour = points[list(GROUPS[eye]), :2].reshape(-1, 1, 2)
        assert cv2.pointPolygonTest(contour, tuple(map(float, points[pupil, :2])), True) > 0


def test_depth_is_smaller_nearer_the_viewer(points: np.ndarray) -> None:
    face_width = np.ptp(points[:17, 0])
    depth = points[[0, 16], 2].mean() - points[30, 2]
    assert 0.4 * face_width < depth < 1.2 * face_width


def test_a_shift_of_the_picture_shifts_the_points(detector: Detector, photo: np.ndarray, points: np.ndarray) -> None:
    (face,) = detector.detect(np.roll(photo, (40, 60), axis=(0, 1)))
    assert np.abs(face.points[:, :2] - points[:, :2] - (60, 40)).mean() < 0.5


def test_the_same_picture_gives_the_same_points(detector: Detector, photo: np.ndarray, points: np.ndarray) -> None:
    detector.detect(np.ascontiguousarray(photo[:, ::-1]))
    detector.detect_next(np.ascontiguousarray(photo[::2, ::2]))
    np.testing.assert_array_equal(detector.detect(photo)[0].points, points)


@pytest.mark.parametrize("scale", [0.2, 0.5, 2.0, 6.0])
def test_pictures_of_any_size(detector: Detector, photo: np.ndarray, points: np.ndarray, scale: float) -> None:
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    (face,) = detector.detect(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=way))
    # The face is 91 pixels wide; at a fifth of that the mesh is off by a pixel of the small picture.
    assert np.abs(face.points[:, :2] / scale - points[:, :2]).mean() < (3.5 if scale == 0.2 else 1.0)


@pytest.mark.parametrize("part", [1.2, 0.9, 0.75])
def test_a_face_that_fills_the_picture(detector: Detector, photo: np.ndarray, points: np.ndarray, part: float) -> None:
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    side = int((high - low).max() * part)
    x, y = ((low + high - side) / 2).astype(int)
    (face,) = detector.detect(cv2.resize(photo[y : y + side, x : x + side], (900, 900), interpolation=cv2.INTER_CUBIC))
    assert np.abs(face.points[:, :2] * side / 900 + (x, y) - points[:, :2]).mean() < 2


def test_a_small_face_in_a_large_picture(detector: Detector, photo: np.ndarray, points: np.ndarray) -> None:
    picture = np.full((2400, 3600, 3), 110, np.uint8)
    picture[700:1212, 2000:2512] = photo
    (face,) = detector.detect(picture)
    assert np.abs(face.points[:, :2] - points[:, :2] - (2000, 700)).mean() < 1


@pytest.mark.parametrize("degrees", [-40, 20, 60])
def test_tilted_heads_in_oblong_pictures(
    detector: Detector, photo: np.ndarray, points: np.ndarray, degrees: int
) -> None:
    turn = cv2.getRotationMatrix2D((220, 120), degrees, 1.0)
    turn[:, 2] += (300, 20)
    (face,) = detector.detect(cv2.warpAffine(photo, turn, (1100, 400), borderMode=cv2.BORDER_REPLICATE))
    expected = points[:, :2] @ turn[:, :2].T + turn[:, 2]
    assert np.linalg.norm(face.points[:, :2] - expected, axis=1).mean() < 2.5


def test_every_face_is_found_once_the_largest_first(detector: Detector, photo: np.ndarray) -> None:
    small = cv2.copyMakeBorder(cv2.resize(photo, (256, 256)), 0, 256, 0, 0, cv2.BORDER_REPLICATE)
    faces = detector.detect(np.hstack([small, photo, small]))
    assert len(faces) == 3
    assert faces[0].points[30, 0] == pytest.approx(256 + 222, abs=4)
    assert faces[0].area > 2 * faces[1].area
    assert faces[1].area == pytest.approx(faces[2].area, rel=0.1)


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "immunohistochemistry"])
def test_pictures_without_a_face(detector: Detector, name: str) -> None:
    assert detector.detect(np.ascontiguousarray(getattr(skimage.data, name)())) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 2), (70, 70)])
def test_pictures_of_odd_shapes(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []


def moving(photo: np.ndarray, frames: int) -> list[np.ndarray]:
    return [np.roll(photo, (2 * number, 3 * number), axis=(0, 1)) for number in range(frames)]


def test_a_fresh_detector_gives_the_same_track(photo: np.ndarray) -> None:
    tracks = []
    for _ in range(2):
        detector = create_detector("mediapipe")
        tracks.append(np.stack([detector.detect_next(image)[0].points for image in moving(photo, 6)]))
        detector.close()
    np.testing.assert_array_equal(*tracks)


def test_following_agrees_with_looking_afresh(photo: np.ndarray, detector: Detector) -> None:
    follower = create_detector("mediapipe")
    for image in [*moving(photo, 5), np.roll(photo, (250, 200), axis=(0, 1))]:  # the last one is a jump cut
        followed, afresh = follower.detect_next(image)[0], detector.detect(image)[0]
        assert np.abs(followed.points[:, :2] - afresh.points[:, :2]).mean() < 0.5
    assert follower.detect_next(np.zeros_like(photo)) == []
    assert len(follower.detect_next(photo)) == 1
    follower.close()


def test_the_real_clips_are_met_within_a_pixel(detector: Detector) -> None:
    clips = real_clips()
    if clips is None:
        pytest.skip("the real clips are not beside the repository")
    for clip in sorted(clips.iterdir()):
        with np.load(clip / "track.npz") as file:
            truth = file["points"]
        frames = range(0, len(truth), 8)
        found = np.stack([detector.detect(read_image(clip / f"{i + 1:04d}.jpg"))[0].points for i in frames])
        error = np.linalg.norm(found[..., :2] - truth[frames, :, :2], axis=2).mean()
        assert error < (1.0 if brings_its_networks() else 2.0), clip.name  # the truth is that network's own
        assert np.abs(found[..., 2] - truth[frames, :, 2]).mean() < 2.5, clip.name


def test_paintings_have_faces_too(detector: Detector) -> None:
    folder = portraits()
    if folder is None:
        pytest.skip("the paintings are not beside the repository")
    for path in sorted(folder.glob("*.jpg")):
        assert len(detector.detect(read_image(path))) == 1, path.name


def test_estimated_pupils_are_near_measured_ones(photo: np.ndarray, points: np.ndarray) -> None:
    estimated = with_pupils(photo, points[:68])
    assert estimated.shape == (70, 3)
    np.testing.assert_array_equal(estimated[:68], points[:68])
    for pupil, (inner, outer) in ((68, (36, 39)), (69, (42, 45))):
        eye_width = np.linalg.norm(points[inner, :2] - points[outer, :2])
        assert np.linalg.norm(estimated[pupil, :2] - points[pupil, :2]) < 0.12 * eye_width


@pytest.mark.parametrize("gaze", [-9, 0, 9])
def test_estimated_pupils_follow_the_gaze(gaze: int) -> None:
    """A drawn eye whose iris looks aside."""
    lids = np.array([[20, 50], [40, 36], [60, 36], [80, 50], [60, 64], [40, 64]], np.float32)
    image = np.full((100, 200, 3), (200, 160, 140), np.uint8)
    for left in (0, 100):
        cv2.fillPoly(image, [np.add(lids, (left, 0)).astype(np.int32)], (240, 240, 240))
        cv2.circle(image, (50 + left + gaze, 50), 11, (60, 40, 30), -1)
    face = np.zeros((68, 3), np.float32)
    face[36:42, :2], face[42:48, :2] = lids, np.add(lids, (100, 0))
    estimated = with_pupils(image, face)
    np.testing.assert_allclose(estimated[68:, 0], [50 + gaze, 150 + gaze], atol=2)
    np.testing.assert_allclose(estimated[68:, 1], 50, atol=2)


def test_the_pupil_of_a_closed_eye_is_its_middle() -> None:
    face = np.zeros((68, 3), np.float32)
    for eye in (range(36, 42), range(42, 48)):
        face[eye, 0], face[eye, 1] = (20, 40, 60, 80, 60, 40), (50, 49, 49, 50, 51, 51)
    estimated = with_pupils(np.zeros((100, 100, 3), np.uint8), face)
    np.testing.assert_allclose(estimated[68:, :2], [[50, 50], [50, 50]])

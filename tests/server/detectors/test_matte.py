# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's matte, on a photograph of an astronaut; the matte of a drawing, grown from its face."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.grown_matte import grown_matte
from portrait_server.detectors.matte import MarkedFace, person_matte, segmented
from portrait_server.detectors.registry import create_detector
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.geometry.reference_mesh import mesh_near, with_depth
from portrait_shared.landmarks import MESH_VERTICES

from tests import posing
from tests.server import drawn_faces


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return skimage.data.astronaut()


def test_a_segmentation_says_nothing(photo: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    assert segmented(photo).max() > 0.9
    assert capfd.readouterr() == ("", "")  # a shot has thousands of frames


def test_matte_tells_person_from_background(photo: np.ndarray) -> None:
    matte = person_matte(photo)
    assert matte.shape == photo.shape[:2]
    assert matte.dtype == np.float32
    assert matte.min() >= 0 and matte.max() <= 1
    assert matte[80:140, 195:245].min() > 0.95, "face"
    assert matte[300:450, 150:250].min() > 0.95, "suit"
    assert matte[:150, 330:].max() < 0.05, "shuttle"
    assert matte[:100, :100].max() < 0.05, "flag"


def test_mattes_edge_lies_on_the_pictures(photo: np.ndarray) -> None:
    matte = person_matte(photo)
    for row in (50, 70, 90):
        edge = int(np.argmax(matte[row, :226] > 0.5))
        brightness = cv2.GaussianBlur(photo[row : row + 1].mean(2), (5, 1), 0)[0]
        steepest = 120 + int(np.argmin(np.diff(brightness[120:200])))
        assert abs(edge - steepest) <= 6, f"row {row}: hair starts at {steepest}, the matte at {edge}"


def test_matte_is_the_same_again_and_at_twice_the_size(photo: np.ndarray) -> None:
    matte = person_matte(photo)
    np.testing.assert_array_equal(matte, person_matte(photo))
    large = person_matte(cv2.resize(photo, (1400, 1400), interpolation=cv2.INTER_CUBIC))
    assert large.shape == (1400, 1400)
    assert np.abs(cv2.resize(large, (512, 512), interpolation=cv2.INTER_AREA) - matte).mean() < 0.02


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (16, 300), (301, 17)])
def test_matte_of_pictures_without_anyone(shape: tuple[int, int]) -> None:
    matte = person_matte(np.full((*shape, 3), 128, np.uint8))
    assert matte.shape == shape
    assert np.isfinite(matte).all() and matte.min() >= 0 and matte.max() <= 1


def shared(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("draw", [drawn_faces.coloured, drawn_faces.lines_alone])
def test_a_drawn_figure_is_grown_from_its_face(draw: Callable[[], drawn_faces.DrawnFace]) -> None:
    face = draw()
    mesh = mesh_near(with_depth(face.points), None)
    matte = person_matte(face.image, faces=[MarkedFace(mesh, False)])
    assert matte.dtype == np.float32 and matte.min() >= 0 and matte.max() <= 1
    assert shared(matte > 0.5, face.figure) > 0.93
    assert matte[120:180, 75:165].min() > 0.95, "no hole in the face"
    np.testing.assert_array_equal(matte, person_matte(face.image, faces=[MarkedFace(mesh, False)]))


@pytest.mark.parametrize("yaw", [-85, 85])
def test_a_head_in_profile_is_grown_with_its_skull(yaw: float) -> None:
    """A statue's, before a wall that is not much darker."""
    points = posing.turned(neutral_mesh()[list(MESH_VERTICES)] * 150, yaw).astype(np.float32)
    behind = np.sign(yaw)
    points[:, :2] += (200 - 60 * behind, 190) - points[:68, :2].mean(0)
    mesh = mesh_near(points, None)
    figure = np.zeros((360, 400), np.uint8)
    cv2.fillConvexPoly(figure, cv2.convexHull(np.round(mesh[:468, :2]).astype(np.int32)), (1,))
    ear_x, ear_y = points[[0, 16], :2].mean(0).astype(int).tolist()
    back = int(behind)
    cv2.ellipse(figure, (ear_x + 15 * back, ear_y - 45), (88, 72), 0, 0, 360, (1,), -1)
    cv2.rectangle(figure, (ear_x + 20 * back - 45, ear_y), (ear_x + 20 * back + 45, 359), (1,), -1)
    light = np.linspace(0.8, 1.15, 400)[None, :, None]
    image = np.where(figure[..., None] > 0, (190, 182, 170) * light, (110, 112, 120) * light[:, ::-1])
    image = np.clip(image + np.random.default_rng(1).normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    grown = grown_matte(image, mesh)
    whole = cv2.resize(figure, grown.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert shared(grown > 0.5, whole) > 0.93


def test_a_photographed_persons_matte_stays_what_it_was(photo: np.ndarray) -> None:
    face = create_detector("mediapipe").detect(photo)[0]
    np.testing.assert_array_equal(person_matte(photo, faces=[MarkedFace(face.mesh478, True)]), person_matte(photo))
    by_hand = person_matte(photo, faces=[MarkedFace(mesh_near(face.points, None), False)])
    assert shared(by_hand > 0.5, person_matte(photo) > 0.5) > 0.85, "however it came about"


@pytest.mark.parametrize("scale", [0.05, 1.0, 40.0])
def test_a_face_of_any_size_and_place_has_a_matte(scale: float) -> None:
    face = drawn_faces.coloured()
    for shift in ((0, 0), (-400, 30), (90, 250)):
        mesh = mesh_near(with_depth(scale * (face.points - 120) + 120 + np.array(shift)), None)
        matte = person_matte(face.image, faces=[MarkedFace(mesh, False)])
        assert matte.shape == face.image.shape[:2] and np.isfinite(matte).all()


def test_beside_a_person_a_drawing_grows_too(photo: np.ndarray) -> None:
    drawn = drawn_faces.coloured()
    picture = photo.copy()
    picture[:300, 272:] = drawn.image
    person = create_detector("mediapipe").detect(photo)[0]
    beside = mesh_near(with_depth(drawn.points + np.float32((272, 0))), None)
    matte = person_matte(picture, faces=[MarkedFace(person.mesh478, True), MarkedFace(beside, False)])
    assert matte[80:140, 195:245].min() > 0.95, "the person's face"
    assert matte[120:180, 347:437].min() > 0.95, "the drawing's"
    assert matte[:20, :100].max() < 0.05


def test_the_wall_beside_a_neck_is_no_part_of_the_person(photo: np.ndarray) -> None:
    beside = slice(138, 170), slice(262, 282)  # between ear, jaw and collar
    wall = np.median(photo[138:170, 290:310], (0, 1))
    of_wall = np.abs(photo[beside] - wall).max(-1) < 16
    assert of_wall.sum() > 300
    assert np.percentile(person_matte(photo)[beside][of_wall], 95) < 0.1, (
        "it had .3 here, and a turned head drew it out"
    )

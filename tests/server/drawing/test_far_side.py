# SPDX-License-Identifier: GPL-3.0-or-later
"""What a turn brings into view of a face that the photo shows from one side."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.corpora.draft import margin
from portrait_server.corpora.rendered.head_model import HeadModel
from portrait_server.corpora.rendered.heads import RenderedHeads
from portrait_server.corpora.rendered.lights import random_light
from portrait_server.corpora.rendered.performance import random_performance
from portrait_server.corpora.rendered.renderer import Renderer
from portrait_server.corpora.rendered.shots import Studio, draw, take
from portrait_server.corpora.rendered.surroundings import CANVAS
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.drawing.eyes import EyeLayer
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.geometry.face_mesh import mirrored_vertices, neutral_mesh
from portrait_server.geometry.pose import rotation_of
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import GROUPS

from tests.posing import brows_raised, turned
from tests.server.drawing.unlit import draw_frames
from tests.server.moving import moved_to, person_at

SIDE = 512


def scene_of(engine: WarpEngine, photo: np.ndarray) -> tuple[Scene, np.ndarray]:
    """The photo's layers and its landmarks (70, 3)."""
    detector = MediaPipeDetector()
    (face,) = detector.detect(photo)
    detector.close()
    size = photo.shape[1], photo.shape[0]
    return engine.prepare([Reference(photo, face.points)]).scene(size), face.points


@pytest.fixture(scope="module")
def from_one_side(engine: WarpEngine) -> tuple[Scene, np.ndarray]:
    """The astronaut with her head turned to the picture's left, her near cheek painted green, as a photo."""
    photo = skimage.data.astronaut()
    frontal, points = scene_of(engine, photo)
    (away,) = draw_frames(OpenCV(), frontal, motion_of(frontal, turned(points, yaw=32)[None]), matte=False)
    _, there = scene_of(engine, away)
    cheek = there[13] + 0.25 * (there[30] - there[13])
    cv2.circle(away, (round(cheek[0]), round(cheek[1])), 9, (40, 200, 40), -1, cv2.LINE_AA)
    return scene_of(engine, away)


def green(image: np.ndarray) -> np.ndarray:
    """Where (x, y) it is green: (N, 2)."""
    low = image[..., :3].astype(int)
    return np.argwhere((low[..., 1] > low[..., 0] + 50) & (low[..., 1] > low[..., 2] + 50))[:, ::-1]


def test_each_vertex_has_its_mirrored_one() -> None:
    mirrored, face = mirrored_vertices(), neutral_mesh()[:468]
    assert sorted(mirrored) == list(range(468))
    np.testing.assert_array_equal(mirrored[mirrored], np.arange(468))
    assert mirrored[234] == 454 and mirrored[1] == 1
    middle = face[1, 0]
    np.testing.assert_allclose(face[mirrored, 0] - middle, middle - face[:, 0], atol=1e-6)


def test_a_face_seen_from_the_front_is_lent_nothing(engine: WarpEngine) -> None:
    scene, _ = scene_of(engine, skimage.data.astronaut())
    assert scene.far_side is None


def test_the_near_cheek_is_lent_to_the_far_one_as_it_comes_into_view(from_one_side: tuple[Scene, np.ndarray]) -> None:
    scene, points = from_one_side
    assert scene.far_side is not None
    target = turned(points, yaw=-32)
    found = green(person_at(scene, target))
    nose = target[30, 0]
    assert (found[:, 0] > nose + 10).sum() > 40, "the near cheek keeps its green"
    assert (found[:, 0] < nose - 10).sum() > 40, "the far one has the same"
    alone = green(person_at(replace(scene, far_side=None), target))
    assert (alone[:, 0] < nose - 10).sum() == 0
    solid = moved_to(scene, target).alpha[0, round(target[3, 1]), round(target[3, 0]) + 12]
    assert solid > 240, "and its matte covers the cheek"


@pytest.mark.parametrize("yaw", [0, 4, 20])
def test_nothing_is_lent_where_nothing_new_comes_into_view(from_one_side: tuple[Scene, np.ndarray], yaw: float) -> None:
    scene, points = from_one_side
    target = turned(points, yaw=yaw, roll=3)
    lent, alone = moved_to(scene, target), moved_to(replace(scene, far_side=None), target)
    np.testing.assert_array_equal(lent.person, alone.person)
    np.testing.assert_array_equal(lent.alpha, alone.alpha)


def test_it_comes_into_view_gradually(from_one_side: tuple[Scene, np.ndarray]) -> None:
    scene, points = from_one_side
    alone = replace(scene, far_side=None)

    def added(yaw: float) -> float:
        motion = motion_of(scene, turned(points, yaw=yaw)[None])
        (lent,), (bare,) = (draw_frames(OpenCV(), shown, motion, matte=False) for shown in (scene, alone))
        return float(np.abs(lent.astype(int) - bare).sum())

    series = np.array([added(-angle) for angle in range(0, 31)])
    assert series[0] == 0 and series[-1] > 1e5
    assert np.diff(series).max() < 0.15 * series.max(), "no degree brings it all"
    first = series[np.flatnonzero(series)[0]]
    assert first < 0.03 * series.max()


def test_what_is_lent_does_not_blink(from_one_side: tuple[Scene, np.ndarray]) -> None:
    """From a quarter of a degree to the next every pixel goes its way: it does not jump and come back."""
    scene, points = from_one_side
    shares = []
    for yaw in np.arange(-30, -20, 0.25):
        lent = moved_to(scene, turned(points, yaw=yaw)).lent
        assert lent is not None
        shares.append(OpenCV().laid(np.zeros((1, SIDE, SIDE), np.float32), *lent)[0])
    before, now, after = np.stack(shares[:-2]), np.stack(shares[1:-1]), np.stack(shares[2:])
    back_and_forth = np.minimum(np.abs(now - before), np.abs(now - after)) * ((now - before) * (now - after) > 0)
    assert (back_and_forth > 0.1).sum() < 20
    assert now.min() >= 0 and now.max() <= 1


def test_what_is_lent_reaches_the_border_of_the_picture(from_one_side: tuple[Scene, np.ndarray]) -> None:
    scene, points = from_one_side
    target = turned(points, yaw=-30)
    cheek = int(target[3, 0]) + 8
    shares = []
    for left in (0, cheek):
        lent = moved_to(scene, target - np.array([left, 0, 0], np.float32)).lent
        assert lent is not None
        shares.append(lent[1][0, int(target[3, 1]) - lent[0].y[0], cheek - left - lent[0].x[0]])
    assert shares[0] > 0.5 and abs(shares[0] - shares[1]) < 0.1


def test_the_lent_cheek_lies_in_the_far_side_s_light(
    engine: WarpEngine, from_one_side: tuple[Scene, np.ndarray]
) -> None:
    """The same face with light from one side: what the near side lends is as dark as what shows of the far one."""
    scene, _ = from_one_side
    across = np.linspace(0, 1, SIDE)[None, :, None]
    nose = scene.mesh.points[30, 0] / SIDE
    light = 1 - 0.6 / (1 + np.exp((across - nose) * 60))
    lit, points = scene_of(engine, np.uint8(scene.photo * light))
    assert lit.far_side is not None
    target = turned(points, yaw=-25)
    jaw = (target[3] + 0.3 * (target[33] - target[3]))[:2].astype(int)
    far, near = (
        np.median(person_at(lit, target)[jaw[1] - 4 : jaw[1] + 5, x - 4 : x + 5].astype(float))
        for x in (jaw[0], int(2 * target[33, 0] - jaw[0]))
    )
    assert far < 0.65 * near


def painted(eye: EyeLayer, texture: np.ndarray) -> EyeLayer:
    """The eyeball (h, w, 3) in other colours, where it rests and where it turns."""
    return replace(eye, texture=texture, white=texture, disc=texture)


def test_an_eye_behind_the_bridge_of_the_nose_is_hidden(from_one_side: tuple[Scene, np.ndarray]) -> None:
    scene, points = from_one_side
    magenta = tuple(painted(eye, np.full_like(eye.texture, (255, 0, 255))) for eye in scene.eyes)

    def shown(eye: int, yaw: float) -> int:
        """Pixels of the eyeball in a picture where it is magenta, in the lid's shade or not."""
        eyes = tuple(magenta[n] if n == eye else scene.eyes[n] for n in (0, 1))
        person = person_at(replace(scene, eyes=eyes), turned(points, yaw=yaw)).astype(int)
        return int((np.minimum(person[..., 0], person[..., 2]) - person[..., 1] > 90).sum())

    assert shown(0, 0) > 20 and shown(0, 40) < 0.1 * shown(0, 0), "the far one"
    assert shown(1, 40) > 0.5 * shown(1, 0), "the near one"


@pytest.mark.parametrize("brows", [-0.06, 0.06])
def test_an_eye_s_own_lids_and_brow_do_not_hide_it(from_one_side: tuple[Scene, np.ndarray], brows: float) -> None:
    scene, points = from_one_side
    target = brows_raised(points, brows)
    bare = replace(scene, eyes=tuple(painted(eye, 255 - eye.texture) for eye in scene.eyes))
    shown = np.abs(person_at(bare, target).astype(int) - person_at(scene, target)).max(-1) > 40
    for group in ("right_eye", "left_eye"):
        eye = cv2.fillConvexPoly(
            np.zeros((SIDE, SIDE), np.uint8),
            cv2.convexHull(np.round(target[list(GROUPS[group]), :2]).astype(np.int32)),
            1,
        )
        inner = cv2.erode(eye, np.ones((3, 3), np.uint8)) > 0
        assert shown[inner].mean() > 0.8


def test_a_far_half_that_the_photo_hides_is_nearer_to_the_truth(engine: WarpEngine, head: HeadModel) -> None:
    """Rendered heads, photographed from 35 degrees and turned to the front: the error of the half that was hidden falls."""
    errors: dict[bool, list[float]] = {True: [], False: []}
    for number, side in enumerate((-1, 1, -1, 1, -1, 1)):
        (photo, _), (truth, points) = (rendered(head, number, yaw) for yaw in (side * np.radians(35), 0.0))
        scene, _ = scene_of(engine, photo)
        hull = cv2.convexHull(points[:68, :2].astype(np.int32))
        far = cv2.fillConvexPoly(np.zeros(photo.shape[:2], np.uint8), hull, 1) > 0
        far &= side * (np.arange(photo.shape[1]) - points[27, 0]) > 0
        for lent in errors:
            shown = scene if lent else replace(scene, far_side=None)
            (frame,) = draw_frames(OpenCV(), shown, motion_of(shown, points[None]), matte=False)
            errors[lent].append(np.abs(frame.astype(int) - truth)[far].mean() / 255)
    assert np.mean(errors[True]) < 0.75 * np.mean(errors[False])


def rendered(head: HeadModel, number: int, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """A made-up person's picture (H, W, 3) with the head turned by so many radians, and the true landmarks (70, 3)."""
    rest = random_performance(np.random.default_rng(number), 0.0)
    posed = replace(rest, head=rotation_of(np.array([0, yaw, 0])), body=np.eye(3), place=np.zeros(2))
    person, light = RenderedHeads(head, held_out=True).person(number), random_light(np.random.default_rng(number))
    studio = Studio(person, light, np.full((CANVAS, CANVAS, 3), 96, np.uint8), 120.0)
    shot = take(studio, posed, 256, still=True, trembling=False, rng=np.random.default_rng(1))
    points = shot.points + np.array([margin(256), margin(256), 0])
    return draw(Renderer(), studio, shot, wide=True).image, points.astype(np.float32)

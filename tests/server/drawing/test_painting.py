# SPDX-License-Identifier: GPL-3.0-or-later
"""What painters are given of a frame, and how their painting comes back into it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from portrait_server.corpora.draft import draw_draft, wide_side, widened
from portrait_server.drawing.frame import Moved
from portrait_server.drawing.inside import Place, Teeth, rows_of_teeth
from portrait_server.drawing.opening import patches_around
from portrait_server.drawing.painting import Placed, place, shift_person
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait
from portrait_server.geometry import face_mesh
from portrait_server.geometry.alignment import aligned_transform, compose, crop, inverse, transform_points
from portrait_server.geometry.crops import CROPS, LEFT_EYE, MOUTH, RIGHT_EYE, Crop, crop_transforms
from portrait_server.geometry.face_mesh import VERTEX_COUNT
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MIRROR

from tests.posing import looking, moved, speaking, turned
from tests.server.moving import moved_to

SIZE = (1024, 1024)  # a pixel of the crops is about one of the frame


@pytest.fixture(scope="module")
def photo(astronaut: Reference) -> WarpPortrait:
    return WarpEngine().prepare([astronaut])


@pytest.fixture(scope="module")
def scene(photo: WarpPortrait) -> Scene:
    return photo.scene(SIZE)


@pytest.fixture(scope="module")
def target(astronaut: Reference) -> np.ndarray:
    """Too far from the photo for anything of the face to stay still."""
    return moved(speaking(turned(astronaut.points, yaw=12), 0.1), 0.3)


@pytest.fixture
def draft(scene: Scene, target: np.ndarray) -> Moved:
    return moved_to(scene, target)


def nothing(crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """A shift and a colour."""
    return np.zeros((1, crop.side, crop.side, 2), np.float32), np.zeros((1, crop.side, crop.side, 3), np.float32)


def laid(placed: Placed, scene: Scene, draft: Moved, shift: np.ndarray, colour: np.ndarray) -> Moved:
    """The draft as it is painted; itself is left as it was."""
    painted = replace(draft, person=draft.person.copy())
    placed.lay(OpenCV(), scene, painted, shift, colour)
    return painted


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
def test_nothing_painted_leaves_the_frame(crop: Crop, scene: Scene, draft: Moved, target: np.ndarray) -> None:
    painted = laid(place(crop, target[None], scene), scene, draft, *nothing(crop))
    np.testing.assert_array_equal(painted.person, draft.person)


@pytest.mark.parametrize("crop", [MOUTH, LEFT_EYE], ids=["mouth", "left_eye"])
def test_what_is_painted_comes_where_the_crop_was(crop: Crop, scene: Scene, draft: Moved, target: np.ndarray) -> None:
    placed = place(crop, target[None], scene)
    before = placed.draft(OpenCV(), scene, draft)
    shift, colour = nothing(crop)
    colour[:, 20:60, 10:50, 0] = -0.2
    after = placed.draft(OpenCV(), scene, laid(placed, scene, draft, shift, colour))
    change = after.astype(float) - before
    well_lit = before[0, 24:56, 14:46, 0] > 60
    np.testing.assert_allclose(change[0, 24:56, 14:46, 0][well_lit], -51, atol=4)
    assert np.abs(change[..., 1:]).max() <= 1 and np.abs(change[0, 64:]).max() <= 1


def test_a_shift_is_of_the_crops_pixels(scene: Scene, draft: Moved, target: np.ndarray) -> None:
    placed = place(LEFT_EYE, target[None], scene)
    before = placed.draft(OpenCV(), scene, draft).astype(float)
    shift, colour = nothing(LEFT_EYE)
    shift[..., 0] = 3
    after = placed.draft(OpenCV(), scene, laid(placed, scene, draft, shift, colour))
    off = np.abs(after[0, 8:-8, 8:-8] - before[0, 8:-8, 11:-5])
    assert off.mean() < 2 < np.abs(after[0, 8:-8, 8:-8] - before[0, 8:-8, 8:-8]).mean()


def test_what_is_shifted_stays_sharp(scene: Scene, draft: Moved, target: np.ndarray) -> None:
    """A picture of a picture would lose more than a tenth."""
    placed = place(MOUTH, target[None], scene)
    shift, colour = nothing(MOUTH)
    shift[:] = 0.3

    def detail(person: np.ndarray) -> float:
        x, y = np.round(2 * target[57, :2]).astype(int)
        return float(cv2.Laplacian(person[0, y : y + 30, x - 40 : x + 40].astype(np.float32), cv2.CV_32F).std())

    assert detail(laid(placed, scene, draft, shift, colour).person) > 0.95 * detail(draft.person)


def test_where_nothing_moves_the_photo_stays(scene: Scene, astronaut: Reference) -> None:
    draft = moved_to(scene, astronaut.points)
    colour = np.ones((1, MOUTH.side, MOUTH.side, 3), np.float32)
    painted = laid(place(MOUTH, astronaut.points[None], scene), scene, draft, nothing(MOUTH)[0], colour)
    np.testing.assert_array_equal(painted.person, draft.person)


def test_what_shrinks_is_averaged(photo: WarpPortrait, target: np.ndarray) -> None:
    scene = photo.scene((64, 64))
    draft, placed = moved_to(scene, target), place(MOUTH, target[None], scene)
    shift, colour = nothing(MOUTH)
    colour[:, :, ::2], colour[:, :, 1::2] = 0.3, -0.3
    change = laid(placed, scene, draft, shift, colour).person.astype(float) - draft.person
    assert np.abs(change).max() < 16, "stripes of one pixel are none in a frame that has a pixel for five of them"


def test_a_frame_of_other_proportions_shows_the_same_crop(photo: WarpPortrait, target: np.ndarray) -> None:
    crops = []
    for size in (SIZE, (1200, 1000)):
        scene = photo.scene(size)
        crops.append(place(MOUTH, target[None], scene).draft(OpenCV(), scene, moved_to(scene, target)).astype(float))
    assert np.abs(crops[0] - crops[1]).mean() < 2


def test_a_face_outside_the_frame_is_not_painted(scene: Scene, target: np.ndarray) -> None:
    outside = target + np.float32([2000, 0, 0])
    draft, placed = moved_to(scene, outside), place(MOUTH, outside[None], scene)
    ones = np.ones((1, MOUTH.side, MOUTH.side, 3), np.float32)
    painted = laid(placed, scene, draft, ones[..., :2], ones)
    np.testing.assert_array_equal(painted.person, draft.person)


def test_left_eyes_are_told_of_as_right_ones_are(scene: Scene, astronaut: Reference) -> None:
    points = looking(astronaut.points, 0.2, 0.1)
    mirrored = points[list(MIRROR)] * np.float32([-1, 1, 1]) + np.float32([511, 0, 0])
    right, left = (
        place(crop, each[None], scene).raster(OpenCV()) for crop, each in ((RIGHT_EYE, points), (LEFT_EYE, mirrored))
    )
    assert right.shape == (1, RIGHT_EYE.side, RIGHT_EYE.side, 2) and (right > 127).mean((0, 1, 2)).min() > 0.02
    assert np.abs(right.astype(int) - left).mean() < 0.1


@pytest.mark.parametrize("pose", ["yaw", "roll", "shift"])
def test_drafts_are_the_same_in_training(pose: str, photo: WarpPortrait, scene: Scene, astronaut: Reference) -> None:
    points, side = astronaut.points, 256
    goal = {"yaw": turned(points, yaw=35), "roll": turned(points, roll=15), "shift": moved(points, 0.3)}[pose]
    before, after = aligned_transform(points, side), aligned_transform(goal, side)
    frame, size = widened(before, side), wide_side(side)
    found = photo.mesh.vertices[:VERTEX_COUNT].copy()
    aligned = transform_points(after, goal)
    learnt = draw_draft(
        crop(astronaut.image, frame, size), crop(np.round(photo.matte * 255).astype(np.uint8), frame, size),
        transform_points(before, points), transform_points(before, found), aligned, compose(after, inverse(before)),
    )  # fmt: skip
    for each in CROPS.values():
        picture = np.ascontiguousarray(learnt[..., :3])
        there = crop(picture, crop_transforms(each, aligned[None])[0], each.side)
        (drawn,) = place(each, goal[None], scene).draft(OpenCV(), scene, moved_to(scene, goal))
        assert np.abs(drawn.astype(int) - there).mean() < 5


def test_an_outline_that_hides_what_is_behind_stays_whole_when_it_is_shifted(
    scene: Scene, astronaut: Reference
) -> None:
    draft = moved_to(scene, turned(astronaut.points, yaw=30))
    folds = draft.field.folds
    assert folds is not None
    fold = cv2.resize(folds[0], SIZE) > 0
    everywhere = patches_around(np.array([[[0, 0], [1023, 1023]]]), 0, SIZE)
    shift = np.full((1, 1024, 1024, 2), 0.4, np.float32)
    shifted = replace(draft, person=draft.person.copy())
    shift_person(OpenCV(), scene, shifted, everywhere, np.eye(2, 3)[None], shift)
    (person,) = shifted.person
    simply = cv2.warpAffine(draft.person[0], np.array([[1, 0, 0.4], [0, 1, 0.4]]), SIZE,
                            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)  # fmt: skip
    assert np.abs(person.astype(int) - simply)[fold].max() < 40, "dots along the outline"
    assert not np.array_equal(person, simply)


@pytest.mark.parametrize(("opened", "lit"), [(0.05, True), (0.5, False)], ids=["speaking", "shouting"])
def test_no_teeth_are_painted_into_the_throat(scene: Scene, astronaut: Reference, opened: float, lit: bool) -> None:
    target = speaking(astronaut.points, opened)
    draft, placed = moved_to(scene, target), place(MOUTH, target[None], scene)
    colour = np.full((1, MOUTH.side, MOUTH.side, 3), 0.2, np.float32)
    painted = laid(placed, scene, draft, nothing(MOUTH)[0], colour)
    x, y = np.round(2 * target[[62, 66], :2].mean(0)).astype(int)
    assert (painted.person[0, y, x].astype(int) - draft.person[0, y, x] > 20).any() == lit
    x, y = np.round(2 * target[[51, 62], :2].mean(0)).astype(int)
    assert (painted.person[0, y, x].astype(int) - draft.person[0, y, x] > 20).any(), "the lip is painted"


def test_what_is_painted_is_white_in_the_picture_s_own_light(scene: Scene, target: np.ndarray, draft: Moved) -> None:
    """Painted light is blue; what comes of it where it was dark is as yellow as this picture's teeth."""
    yellow = replace(scene, mouth=replace(scene.mouth, teeth=np.array([200.0, 180, 140])))
    dark = replace(draft, person=np.full_like(draft.person, 12))
    placed, (shift, colour) = place(MOUTH, target[None], scene), nothing(MOUTH)
    colour[0, 54:64, 40:88] = (0.5, 0.55, 0.6)  # between the lips, not deep
    painted = laid(placed, yellow, dark, shift, colour).person[0, ..., :3].astype(float)
    lit = painted[painted[..., 0] > 100]
    assert len(lit) > 100
    assert (lit[:, 1] <= 0.93 * lit[:, 0] + 2).all() and (lit[:, 2] <= 0.78 * lit[:, 0] + 2).all()
    faint = laid(placed, yellow, dark, shift, colour * 0.05).person[0, ..., :3].astype(float)
    assert (faint[..., 2] - faint[..., 0]).max() > 0.5, "what is hardly changed is left alone"


def brightened(scene: Scene, target: np.ndarray, draft: Moved) -> tuple[np.ndarray, Place, tuple[Teeth, Teeth]]:
    """A draft that a grey light of 0.4 is painted over: its colours (H, W, 3), and where things are in its mouth."""
    colour = np.full((1, MOUTH.side, MOUTH.side, 3), 0.4, np.float32)
    painted = laid(place(MOUTH, target[None], scene), scene, draft, nothing(MOUTH)[0], colour)
    motion = draft.motion
    upper, lower = (motion.vertices[:, list(rim), :2] for rim in face_mesh.MOUTH)
    x, y = np.meshgrid(*(np.arange(1024, dtype=np.float32),) * 2)
    behind = Place(OpenCV(), upper, lower, x[None], y[None])
    bones = scene.mouth.bones(motion.turn, motion.skull, motion.jaw, motion.lips)
    return painted.person[0, ..., :3].astype(float), behind, rows_of_teeth(OpenCV(), behind, bones)


def test_a_painted_bar_behind_parted_teeth_becomes_flesh(scene: Scene, astronaut: Reference) -> None:
    """A grey light over a whole mouth whose jaw is down: less of it, and warmer, where neither row of teeth is."""
    target = speaking(astronaut.points, 0.06)
    target[list(range(5, 12)), 1] += 0.2 * np.linalg.norm(target[54, :2] - target[48, :2])
    draft = moved_to(scene, target)
    painted, behind, (above, below) = brightened(scene, target, replace(draft, person=np.full_like(draft.person, 12)))
    inside = (behind.depth > 0.04) & (behind.depth < 0.1) & (abs(behind.across) < 0.3)
    teeth, between = (
        painted[(inside & there)[0]].mean(0) for there in (above.bare > 0.9, (above.bare + below.bare) < 0.1)
    )
    assert between.mean() < 0.6 * teeth.mean()
    assert between[2] / between[0] < 0.9 * teeth[2] / teeth[0], "flesh is redder than teeth"


def test_no_light_is_painted_over_the_tongue_that_a_wide_mouth_shows(scene: Scene, astronaut: Reference) -> None:
    target = speaking(astronaut.points, 0.3)
    draft = moved_to(scene, target)
    painted, behind, (above, below) = brightened(scene, target, draft)
    flesh = (behind.depth > 0.04) & (abs(behind.across) < 0.3) & (above.bare + below.bare < 0.01)
    assert flesh.sum() > 500
    assert (painted - draft.person[0, ..., :3])[flesh[0]].max() < 3


def test_painted_teeth_stay_dark_behind_rounded_lips(scene: Scene, astronaut: Reference) -> None:
    shut = replace(scene, mouth=replace(scene.mouth, shown=0.0))
    usual, narrow = speaking(astronaut.points, 0.1), speaking(astronaut.points, 0.1)
    middle = narrow[list(MOUTH.middle), 0].mean()
    narrow[48:68, 0] = middle + 0.35 * (narrow[48:68, 0] - middle)
    lights = []
    for target in (usual, narrow):
        draft = moved_to(shut, target)
        painted, behind, (above, _) = brightened(shut, target, draft)
        teeth = (behind.depth > 0.04) & (abs(behind.across) < 0.3) & (above.bare > 0.9) & (above.gaps < 0.02)
        lights.append((painted - draft.person[0, ..., :3])[teeth[0]].mean())
    assert lights[1] < 0.5 * lights[0]

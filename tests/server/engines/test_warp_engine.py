# SPDX-License-Identifier: GPL-3.0-or-later
"""What the warp engine draws, on a photograph of an astronaut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait

from tests.posing import blinking, brows_raised, looking, moved, smiling, speaking, turned

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


@pytest.fixture(scope="module")
def shut_mouth(engine: WarpEngine, photo: np.ndarray, points: np.ndarray) -> tuple[WarpPortrait, np.ndarray]:
    """A portrait whose lips are closed: the photo's smile, cut shut along the lips' line; and its points."""
    target = points.copy()
    for above, below in ((61, 67), (62, 66), (63, 65)):
        target[[above, below]] = (points[above] + points[below]) / 2
    portrait = engine.prepare([Reference(photo, points)])
    closed = engine.render(portrait, target[None], SIZE, False)[0]
    return engine.prepare([Reference(closed, target)]), target


def frame(engine: WarpEngine, portrait: WarpPortrait, target: np.ndarray, matte: bool = False) -> np.ndarray:
    return engine.render(portrait, target[None], SIZE, matte)[0]


def boxed(image: np.ndarray, points: np.ndarray, margin: int = 0) -> np.ndarray:
    """The part of an image around points (N, 2 or 3)."""
    low, high = points[:, :2].min(0).astype(int) - margin, points[:, :2].max(0).astype(int) + 1 + margin
    return image[low[1] : high[1], low[0] : high[0]].astype(float)


def test_the_references_points_give_back_the_photo(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    np.testing.assert_array_equal(frame(engine, portrait, points), photo)
    np.testing.assert_array_equal(frame(engine, portrait, points[:, :2]), photo)
    np.testing.assert_array_equal(frame(engine, portrait, points, matte=True)[..., :3], photo)


def test_a_hair_beside_them_is_a_hair_beside_the_photo(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    near = frame(engine, portrait, points + np.array([0.02, 0, 0], np.float32))
    gap = np.abs(near.astype(int) - photo)
    assert gap.mean() < 0.3
    assert np.percentile(gap, 99.5) <= 8


def test_frames_do_not_depend_on_their_batch_or_on_threads(
    engine: WarpEngine, portrait: WarpPortrait, points: np.ndarray
) -> None:
    rows = np.stack([turned(points, yaw=y) for y in (-10, 0, 5)] + [blinking(points), speaking(points)])
    together = engine.render(portrait, rows, SIZE, True)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = [frame(engine, portrait, row, matte=True) for row in rows[::-1]][::-1]
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(together, np.stack(alone))


def test_a_breath_lifts_the_shoulders_alone(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    bodies = np.array([[1, 0], [0, 0], [1, 0.5], [1, 1]], np.float32)
    asked = np.stack([points, points, points, points])
    out, still, half, whole = engine.render(portrait, asked, SIZE, True, bodies)
    assert np.array_equal(out[..., :3], photo) and np.array_equal(out, still)
    assert np.array_equal(engine.render(portrait, asked[:1], SIZE, True, bodies[3:])[0], whole), "alone as among others"
    np.testing.assert_allclose(boxed(whole, points[17:68]), boxed(out, points[17:68]), atol=4)
    gone, there = (np.flatnonzero(matte[:, 60] > 128)[0] for matte in (out[..., 3], whole[..., 3]))
    assert 2 <= gone - there <= 8, "the shoulder at the picture's left is a little higher"
    middle = [
        np.abs(breath[250:400, 100:250, :3].astype(int) - photo[250:400, 100:250]).mean() for breath in (half, whole)
    ]
    assert 1 < middle[0] < middle[1]
    assert np.abs(whole[-1, :, :3].astype(int) - photo[-1]).mean() < 8, (
        "the lowest row stays, but for what slides along"
    )


@pytest.mark.parametrize("yaw", [-20, 20])
def test_the_head_foreshortens_when_it_turns(
    engine: WarpEngine, portrait: WarpPortrait, points: np.ndarray, yaw: float
) -> None:
    target = turned(points, yaw=yaw)
    detector = MediaPipeDetector()
    (face,) = detector.detect(frame(engine, portrait, target))
    detector.close()
    gap = np.linalg.norm(face.points[17:68, :2] - target[17:68, :2], axis=1)
    assert gap.mean() < 2.5, "the detector finds the landmarks where they were sent"

    def nose_to_eyes(where: np.ndarray) -> float:
        return float((where[30, 0] - where[36, 0]) / (where[45, 0] - where[36, 0]))

    assert abs(nose_to_eyes(face.points) - nose_to_eyes(points)) > 0.1


def test_a_track_without_depth_turns_the_head_alike(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    target = turned(points, yaw=18, pitch=6)
    solid, flat = frame(engine, portrait, target), frame(engine, portrait, target[:, :2])
    change = np.abs(solid.astype(int) - photo).mean()
    assert np.abs(solid.astype(int) - flat).mean() < 0.05 * change


def test_the_background_does_not_swim(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    for target in (turned(points, yaw=25), turned(points, roll=15), moved(points, right=0.15, down=-0.05)):
        image = frame(engine, portrait, target)
        np.testing.assert_array_equal(image[BACKGROUND], photo[BACKGROUND])
        (stiff,) = engine.render(portrait, target[None], SIZE, False, np.float32([[0, 0]]))
        np.testing.assert_array_equal(stiff[400:], photo[400:], err_msg="shoulders that stay")
        assert np.abs(boxed(image, points).astype(int) - boxed(photo, points)).mean() > 5, "the head moved"


def test_what_the_head_uncovers_looks_like_the_background(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    image, matte = np.split(frame(engine, portrait, moved(points, right=0.3), matte=True), [3], axis=2)
    still = frame(engine, portrait, points, matte=True)[..., 3]
    uncovered = (still > 250) & (matte[..., 0] < 5)
    uncovered[130:] = False
    assert uncovered.sum() > 300
    wall = np.median(photo[10:60, 130:150].reshape(-1, 3), axis=0)
    assert np.abs(np.median(image[uncovered], axis=0) - wall).max() < 30


def test_a_blink_covers_the_iris(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    image = frame(engine, portrait, blinking(points))
    skin = np.median(boxed(photo, points[[29, 30, 33]], 2).mean(2))
    for pupil in (68, 69):
        open_, shut = boxed(photo, points[[pupil]], 2).mean(), boxed(image, points[[pupil]] - (0, 2, 0), 1).mean()
        assert open_ < 0.5 * skin
        assert shut > 0.6 * skin, "lid, not iris"
    # What a detector calls shut still has a gap: it is shut all the same, lash line and all.
    nearly = frame(engine, portrait, blinking(points, 0.75))
    for pupil in (68, 69):
        assert boxed(nearly, points[[pupil]] - (0, 2, 0), 1).mean() > 0.6 * skin


def test_one_eye_blinks_alone(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    image = frame(engine, portrait, blinking(points, 1, ("left",)))
    assert np.abs(boxed(image, points[42:48]) - boxed(photo, points[42:48])).mean() > 15
    assert np.abs(boxed(image, points[36:42]) - boxed(photo, points[36:42])).mean() < 2


@pytest.mark.parametrize("right", [-0.2, 0.2])
def test_a_gaze_moves_the_iris_and_not_the_lids(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray, right: float
) -> None:
    image = frame(engine, portrait, looking(points, right=right))
    for eye in (slice(36, 42), slice(42, 48)):
        wide = np.ptp(points[eye, 0])

        def darkest(picture: np.ndarray, eye: slice = eye) -> float:
            region = boxed(picture, points[eye]).mean(2)
            dark = region < np.percentile(region, 15)
            return float(np.nonzero(dark)[1].mean())

        shift = darkest(image) - darkest(photo)
        assert shift == pytest.approx(right * wide, abs=0.12 * wide)
    around = np.abs(image.astype(int) - photo).max(2)
    for eye in (slice(36, 42), slice(42, 48)):
        low, high = points[eye, :2].min(0).astype(int) - 2, points[eye, :2].max(0).astype(int) + 3
        around[low[1] : high[1], low[0] : high[0]] = 0
    assert around.max() <= 2, "nothing but the eyes has changed"


def test_what_a_rising_lid_bares_lies_in_its_shade(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    target = points.copy()
    for eye, lids in ((slice(36, 42), (37, 38)), (slice(42, 48), (43, 44))):
        target[list(lids), 1] -= 0.15 * np.ptp(points[eye, 0])
    image = frame(engine, portrait, target)
    for eye, lids in ((slice(36, 42), [37, 38]), (slice(42, 48), [43, 44])):
        column, row = target[lids].mean(0)[:2].round().astype(int)
        white = np.percentile(boxed(photo, points[eye]).mean(2), 95)
        assert image[row, column - 1 : column + 2].mean() < 0.8 * white, "no white arc above the iris"
        assert np.abs(boxed(image, points[[eye.start + 4]], 1) - boxed(photo, points[[eye.start + 4]], 1)).mean() < 6


def test_an_opening_mouth_is_dark_inside(engine: WarpEngine, shut_mouth: tuple[WarpPortrait, np.ndarray]) -> None:
    portrait, points = shut_mouth
    target = speaking(points, 0.18)
    image, closed = frame(engine, portrait, target), frame(engine, portrait, points)
    lips = np.median(boxed(closed, points[[57, 66]]).mean(2))
    middle = target[62] + 0.6 * (target[66] - target[62])
    assert boxed(image, middle[None], 2).mean() < 0.55 * lips


def test_a_mouth_that_shows_teeth_keeps_them(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    image = frame(engine, portrait, speaking(points, 0.1))
    teeth = boxed(photo, points[[61, 62, 63, 65, 66, 67]])
    assert np.abs(boxed(image, points[[61, 62, 63, 65, 66, 67]]) - teeth).mean() < 25, "the upper teeth stay"
    below = points[66] + (0, 5, 0)
    assert boxed(image, below[None], 2).mean() < 0.6 * boxed(photo, below[None], 2).mean(), "darkness below them"


def test_a_mouth_made_up_has_teeth_of_a_tooth_s_height(
    engine: WarpEngine, shut_mouth: tuple[WarpPortrait, np.ndarray]
) -> None:
    """The lower lip alone drawn far down: below the crowns there is gum, not teeth down to the lip."""
    portrait, points = shut_mouth
    wide = np.linalg.norm(points[64, :2] - points[60, :2])
    target = points.copy()
    for point, share in {55: 0.7, 56: 0.9, 57: 1, 58: 0.9, 59: 0.7, 65: 0.95, 66: 1, 67: 0.95}.items():
        target[point, 1] += share * 0.5 * wide
    image = frame(engine, portrait, target).astype(float)
    column = image[:, round(float(target[66, 0]))]
    line, lip = round(float(points[62:67:4, 1].mean())), round(float(target[66, 1]))
    teeth, below = column[line - 1], column[lip - round(0.1 * wide)]
    assert teeth.mean() > 1.3 * below.mean(), "teeth are the brightest"
    assert below[0] > 1.25 * below[2], "gum is red"


def test_a_closing_mouth_closes(engine: WarpEngine, shut_mouth: tuple[WarpPortrait, np.ndarray]) -> None:
    portrait, points = shut_mouth
    photo, image = portrait.image, frame(engine, portrait, brows_raised(points))
    lips = np.median(boxed(photo, points[[57, 66]]).mean(2))
    assert boxed(image, points[[61, 62, 63, 65, 66, 67]]).mean(2).max() < 1.15 * lips, "no teeth left"


def test_a_cheek_ends_softly_before_the_background(
    engine: WarpEngine, portrait: WarpPortrait, points: np.ndarray
) -> None:
    target = speaking(turned(points, yaw=-24, pitch=-5, roll=8), 0.12)
    matte = frame(engine, portrait, target, matte=True)[..., 3].astype(int)
    cheek = matte[int(target[14, 1]) : int(target[11, 1]), 250:330]
    assert np.median(np.abs(np.diff(cheek, axis=1)).max(1)) < 90, "no step from the person to the background"
    assert np.abs(np.diff(cheek.sum(1) / 255, 2)).mean() < 0.12, "nor one from row to row, pixels"


def test_brows_and_smile_move_what_they_should(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    raised, smile = frame(engine, portrait, brows_raised(points)), frame(engine, portrait, smiling(points))
    assert np.abs(boxed(raised, points[17:27]) - boxed(photo, points[17:27])).mean() > 4
    assert np.abs(boxed(raised, points[48:68]) - boxed(photo, points[48:68])).mean() < 1.5
    assert np.abs(boxed(smile, points[48:68]) - boxed(photo, points[48:68])).mean() > 4


def test_the_matte_moves_with_the_person(engine: WarpEngine, portrait: WarpPortrait, points: np.ndarray) -> None:
    still = frame(engine, portrait, points, matte=True)
    gone = frame(engine, portrait, moved(points, right=0.2), matte=True)
    assert still.shape == (512, 512, 4)
    for row in (40, 80):
        shift = np.argmax(gone[row, :, 3] > 127) - np.argmax(still[row, :, 3] > 127)
        assert shift == pytest.approx(0.2 * np.ptp(points[:68, :2], axis=0).max(), abs=4)
    assert gone[BACKGROUND][..., 3].max() < 20


def test_a_transparent_photo_is_as_sharp_as_an_opaque_one(
    engine: WarpEngine, photo: np.ndarray, points: np.ndarray, portrait: WarpPortrait
) -> None:
    cut = np.dstack([photo, np.round(portrait.matte * 255).astype(np.uint8)])
    transparent = engine.prepare([Reference(cut, points)])
    target = moved(points, right=0.2)
    one, other = (frame(engine, each, target)[..., 1] for each in (portrait, transparent))
    details = [float(cv2.Laplacian(boxed(image, target), cv2.CV_64F).std()) for image in (one, other)]
    assert details[1] > 0.9 * details[0]


def test_a_transparent_photo_stays_transparent(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray
) -> None:
    alpha = np.round(portrait.matte * 255).astype(np.uint8)
    cut = np.dstack([photo * (alpha[..., None] > 0), alpha])
    transparent = engine.prepare([Reference(cut, points)])
    np.testing.assert_array_equal(frame(engine, transparent, points), cut)
    for matte in (False, True):
        image = frame(engine, transparent, moved(points, right=0.2), matte)
        assert image.shape == (512, 512, 4)
        assert image[BACKGROUND][..., 3].max() < 5
        assert image[120, 250, 3] > 250
        edge = (image[..., 3] > 60) & (image[..., 3] < 250)
        assert image[edge][:, :3].mean() > 60, "no black rim"

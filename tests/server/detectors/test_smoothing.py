# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoothing takes trembling away and leaves blinks, gaze, speech and turns where they were."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.detectors.smoothing import smooth
from portrait_shared.landmarks import GROUPS
from scipy.spatial.transform import Rotation

FRAMES = 75
FPS = 25.0
TREMBLE = 0.3  # pixels, a third of a percent of the face: what MediaPipe's own is like


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    detector = create_detector("mediapipe")
    (found,) = detector.detect(skimage.data.astronaut())
    detector.close()
    return found.points.astype(np.float64)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, TREMBLE, (FRAMES, 70, 3))


def still(face: np.ndarray) -> np.ndarray:
    return np.repeat(face[None], FRAMES, axis=0)


def opening(track: np.ndarray, eye: str = "right_eye") -> np.ndarray:
    """(T,) distance between the lids' middles, pixels."""
    points = track[:, list(GROUPS[eye]), :2]
    return np.linalg.norm(points[:, [1, 2]].mean(1) - points[:, [5, 4]].mean(1), axis=1)


def with_blink(face: np.ndarray, closedness: list[float], first: int = 30) -> np.ndarray:
    track = still(face)
    for number, closed in enumerate(closedness, first):
        for eye in ("right_eye", "left_eye"):
            lids = list(GROUPS[eye])
            for upper, lower in ((lids[1], lids[5]), (lids[2], lids[4])):
                track[number, upper] += closed * (track[number, lower] - track[number, upper])
    return track


@pytest.mark.parametrize("closedness", [[0.5, 1.0, 0.5], [1.0, 1.0, 1.0], [0.7, 1.0, 0.3], [1.0]])
@pytest.mark.parametrize("tremble", [0, 1])
def test_a_short_blink_keeps_its_depth(
    face: np.ndarray, noise: np.ndarray, closedness: list[float], tremble: int
) -> None:
    track = with_blink(face, closedness) + tremble * noise
    before, after = opening(track), opening(smooth(track, FPS))
    depth_before, depth_after = np.median(before) - before[30:33].min(), np.median(after) - after[30:33].min()
    assert depth_after >= 0.9 * depth_before
    assert before[30:33].argmin() == after[30:33].argmin() or closedness == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("group", "remains"), [("jaw", 0.5), ("nose_bridge", 0.5), ("nose_base", 0.5), ("outer_lip", 0.8)]
)
def test_trembling_is_reduced(face: np.ndarray, noise: np.ndarray, group: str, remains: float) -> None:
    clean, indices = still(face), list(GROUPS[group])
    error = smooth(clean + noise, FPS)[:, indices, :2] - clean[:, indices, :2]
    assert error.std(axis=0).mean() <= remains * noise[:, indices, :2].std(axis=0).mean()


def test_a_head_turn_is_neither_delayed_nor_flattened(face: np.ndarray, noise: np.ndarray) -> None:
    """Two seconds for a turn to each side and back."""
    middle = face.mean(0)
    angles = np.radians(30) * np.sin(np.arange(FRAMES) / FPS * np.pi)
    turns = Rotation.from_rotvec(angles[:, None] * (0.0, 1.0, 0.0))
    clean = np.stack([turn.apply(face - middle) + middle for turn in turns])
    after = smooth(clean + noise, FPS)
    assert np.abs(after - clean).mean() < 0.5 * np.abs(noise).mean()
    nose = clean[:, 30, 0] - clean[:, 30, 0].mean()
    moved = after[:, 30, 0] - after[:, 30, 0].mean()
    assert moved.std() == pytest.approx(nose.std(), rel=0.02)
    delays = [float((nose[10:-10] * np.roll(moved, shift)[10:-10]).sum()) for shift in (-2, -1, 0, 1, 2)]
    assert np.argmax(delays) == 2


def test_speech_keeps_its_openings(face: np.ndarray, noise: np.ndarray) -> None:
    """Four syllables a second, the jaw with them."""
    clean = still(face)
    openings = 4 * np.maximum(0, np.sin(2 * np.pi * 4 * np.arange(FRAMES) / FPS))
    for index in (*range(55, 60), *range(65, 68), *range(6, 11)):
        clean[:, index, 1] += openings
    after = smooth(clean + noise, FPS)
    lips = after[:, 66, 1] - after[:, 62, 1]
    wanted = clean[:, 66, 1] - clean[:, 62, 1]
    assert np.corrcoef(lips, wanted)[0, 1] > 0.95
    assert np.ptp(lips) > 0.9 * np.ptp(wanted)


def test_a_glance_keeps_its_reach(face: np.ndarray, noise: np.ndarray) -> None:
    clean = still(face)
    clean[40:44, 68:70, 0] += 4.0
    after = smooth(clean + noise, FPS)
    reach = after[40:44, 68:70, 0].mean() - after[:30, 68:70, 0].mean()
    assert reach > 3.6


def test_what_does_not_move_stays(face: np.ndarray) -> None:
    np.testing.assert_allclose(smooth(still(face), FPS), still(face), atol=1e-3)


def test_backwards_in_time_gives_the_same(face: np.ndarray, noise: np.ndarray) -> None:
    track = with_blink(face, [0.5, 1.0, 0.5]) + noise
    np.testing.assert_allclose(smooth(track[::-1], FPS)[::-1], smooth(track, FPS), atol=0.02)


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 6, 8, 9])
@pytest.mark.parametrize("fps", [1.0, 25.0, 120.0])
def test_short_tracks(face: np.ndarray, noise: np.ndarray, frames: int, fps: float) -> None:
    track = (still(face) + noise)[:frames]
    after = smooth(track, fps)
    assert after.shape == track.shape
    assert after.dtype == np.float32
    assert np.abs(after - track).max() < 6 * TREMBLE

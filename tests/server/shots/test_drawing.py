# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame of a shot whose face is changed: what moves, what does not by a bit, and where what is drawn ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.engines.base import Engine
from portrait_server.engines.registry import create_engine
from portrait_server.shots.drawing import FrameDrawer
from portrait_server.shots.region import Region
from portrait_shared.landmarks import GROUPS
from portrait_shared.track import LandmarkTrack

SIZE = (960, 540)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """A wide shot: the photograph before a wall of noise."""
    wall = np.random.default_rng(4).integers(90, 160, (SIZE[1], SIZE[0], 3), np.uint8)
    wall[14:526, 100:612] = skimage.data.astronaut()
    return wall


@pytest.fixture(scope="module")
def performance(frame: np.ndarray) -> LandmarkTrack:
    detector = MediaPipeDetector()
    face = detector.detect(frame)[0]
    detector.close()
    assert face.mesh478 is not None
    return LandmarkTrack(face.points[None], SIZE, extra={"mesh478": face.mesh478[None]})


@pytest.fixture(scope="module")
def engine() -> Engine:
    return create_engine("warp", "cpu")


def opened(points: np.ndarray, pixels: float = 8) -> np.ndarray:
    """The mouth opened by so many pixels."""
    target = points.copy()
    target[[55, 56, 57, 58, 59, 65, 66, 67], 1] += pixels
    target[list(GROUPS["jaw"])[5:12], 1] += pixels
    return target


def changed(before: np.ndarray, after: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what differs."""
    rows, columns = np.nonzero((before != after).any(-1))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_unchanged_points_give_the_frame_itself(engine: Engine, frame: np.ndarray, performance: LandmarkTrack) -> None:
    drawer = FrameDrawer(engine, performance, [frame].__getitem__)
    assert drawer.draw(frame, 0, performance.points[0]) is frame
    assert drawer.draw(frame, 0, performance.points[0, :, :2]) is frame


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_only_what_moves_differs(engine: Engine, frame: np.ndarray, performance: LandmarkTrack, kind: type) -> None:
    shown = frame if kind is np.uint8 else frame.astype(np.uint16) * 257
    before = shown.copy()
    drawn = FrameDrawer(engine, performance, [frame].__getitem__).draw(shown, 0, opened(performance.points[0]))
    assert drawn.dtype == kind and drawn.shape == shown.shape
    np.testing.assert_array_equal(shown, before)
    left, top, right, bottom = changed(shown, drawn)
    points = performance.points[0, :68, :2]
    nose, chin = points[30], points[8]
    assert left > points[:, 0].min() - 40 and right < points[:, 0].max() + 40
    assert top > nose[1] - 120 and chin[1] < bottom < chin[1] + 80
    differs = (drawn != shown).any(-1)
    assert differs[: int(nose[1]) - 20].sum() < 0.1 * differs.sum()
    mouth = np.s_[int(points[62, 1]) : int(points[57, 1]), int(points[60, 0]) : int(points[64, 0])]
    assert (drawn[mouth] != shown[mouth]).any(-1).mean() > 0.8


def test_transparency_stays(engine: Engine, frame: np.ndarray, performance: LandmarkTrack) -> None:
    alpha = np.full(frame.shape[:2], 255, np.uint8)
    alpha[:, 700:] = 40
    clear = np.dstack([frame, alpha])
    drawn = FrameDrawer(engine, performance, [frame].__getitem__).draw(clear, 0, opened(performance.points[0]))
    np.testing.assert_array_equal(drawn[..., 3], alpha)


def test_a_turned_head_ends_within_its_region(engine: Engine, frame: np.ndarray, performance: LandmarkTrack) -> None:
    found = performance.points[0]
    middle = found[:68].mean(0) + np.array([0, 20, 60])
    turn = np.array([[np.cos(0.15), 0, np.sin(0.15)], [0, 1, 0], [-np.sin(0.15), 0, np.cos(0.15)]])
    target = ((found - middle) @ turn.T + middle).astype(np.float32)
    drawn = FrameDrawer(engine, performance, [frame].__getitem__).draw(frame, 0, target)
    region = Region.around(found, target, SIZE)
    assert region is not None
    left, top, right, bottom = changed(frame, drawn)
    assert left >= region.corner[0] and top >= region.corner[1]
    assert right <= region.corner[0] + region.size[0] and bottom <= region.corner[1] + region.size[1]
    assert right - left > 1.2 * np.ptp(found[:68, 0])


def test_without_a_dense_mesh_one_is_found(engine: Engine, frame: np.ndarray, performance: LandmarkTrack) -> None:
    bare = LandmarkTrack(performance.points, SIZE)
    target = opened(performance.points[0])
    with_mesh, without = (
        FrameDrawer(engine, track, [frame].__getitem__).draw(frame, 0, target) for track in (performance, bare)
    )
    assert np.abs(with_mesh.astype(int) - without).mean() < 0.2


def test_threads_draw_what_one_does(engine: Engine, frame: np.ndarray, performance: LandmarkTrack) -> None:
    drawer = FrameDrawer(engine, performance, [frame].__getitem__)
    targets = [opened(performance.points[0], pixels) for pixels in (2, 5, 8, 11)]
    wanted = [drawer.draw(frame, 0, target) for target in targets]
    with ThreadPoolExecutor(4) as workers:
        for drawn, one in zip(workers.map(lambda target: drawer.draw(frame, 0, target), targets), wanted, strict=True):
            np.testing.assert_array_equal(drawn, one)


def test_a_face_outside_of_the_frame_leaves_it_alone(
    engine: Engine, frame: np.ndarray, performance: LandmarkTrack
) -> None:
    away = performance.points + np.float32([4000, 0, 0])
    drawer = FrameDrawer(engine, LandmarkTrack(away, SIZE), [frame].__getitem__)
    assert drawer.draw(frame, 0, opened(away[0])) is frame


def test_what_is_pasted_ends_softly_and_glides_with_the_face() -> None:
    points = np.zeros((70, 3), np.float32)
    points[:68, 0], points[:68, 1] = np.linspace(400, 500, 68), np.linspace(200, 300, 68)
    own = np.full((540, 960, 3), 100, np.uint8)
    region = Region.around(points, points, SIZE)
    assert region is not None
    shown = region.paste(own, np.full((region.size[1], region.size[0], 3), 200, np.uint8))[..., 0].astype(int)
    row = shown[region.corner[1] + region.size[1] // 2]
    assert row.max() == 200 and row[region.corner[0] - 1] == 100 and np.abs(np.diff(row)).max() < 20
    moved = Region.around(points + np.float32([0.5, 0, 0]), points + np.float32([0.5, 0, 0]), SIZE)
    assert moved is not None
    later = moved.paste(own, np.full((moved.size[1], moved.size[0], 3), 200, np.uint8))[..., 0].astype(int)
    difference = np.abs(later - shown)
    assert 0 < difference.max() < 10
    np.testing.assert_allclose(shown.sum(), later.sum(), rtol=1e-3)


def test_at_the_frames_own_edge_nothing_fades() -> None:
    points = np.zeros((70, 3), np.float32)
    points[:68, 0], points[:68, 1] = np.linspace(10, 110, 68), np.linspace(20, 120, 68)
    own = np.full((540, 960, 3), 100, np.uint8)
    region = Region.around(points, points, SIZE)
    assert region is not None and region.corner == (0, 0)
    shown = region.paste(own, np.full((region.size[1], region.size[0], 3), 200, np.uint8))
    assert (shown[0, 0] == 200).all()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rig changes of a filmed performance: nothing at rest, and otherwise the same in every frame's own pose."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_shared.head_poses import HeadPoses
from portrait_shared.landmarks import GROUPS, INDEX_OF
from portrait_shared.performance import Performance

from tests.blender.conftest import face_points
from tests.posing import turned

COUNT = 12
NOTHING = np.zeros((COUNT, 3))
MOUTH = [*GROUPS["outer_lip"], *GROUPS["inner_lip"]]
LIDS = [37, 38, 40, 41, 43, 44, 46, 47]


@pytest.fixture
def rest() -> np.ndarray:
    return face_points(1920, 1080)


@pytest.fixture
def filmed(rest: np.ndarray) -> np.ndarray:
    """A head that sways, comes nearer and speaks: (12, 70, 3); the first frame is the rest."""
    frames = []
    for index in range(COUNT):
        face = rest.copy()
        opened = 40 * np.sin(index / 3) ** 2
        face[[65, 66, 67, 56, 57, 58], 1] += opened
        face[6:11, 1] += opened
        frames.append((turned(face, 3 * index, -index, 2 * index) - rest.mean(0)) * (1 + 0.01 * index) + rest.mean(0))
    frames[0] = rest
    drift = np.linspace(0, 90, COUNT)[:, None, None] * (1, 0.5, 0)
    return (np.array(frames) + drift * (np.arange(COUNT) > 0)[:, None, None]).astype(np.float32)


@pytest.fixture
def performance(filmed: np.ndarray, rest: np.ndarray) -> Performance:
    return Performance(filmed, rest)


def rig_of(points: np.ndarray) -> np.ndarray:
    """A rig that stands alike in every frame."""
    return np.repeat(points[np.newaxis], COUNT, 0)


def test_a_rig_at_rest_keeps_the_filmed_points_to_the_bit(performance: Performance, rest: np.ndarray) -> None:
    changed = performance.changed(np.arange(COUNT), rig_of(rest), NOTHING)
    assert changed.tobytes() == performance.points.tobytes()


def test_rows_may_be_asked_for_in_any_order(performance: Performance, rest: np.ndarray) -> None:
    moved = rest.copy()
    moved[MOUTH, 1] += 20
    whole = performance.changed(np.arange(COUNT), rig_of(moved), NOTHING)
    some = performance.changed(np.array([7, 2]), rig_of(moved)[:2], NOTHING[:2])
    np.testing.assert_array_equal(some, whole[[7, 2]])


def test_on_the_frame_that_it_rests_on_the_rig_is_taken_as_it_stands(
    performance: Performance, rest: np.ndarray
) -> None:
    acted = turned(rest, 15, 4, -8)
    acted[MOUTH, 1] += 12
    changed = performance.changed(np.array([0]), acted[np.newaxis], NOTHING[:1])
    np.testing.assert_allclose(changed[0], acted, atol=0.02)


def test_a_mouth_that_moves_leaves_every_other_point_where_it_was_filmed(
    performance: Performance, rest: np.ndarray
) -> None:
    moved = rest.copy()
    moved[MOUTH, 1] += 20
    changed = performance.changed(np.arange(COUNT), rig_of(moved), NOTHING)
    others = [point for point in range(70) if point not in MOUTH]
    assert (changed[:, others] == performance.points[:, others]).all()
    down = performance.poses.rotations[:, :, 1] * performance.poses.scales[:, None] * 20
    ways = (changed - performance.points)[:, MOUTH]
    np.testing.assert_allclose(ways, np.repeat(down[:, None], len(MOUTH), 1), atol=0.01)


def test_stable_points_that_an_expression_moves_turn_no_head(performance: Performance, rest: np.ndarray) -> None:
    moved = rest.copy()
    moved[[36, 39, 42, 45, 0], 1] += 6  # the lids' corners too, and one end of the jaw
    changed = performance.changed(np.arange(COUNT), rig_of(moved), NOTHING)
    assert (changed[:, MOUTH] == performance.points[:, MOUTH]).all()


def test_a_head_that_turns_takes_what_was_filmed_of_the_face_along(performance: Performance, rest: np.ndarray) -> None:
    changed = performance.changed(np.arange(COUNT), rig_of(turned(rest, 10)), NOTHING)
    turns = HeadPoses.of(changed, rest)
    np.testing.assert_allclose(turns.scales, performance.poses.scales, rtol=2e-3)
    on_still_head, filmed = turns.undo(changed), performance.poses.undo(performance.points)
    np.testing.assert_allclose(on_still_head, filmed, atol=0.5)
    angles = [np.degrees(np.arccos((np.trace(a.T @ b) - 1) / 2)) for a, b in
              zip(turns.rotations, performance.poses.rotations, strict=True)]  # fmt: skip
    np.testing.assert_allclose(angles, 10, atol=0.3)


def test_a_replaced_mouth_is_the_rests_and_stays_under_the_nose(performance: Performance, rest: np.ndarray) -> None:
    replaced = NOTHING + np.array((1, 0, 0))
    changed = performance.changed(np.arange(COUNT), rig_of(rest), replaced)
    on_still_head = performance.poses.undo(changed)
    inner = on_still_head[:, INDEX_OF["inner_lip_67"]] - on_still_head[:, INDEX_OF["inner_lip_63"]]
    np.testing.assert_allclose(inner, np.repeat((rest[66] - rest[62])[None], COUNT, 0), atol=0.05)
    upper = [*range(17, 48), 68, 69]
    assert (changed[:, upper] == performance.points[:, upper]).all()
    half = performance.changed(np.arange(COUNT), rig_of(rest), replaced / 2)
    np.testing.assert_allclose(half, (changed + performance.points) / 2, atol=0.02)


def test_a_blink_is_taken_out_and_the_pupil_under_it_comes_back(filmed: np.ndarray, rest: np.ndarray) -> None:
    filmed[5, [37, 38, 43, 44]] = filmed[5, [41, 40, 47, 46]] - (0, 1, 0)
    filmed[5, 68:] += (0, 30, 0)
    performance = Performance(filmed, rest)
    changed = performance.changed(np.arange(COUNT), rig_of(rest), NOTHING + np.array((0, 1, 0)))
    on_still_head = performance.poses.undo(changed)
    np.testing.assert_allclose(on_still_head[5, [*LIDS, 68, 69]], rest[[*LIDS, 68, 69]], atol=0.5)
    open_frames = [index for index in range(COUNT) if index != 5]
    assert (changed[open_frames, 68:] == filmed[open_frames, 68:]).all()


def test_the_frames_of_a_blink_are_found_from_any_of_them(filmed: np.ndarray, rest: np.ndarray) -> None:
    for frame, part in ((5, 0.5), (6, 0.95), (7, 0.4)):
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            filmed[frame, upper] += part * (filmed[frame, lower] - filmed[frame, upper])
    performance = Performance(filmed, rest)
    assert [performance.blink_at(row) for row in (4, 6, 8)] == [range(5, 8)] * 3
    assert performance.blink_at(2) is None


def test_a_replaced_gaze_looks_as_at_rest_whatever_was_filmed(filmed: np.ndarray, rest: np.ndarray) -> None:
    filmed[:, 68:, 0] += np.linspace(-25, 25, COUNT)[:, None].astype(np.float32)
    performance = Performance(filmed, rest)
    changed = performance.changed(np.arange(COUNT), rig_of(rest), NOTHING + np.array((0, 0, 1)))
    on_still_head = performance.poses.undo(changed)
    np.testing.assert_allclose(on_still_head[:, 68:], np.repeat(rest[None, 68:], COUNT, 0), atol=0.5)


def test_a_change_too_small_to_be_seen_is_none(performance: Performance, rest: np.ndarray) -> None:
    trembling = rest + np.float32(1 / 256)
    changed = performance.changed(np.arange(COUNT), rig_of(trembling), NOTHING)
    assert changed.tobytes() == performance.points.tobytes()

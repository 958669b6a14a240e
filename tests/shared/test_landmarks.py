# SPDX-License-Identifier: GPL-3.0-or-later
"""The 70 points' names, groups and symmetry hold together."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from portrait_shared.landmarks import GROUPS, INDEX_OF, LANDMARK_COUNT, MIRROR, NAMES, POLYLINES, STABLE

from tests.paths import real_clips


def test_groups_hold_each_point_once_in_order() -> None:
    assert list(chain.from_iterable(GROUPS.values())) == list(range(LANDMARK_COUNT))


def test_names_are_the_standard_ones() -> None:
    assert len(set(NAMES)) == len(NAMES) == LANDMARK_COUNT
    assert [NAMES[i] for i in (0, 16, 17, 30, 36, 47, 48, 67, 68, 69)] == [
        "jaw_01", "jaw_17", "right_brow_18", "nose_bridge_31", "right_eye_37", "left_eye_48",
        "outer_lip_49", "inner_lip_68", "right_pupil", "left_pupil",
    ]  # fmt: skip
    assert all(INDEX_OF[name] == index for index, name in enumerate(NAMES))


def test_mirroring_twice_changes_nothing_and_swaps_sides() -> None:
    assert sorted(MIRROR) == list(range(LANDMARK_COUNT))
    for index, other in enumerate(MIRROR):
        assert MIRROR[other] == index
        side, mirrored = NAMES[index].rsplit("_", 1)[0], NAMES[other].rsplit("_", 1)[0]
        swapped = side.replace("right", "?").replace("left", "right").replace("?", "left")
        assert mirrored == swapped


def test_only_the_middle_line_mirrors_onto_itself() -> None:
    middle = {index for index, other in enumerate(MIRROR) if index == other}
    assert middle == {8, 27, 28, 29, 30, 33, 51, 57, 62, 66}


def test_mirror_matches_a_frontal_face() -> None:
    clips = real_clips()
    if clips is None:
        pytest.skip("the real clips are not beside the repository")
    points = np.load(clips / "d0" / "track.npz")["points"]
    # The frame in which both jaw ends are as far from the nose.
    reach = np.abs(
        np.linalg.norm(points[:, 0] - points[:, 30], axis=1) - np.linalg.norm(points[:, 16] - points[:, 30], axis=1)
    )
    face = points[reach.argmin(), :, :2] - points[reach.argmin(), 27, :2]
    flipped = face[list(MIRROR)] * (-1, 1)
    assert np.linalg.norm(flipped - face, axis=1).max() < 0.2 * np.ptp(face[:, 0])


def test_lines_and_stable_points_exist() -> None:
    for indices, closed in POLYLINES:
        assert set(indices) <= set(range(68))
        assert not closed or len(indices) >= 6
    assert len(set(STABLE)) == len(STABLE) >= 4
    assert set(STABLE) <= set(range(68))
    assert {MIRROR[index] for index in STABLE} == set(STABLE)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which moments of a shot lend: those whose shape is wanted, of the same scene, changing smoothly."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.shots.facial_parts import LEFT_EYE, MOUTH, RIGHT_EYE
from portrait_server.shots.neighbours import Lending, Neighbours

from tests.server.shots.made_up_faces import face


def talking(count: int, most: float = 0.12) -> np.ndarray:
    """A mouth that opens over so many frames, from shut to wide."""
    return np.stack([face(mouth) for mouth in np.linspace(0, most, count)])


def of_mouth(found: list[Lending]) -> Lending:
    (lending,) = [each for each in found if each.part is MOUTH]
    return lending


def test_unchanged_points_are_lent_nothing() -> None:
    points = talking(12)
    neighbours = Neighbours(points)
    assert all(neighbours.of(index, points[index]) == [] for index in range(12))


def test_a_shut_mouth_finds_the_open_one_it_shall_become() -> None:
    points = talking(12)
    found = Neighbours(points).of(0, points[9])
    assert [each.part for each in found] == [MOUTH]
    lending = of_mouth(found)
    assert lending.rows[0] == 9 and lending.weights[0] > 0.7 and lending.share == 1
    near = of_mouth(Neighbours(points).of(0, points[9], left_out=[9]))
    assert 9 not in near.rows and set(near.rows) <= {7, 8, 10, 11} and sum(near.weights) == pytest.approx(1)


def test_lips_that_were_filmed_shut_do_not_stand_for_open_ones() -> None:
    """They would be drawn out to an opening filled with lip."""
    shut, parted = (Neighbours(np.stack([face(0.2), face(mouth), face(mouth)])) for mouth in (0.0, 0.03))
    assert shut.of(0, face(0.05)) == []
    assert of_mouth(parted.of(0, face(0.05))).share == 1
    assert of_mouth(shut.of(0, face(0.005))).share == 1


def test_where_the_head_is_and_how_large_does_not_matter() -> None:
    points = np.stack([face(), face(0.1, at=(500, 300), size=260), face(0.1, size=190), face(0.04)])
    lending = of_mouth(Neighbours(points).of(0, face(0.1)))
    assert set(lending.rows[:2]) == {1, 2}


def test_a_head_that_only_turns_keeps_its_own_mouth() -> None:
    own = face(0.03)
    angle, middle = np.radians(10), own.mean(0)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    turned = ((own - middle) @ turn.T + middle).astype(np.float32)
    # A mouth that is askew looks in the picture as this one does when it is turned.
    askew, shape = own.copy(), list(MOUTH.shape)
    askew[shape, :2] += ((turned - own)[shape] - (turned - own)[list(MOUTH.anchor)].mean(0))[:, :2]
    neighbours = Neighbours(np.stack([own, askew]))
    assert neighbours.of(0, turned) == [] and neighbours.of(0, turned[:, :2]) == []


def test_a_blink_is_found_for_both_eyes_and_taken_out_by_open_ones() -> None:
    points = np.stack([face(lids=lids) for lids in (0, 0, 0.03, 0.05, 0.03, 0)])
    shut = Neighbours(points).of(0, points[3])
    assert [each.part for each in shut] == [RIGHT_EYE, LEFT_EYE] and all(each.rows[0] == 3 for each in shut)
    opened = Neighbours(points).of(3, points[0])
    assert {each.part for each in opened} == {RIGHT_EYE, LEFT_EYE}
    assert all(set(each.rows[:2]) <= {0, 1, 5} for each in opened)


def test_nothing_is_lent_across_a_cut_nor_by_a_frame_without_a_face() -> None:
    points = talking(12)
    assert Neighbours(points, cuts=np.arange(12) == 6).of(0, points[9])[0].rows[0] == 5
    seen = np.ones(12, bool)
    seen[9] = False
    assert 9 not in of_mouth(Neighbours(points, seen).of(0, points[9])).rows
    assert Neighbours(points, np.zeros(12, bool)).of(0, points[9]) == []


def test_a_mouth_unlike_all_others_is_lent_nothing() -> None:
    assert Neighbours(talking(6, 0.02)).of(0, face(0.4)) == []


def test_who_lends_changes_smoothly() -> None:
    neighbours = Neighbours(talking(12))

    def counts(steps: int) -> np.ndarray:
        """How much each row counts (steps, 12) while the mouth opens."""
        rows = np.zeros((steps, 12))
        for step, mouth in enumerate(np.linspace(0, 0.12, steps)):
            for lending in neighbours.of(0, face(mouth)):
                rows[step, list(lending.rows)] = lending.share * np.array(lending.weights)
        return rows

    coarse, fine = counts(150), counts(600)
    assert (fine.max(0)[1:] > 0.5).all()
    # Were there jumps, smaller steps would not make them smaller.
    assert np.abs(np.diff(fine, axis=0)).max() < 0.35 * np.abs(np.diff(coarse, axis=0)).max()


def test_of_a_long_shot_few_moments_are_looked_at_and_show_all_of_it() -> None:
    points = np.tile(talking(40), (25, 1, 1)) + np.linspace(0, 0.3, 1000, dtype=np.float32)[:, None, None]
    neighbours = Neighbours(points)
    found = {row for index in range(1000) for each in neighbours.of(0, points[index]) for row in each.rows}
    assert 20 < len(found) <= 64
    assert all(of_mouth(neighbours.of(0, points[index])).share == 1 for index in range(20, 40))

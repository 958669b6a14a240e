# SPDX-License-Identifier: GPL-3.0-or-later
"""What tuning learns from and what it is measured by: never the same photograph where there are several."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from portrait_server.corpora.crops import CropPairs
from portrait_server.corpora.shards import Face
from portrait_server.networks.painters import PARTS
from portrait_server.tuning.samples import Person


def grey_faces(face: Face, count: int) -> list[Face]:
    """Photographs of one grey each, which tells them apart in whatever is made of them: 30, 50, 70, …"""
    return [dataclasses.replace(face, image=np.full_like(face.image, 30 + 20 * number)) for number in range(count)]


def shown(pictures: np.ndarray) -> set[int]:
    """Which of the grey faces crops (…, P, P, 3) are of: most of each is its grey."""
    return {round((float(np.median(each)) - 30) / 20) for each in pictures.reshape(-1, *pictures.shape[-3:])}


@pytest.mark.parametrize(("count", "left_out"), [(1, set()), (2, {1}), (7, {1, 6})], ids=str)
def test_one_photograph_in_five_is_left_out_of_learning(face: Face, count: int, left_out: set[int]) -> None:
    learnt = set(range(count)) - left_out
    measured = left_out or learnt
    person = Person(grey_faces(face, count))
    kinds: dict[str, dict[str, CropPairs]] = {"learnt": person.learnt(16, 1)} | person.held(6, 2)
    for part in PARTS:
        targets = {kind: shown(parts[part].target) for kind, parts in kinds.items()}
        assert targets == {"learnt": learnt, "photograph": measured, "copy": measured}
        assert shown(kinds["learnt"][part].references) == learnt
        # As a user will draw: from what was learnt from, and from re-posed copies of itself.
        references = shown(kinds["photograph"][part].references)
        assert references <= learnt | measured and references & learnt and references & measured


def test_held_out_pairs_follow_from_the_seed_and_differ(face: Face) -> None:
    person = Person([face])
    for part in PARTS:
        first, again, other = (person.held(3, seed)["copy"][part] for seed in (1, 1, 2))
        assert np.array_equal(first.draft, again.draft) and not np.array_equal(first.draft, other.draft)
        for one, two in pairwise(first.target):
            assert not np.array_equal(one, two)


def test_photographs_count_everywhere_and_copies_in_most_places(face: Face) -> None:
    held = Person([face]).held(4, 1)
    assert all((pairs.weight == 255).all() for pairs in held["photograph"].values())
    assert all((pairs.weight > 0).mean() > 0.5 for pairs in held["copy"].values())


def test_both_eyes_are_right_eyes_to_a_painter(face: Face) -> None:
    eyes = Person([face]).learnt(2, 1)["eye"]
    assert len(eyes) == 4
    outer, inner = eyes.points[:, :, 36], eyes.points[:, :, 39]  # a right eye's corners, from left to right
    assert (inner[..., 0] - outer[..., 0] > 20).all()

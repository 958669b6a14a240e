# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several faces is meant, and who is who from frame to frame."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.detectors.base import DetectedFace
from portrait_server.detectors.selection import same_person, select_face
from portrait_shared.errors import ErrorCode, PortraitError


def face_at(x: float, y: float = 100, size: float = 50) -> DetectedFace:
    generator = np.random.default_rng(0)
    points = generator.uniform(-0.5, 0.5, (70, 3)) * size + (x, y, 0)
    return DetectedFace(points.astype(np.float32))


def test_the_largest_face_is_the_default_and_numbers_count_from_the_left() -> None:
    right, left, middle = face_at(500, size=80), face_at(100), face_at(300, size=120)
    faces = [middle, right, left]
    assert select_face(faces) is middle and select_face(faces, 0) is middle
    assert [select_face(faces, number) for number in (1, 2, 3)] == [left, middle, right]


@pytest.mark.parametrize("number", [-1, 4])
def test_a_number_without_a_face_is_refused_with_the_places(number: int) -> None:
    with pytest.raises(PortraitError) as caught:
        select_face([face_at(500), face_at(100), face_at(300)], number)
    assert caught.value.code is ErrorCode.NO_SUCH_FACE
    places = [caught.value.message.index(place) for place in ("1 at (10", "2 at (30", "3 at (50")]
    assert places == sorted(places)
    assert "1 to 3" in caught.value.remedy


def test_no_face_is_refused() -> None:
    with pytest.raises(PortraitError, match=r"No face was found in a\.png") as caught:
        select_face([], where="a.png")
    assert caught.value.code is ErrorCode.NO_FACE


def test_the_same_person_is_the_nearest_not_the_largest() -> None:
    last, moved, larger = face_at(100), face_at(115), face_at(140, size=90)
    assert same_person(last, [larger, moved]) is moved
    assert same_person(last, [face_at(300)]) is None
    assert same_person(last, [face_at(100, size=200)]) is None
    assert same_person(last, [], 3) is None
    assert same_person(last, [face_at(160)]) is None
    assert same_person(last, [face_at(160)], lost_frames=10) is not None

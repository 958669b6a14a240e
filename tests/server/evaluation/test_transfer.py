# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion carried to another face leaves that face's own proportions."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.evaluation.transfer import transfer
from portrait_shared.errors import ErrorCode, PortraitError

from tests.posing import blinking, face_size, moved, speaking, turned

CENTRE = np.array([128, 128, 0])


@pytest.fixture
def face(astronaut: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return astronaut[1]


def opening(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[37] - points[41]))


def test_ones_own_motion_is_itself(face: np.ndarray) -> None:
    motion = np.stack([face, turned(face, 15, 5, 4), speaking(moved(face, 0.1, -0.1)), blinking(face)])
    np.testing.assert_allclose(transfer(face, motion), motion, atol=0.5)
    np.testing.assert_allclose(transfer(face, motion)[0], face, atol=1e-3)


def test_a_larger_face_elsewhere_moves_as_much_in_its_own_size(face: np.ndarray) -> None:
    motion = np.stack([face, turned(face, -12), speaking(face), moved(face, 0.2)])
    larger = ((motion - CENTRE) * 1.7 + CENTRE + np.array([30, -20, 0])).astype(np.float32)
    np.testing.assert_allclose(transfer(face, larger), transfer(face, motion), atol=0.5)


def test_proportions_stay(face: np.ndarray) -> None:
    wide = ((face - CENTRE) * np.array([1.2, 0.9, 1.1]) + CENTRE).astype(np.float32)
    still, away = transfer(wide, np.stack([face, moved(face, 0.25, 0.1)]))
    np.testing.assert_allclose(still - still.mean(0), wide - wide.mean(0), atol=1e-2)
    shift = away - still
    assert np.abs(shift - shift.mean(0)).max() < 0.5
    assert shift[:, 0].mean() == pytest.approx(0.25 * face_size(wide), rel=0.2)


def test_narrow_eyes_shut_and_no_further(face: np.ndarray) -> None:
    narrow = blinking(face, 0.3)
    shut = transfer(narrow, np.stack([face, blinking(face, 0.9)]))[1]
    assert opening(shut) == pytest.approx(0.1 * opening(narrow), abs=0.1 * opening(narrow))
    assert (shut[41] - shut[37])[1] > 0, "the lids crossed"


def test_depth_is_needed(face: np.ndarray) -> None:
    with pytest.raises(PortraitError) as caught:
        transfer(face[:, :2], np.stack([face[:, :2]]))
    assert caught.value.code is ErrorCode.BAD_TRACK

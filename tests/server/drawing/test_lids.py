# SPDX-License-Identifier: GPL-3.0-or-later
"""How far landmarks of the eyes are believed."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.drawing.lids import believed
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_shared.landmarks import EYES, MESH_VERTICES

from tests.posing import blinking, looking, turned


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """The landmarks (70, 2) of a mean face of 200 pixels."""
    return (neutral_mesh() * 200 + (256, 256, 0))[list(MESH_VERTICES)][:, :2]


def gaps(points: np.ndarray) -> np.ndarray:
    """Heights of the openings of frames (N, 70, 2): (N, 2)."""
    return np.stack([np.mean([points[:, b, 1] - points[:, a, 1] for a, b in eye.lids], 0) for eye in EYES], -1)


def test_a_face_as_in_the_photo_stays_as_it_is(face: np.ndarray) -> None:
    lids = believed(face[None], face[None])
    np.testing.assert_allclose(lids.points[0], face)
    assert not lids.shut.any()


def test_a_closing_lid_goes_farther_than_its_landmarks_and_never_back(face: np.ndarray) -> None:
    shares = np.linspace(0, 1, 41)
    target = np.stack([blinking(face, share) for share in shares])
    lids = believed(target, np.repeat(face[None], len(shares), 0))
    high, own = gaps(lids.points), gaps(target)
    assert (high <= own + 1e-9).all() and (np.diff(high, axis=0) <= 1e-9).all()
    assert (high[shares > 0.89] < 1e-9).all() and lids.shut[shares > 0.89].all()
    # Half shut by a rig, which has no detector's error, is half shut to look at.
    assert ((0.3 * high[0] < high[20]) & (high[20] < 0.45 * high[0])).all() and not lids.shut[20].any()
    # One eye does not tell anything of the other.
    wink = believed(blinking(face, 0.5, ("left",))[None], face[None])
    np.testing.assert_allclose(gaps(wink.points)[0], (high[0, 0], high[20, 1]))


def test_a_lower_lid_that_rises_alone_is_believed_and_one_beside_a_shut_lid_is_not(face: np.ndarray) -> None:
    below = [b for eye in EYES for _, b in eye.lids]
    squint = face.copy()
    squint[below, 1] -= 2.0
    np.testing.assert_allclose(believed(squint[None], face[None]).points[0, below], squint[below])
    shut = believed(blinking(face)[None], face[None])
    found = believed((blinking(face) - 3.0 * np.isin(np.arange(70), below)[:, None] * (0, 1))[None], face[None])
    np.testing.assert_allclose(found.points[0, below], shut.points[0, below], atol=0.4)
    up = face[below, 1] - shut.points[0, below, 1]
    assert (up > 0).all() and (up < 0.3 * gaps(face[None]).mean()).all()


def test_a_corner_that_trembles_stays_and_one_that_is_moved_moves(face: np.ndarray) -> None:
    for far, least, most in ((0.5, 0.0, 0.4), (10.0, 0.95, 1.0)):
        target = face.copy()
        target[36, 0] -= far
        target[39, 0] += far
        moved = face[36, 0] - believed(target[None], face[None]).points[0, 36, 0]
        assert least * far <= moved <= most * far


def test_lids_close_across_a_head_that_lies_on_its_side(face: np.ndarray) -> None:
    solid = np.column_stack([face, np.zeros(70)])
    still, shut = (
        turned(points, roll=90)[None, :, :2] for points in (solid, np.column_stack([blinking(face), 0 * face[:, 0]]))
    )
    lids = believed(shut, still)
    above, below = (np.array([pair[side] for eye in EYES for pair in eye.lids]) for side in (0, 1))
    np.testing.assert_allclose(lids.points[0, above], lids.points[0, below], atol=1e-3)
    assert lids.shut.all()


def test_no_white_shows_below_the_iris_of_an_eye_that_closes(face: np.ndarray) -> None:
    above = looking(face, down=-0.15)
    for share, far in ((0.0, 0.0), (0.5, 1.0)):
        pupils = believed(blinking(above, share)[None], face[None]).points[0, 68:, 1]
        assert ((pupils - above[68:, 1] > far) == (far > 0)).all()


def test_a_thin_slit_stays_until_an_eye_is_shut_and_the_upper_lid_goes_nine_tenths_of_the_way(face: np.ndarray) -> None:
    shares = np.array([0.75, 0.8, 1.0])
    target = np.stack([blinking(face, share) for share in shares])
    lids = believed(target, np.repeat(face[None], len(shares), 0))
    high = gaps(lids.points) / gaps(face[None])
    assert ((high[0] > 0.06) & (high[0] < 0.15)).all() and (high[1] > 0.01).all()
    assert not lids.shut[:2].any() and lids.shut[2].all()
    above, below = (np.array([pair[side] for eye in EYES for pair in eye.lids]) for side in (0, 1))
    fell, rose = (lids.points[2, above, 1] - face[above, 1]).mean(), (face[below, 1] - lids.points[2, below, 1]).mean()
    assert 0.85 < fell / (fell + rose) < 0.95

# SPDX-License-Identifier: GPL-3.0-or-later
"""Several faces of one picture on their way from client to server: checked, hashed, and no other frames than asked for."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_shared.digest import frame_digest, portrait_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import OtherFaces, check_others, checked_others
from portrait_shared.protocol.messages import Prepare, Render, decode

DIGEST = "a" * 64


def faces(frames: int, count: int, axes: int = 3) -> np.ndarray:
    return np.random.default_rng(frames).uniform(10, 90, (frames, count, 70, axes)).astype(np.float32)


def render(others: np.ndarray | None, bodies: np.ndarray | None = None) -> Render:
    return Render(
        1, DIGEST, (64, 48), False, "raw", 4, np.arange(3, dtype="<i4"), faces(3, 1)[:, 0], None, others, bodies
    )


def test_the_messages_carry_further_faces_and_are_as_before_without() -> None:
    bodies = np.full((3, 2, 2), 0.5, np.float32)
    came = decode(render(faces(3, 2, 2), bodies).encode())
    assert isinstance(came, Render) and came.other_faces is not None and came.other_faces.body is not None
    np.testing.assert_array_equal(came.other_faces.points, faces(3, 2, 2))
    np.testing.assert_array_equal(came.other_faces.body, bodies)
    asked = decode(Prepare(1, None, (DIGEST,), faces(1, 1)[0], None, faces(1, 4)[0]).encode())
    assert isinstance(asked, Prepare) and asked.others is not None and asked.others.shape == (4, 70, 3)
    assert b"other" not in render(None).encode()[0] + Prepare(1, None, (DIGEST,), faces(1, 1)[0]).encode()[0]


@pytest.mark.parametrize(
    ("others", "bodies"),
    [(faces(2, 2), None), (None, np.ones((3, 2, 2), np.float32)), (faces(3, 2), np.ones((3, 1, 2), np.float32)),
     (faces(3, 16), None), (faces(3, 1)[:, 0], None)],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(others: np.ndarray | None, bodies: np.ndarray | None) -> None:
    with pytest.raises(PortraitError) as caught:
        render(others, bodies)
    assert caught.value.code == ErrorCode.BAD_MESSAGE


def test_frames_must_say_of_each_face_where_it_is() -> None:
    size, numbers = (100, 100), [7, 8, 9]
    assert checked_others(None, numbers, size, 0) is None
    said = checked_others(OtherFaces(faces(3, 2), np.tile(np.float32([1, 0]), (3, 2, 1))), numbers, size, 2)
    assert said is not None and said.body is None, "the usual body is none at all"
    broken = faces(3, 2)
    broken[1, 1, 30] = np.nan
    for bad, count, what in (
        (None, 1, "1 further faces"), (OtherFaces(faces(3, 2)), 0, "0 further faces"), (OtherFaces(faces(3, 2)), 3, "3 further"),
        (OtherFaces(faces(2, 2)), 2, "3 frames"), (OtherFaces(broken), 2, "Frame 8, point 30"),
        (OtherFaces(faces(3, 2), np.ones((3, 2))), 2, "bodies"),
    ):  # fmt: skip
        with pytest.raises(PortraitError, match=what) as caught:
            checked_others(bad, numbers, size, count)
        assert caught.value.code == ErrorCode.BAD_POINTS
    for points in (faces(1, 16)[0], faces(1, 1)[0, 0], faces(1, 2, 2)[0], 1e6 * faces(1, 2)[0]):
        with pytest.raises(PortraitError):
            check_others(points, size)


def test_hashes_cover_every_face_and_its_body() -> None:
    row, two = faces(1, 1)[0, 0], faces(1, 2)
    asked = [
        None, OtherFaces(two), OtherFaces(two[:, ::-1]), OtherFaces(two[:, :1]), OtherFaces(two[..., :2]),
        OtherFaces(two, np.float32([[[1, 0.5], [1, 0]]])), OtherFaces(two, np.float32([[[1, 0], [1, 0.5]]])),
    ]  # fmt: skip
    digests = [frame_digest("p", row, (64, 48), False, None, others) for others in asked]
    assert len(set(digests)) == len(digests)
    assert digests[0] == frame_digest("p", row, (64, 48), False), "frames of one face stay valid"
    usual = OtherFaces(two, np.float32([[[1, 0], [1, 0]]]))
    assert frame_digest("p", row, (64, 48), False, None, usual) == digests[1]
    whole = OtherFaces(faces(5, 2), faces(5, 2)[:, :, 0, :2])
    assert whole.rows(3).hashed == OtherFaces(whole.points[3:4], whole.body[3:4]).hashed  # type: ignore[index]
    portraits = [portrait_digest("warp", "1", [("i", row)], others) for others in (None, two[0], two[0, ::-1])]
    assert len(set(portraits)) == 3 and portraits[0] == portrait_digest("warp", "1", [("i", row)])

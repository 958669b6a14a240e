# SPDX-License-Identifier: GPL-3.0-or-later
"""What frames say of a picture's further faces: where several are driven, these are all but the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from portrait_shared.body import check_body, is_usual
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode, PortraitError, described

MAX_OTHER_FACES: Final = 15
"""Of one picture, beside the first."""


def check_others(others: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """The one check of a picture's further faces; returns contiguous little-endian float32.

    Args:
        others: (F, 70, 3) pixels, 1 to `MAX_OTHER_FACES`.
        size: (width, height) of the picture, pixels; where None, points may lie anywhere.

    Raises:
        PortraitError: BAD_POINTS.
    """
    others = np.asarray(others)
    if others.ndim != 3 or not 1 <= len(others) <= MAX_OTHER_FACES or others.shape[2] != 3:
        raise PortraitError(
            ErrorCode.BAD_POINTS,
            f"The further faces of a picture must be (1 to {MAX_OTHER_FACES}, 70, 3) numbers, not {described(others)}.",
            "Give the landmarks of each further face with their depth, or leave `others` out.",
        )  # fmt: skip
    return check_points(others, size=size)


@dataclass(frozen=True, eq=False)
class OtherFaces:
    """The further faces of a picture in T frames, in the order in which the portrait has them.

    Attributes:
        points: (T, F, 70, 2 or 3) float32, pixels of the picture.
        body: (T, F, 2) float32, each face's own, see `portrait_shared.body`; None where all are as usual.
    """

    points: np.ndarray
    body: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def count(self) -> int:
        """How many further faces there are."""
        return int(self.points.shape[1])

    def rows(self, rows: np.ndarray | slice | int) -> OtherFaces:
        """Those of some of the frames, or of one."""
        rows = slice(rows, rows + 1) if isinstance(rows, int) else rows
        return OtherFaces(self.points[rows], None if self.body is None else self.body[rows])

    @property
    def hashed(self) -> bytes:
        """What content hashes take of them; a body where it is not the usual one."""
        points = np.ascontiguousarray(self.points, "<f4")
        body = (
            b""
            if self.body is None or is_usual(self.body)
            else b"body" + np.ascontiguousarray(self.body, "<f4").tobytes()
        )
        return f"others {points.shape[1:]}".encode() + points.tobytes() + body


def checked_others(
    others: OtherFaces | None, frames: Sequence[int] | np.ndarray, size: tuple[int, int], count: int
) -> OtherFaces | None:
    """The one check of what frames say of a picture's further faces.

    Args:
        frames: T frame numbers, for messages.
        size: (width, height) of the picture, pixels.
        count: how many further faces the portrait has.

    Returns:
        the same as contiguous little-endian float32, `body` None where it is the usual one; None where `count` is 0.

    Raises:
        PortraitError: BAD_POINTS, naming the frame.
    """
    if others is None and count == 0:
        return None
    points = None if others is None else np.asarray(others.points)
    if others is None or points is None or points.ndim != 4 or points.shape[:2] != (len(frames), count):
        raise PortraitError(
            ErrorCode.BAD_POINTS,
            f"The portrait has {count} further faces; {len(frames)} frames cannot say {described(points)} of them.",
            "Give each frame the points of every face that the portrait was prepared with.",
        )  # fmt: skip
    faces = np.stack([check_points(points[:, face], frames, size=size) for face in range(count)], 1)
    if others.body is None:
        return OtherFaces(faces)
    body = np.asarray(others.body)
    if body.ndim != 3 or body.shape[1] != count:
        raise PortraitError(
            ErrorCode.BAD_POINTS, f"What is said of {count} further bodies cannot be {described(body)}."
        )
    bodies = np.stack([check_body(body[:, face], frames) for face in range(count)], 1)
    return OtherFaces(faces, None if is_usual(bodies) else bodies)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What was filmed, and a change of it: the points of a shot's frames, moved as a rig says that rests on one of them.

A rig at rest changes nothing: its frames keep the shot's own points, to the bit. Else what the rig does on the frame that
it rests on, the head's turn and each point's own way, is done on every other frame, in that frame's own pose and size.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from portrait_shared.head_poses import HeadPoses
from portrait_shared.landmarks import EYES, GROUPS, Eye

REPLACEABLE: Final = ("mouth_replaced", "blinks_replaced", "gaze_replaced")
"""What of a performance can fade to the rest's, from 0, as filmed, to 1: the mouth's shape with the jaw, the lids'
opening, where the pupils look."""
SAME_PIXELS: Final = 1 / 64
"""A point that is changed by less stays where it was filmed."""
_GRID_PER_PIXEL: Final = 1024  # points leave a rig on this grid, see `plane_space.snap`
_MOUTH: Final = (*GROUPS["outer_lip"], *GROUPS["inner_lip"])
_NOSE_BASE: Final = GROUPS["nose_base"]
_JAW_SHARES: Final = {8 + side * step: share for step, share in enumerate((1.0, 1.0, 1.0, 1.0, 0.75, 0.4, 0.15))
                      for side in (-1, 1)}  # fmt: skip
_HIDDEN_BELOW: Final = 0.6  # of the opening at rest: lids that are nearer hide the pupil, whose place is then a guess
_SEEN_ABOVE: Final = 0.85
_BLINK_BELOW: Final = 0.8  # of the usual opening


class Performance:
    """The points of a shot's frames, and the one that a rig rests on.

    Attributes:
        points: (T, 70, 3) float32 pixels, as filmed.
        rest: (70, 3) float32 pixels, one of them or close to it.
    """

    def __init__(self, points: np.ndarray, rest: np.ndarray) -> None:
        self.points = np.asarray(points, np.float32)
        self.rest = np.asarray(rest, np.float32)

    @cached_property
    def poses(self) -> HeadPoses:
        """How the head lies in each frame, measured from the rest."""
        return HeadPoses.of(self.points, self.rest)

    def blink_at(self, row: int) -> range | None:
        """The frames of the blink that a frame is in or beside; None where the eyes are open there.

        Args:
            row: of the T frames.
        """
        face = self.poses.undo(self.points.astype(np.float64))
        opening = np.mean([_opening(face, eye) for eye in EYES], axis=0)
        shut = opening < _BLINK_BELOW * np.median(opening)
        near = [at for at in (row, row - 1, row + 1) if 0 <= at < len(shut) and shut[at]]
        if not near:
            return None
        first = last = near[0]
        while first > 0 and shut[first - 1]:
            first -= 1
        while last + 1 < len(shut) and shut[last + 1]:
            last += 1
        return range(first, last + 1)

    def changed(self, rows: np.ndarray, rig: np.ndarray, replaced: np.ndarray) -> np.ndarray:
        """The points of some frames, changed as a rig says.

        Args:
            rows: (N,) which of the T frames.
            rig: (N, 70, 3) where the rig's points are at them, pixels of the frame that it rests on.
            replaced: (N, 3) how far each of `REPLACEABLE` is the rest's.

        Returns:
            (N, 70, 3) float32; where the rig is at rest and nothing is replaced, `points[rows]` to the bit.
        """
        rows, filmed = np.asarray(rows), self.points[rows]
        result = filmed.copy()
        at_work = np.flatnonzero((rig != self.rest).any((1, 2)) | (np.asarray(replaced) > 0).any(1))
        if len(at_work):
            result[at_work] = self._changed(rows[at_work], np.asarray(rig)[at_work], np.asarray(replaced)[at_work])
        return result

    def _changed(self, rows: np.ndarray, rig: np.ndarray, replaced: np.ndarray) -> np.ndarray:
        poses, rest, filmed = self.poses[rows], self.rest.astype(np.float64), self.points[rows]
        face = poses.undo(filmed.astype(np.float64))
        _replace(face, rest, np.clip(replaced, 0.0, 1.0))
        turn = HeadPoses.of_most(rig, rest)
        own_ways = turn.undo(rig.astype(np.float64)) - rest
        goal = poses.carry(turn.carry(face + own_ways))
        goal = (np.round(goal * _GRID_PER_PIXEL) / _GRID_PER_PIXEL).astype(np.float32)
        same = np.linalg.norm(goal - filmed, axis=-1) < SAME_PIXELS
        return np.where(same[..., None], filmed, goal)


def _replace(face: np.ndarray, rest: np.ndarray, replaced: np.ndarray) -> None:
    """Fades parts of faces (N, 70, 3), seen on the head at rest, to the rest's (70, 3); each keeps its place on the face,
    which tells it from how the head's pose was measured."""
    mouth, blinks, gaze = replaced.T[..., None, None]
    under_nose = (face[:, _NOSE_BASE] - rest[list(_NOSE_BASE)]).mean(1, keepdims=True)
    for points, share in ((_MOUTH, 1.0), *(((point,), share) for point, share in _JAW_SHARES.items())):
        columns = list(points)
        face[:, columns] += mouth * share * (rest[columns] + under_nose - face[:, columns])
    for eye in EYES:
        corners, lids = list(eye.corners), [point for pair in eye.lids for point in pair]
        opening = _opening(face, eye) / np.maximum(_opening(rest[None], eye), 1e-6)
        hidden = np.clip((_SEEN_ABOVE - opening) / (_SEEN_ABOVE - _HIDDEN_BELOW), 0.0, 1.0)[:, None, None]
        between = (face[:, corners] - rest[corners]).mean(1, keepdims=True)
        face[:, lids] += blinks * (rest[lids] + between - face[:, lids])
        looks = np.maximum(gaze, blinks * hidden)
        face[:, [eye.pupil]] += looks * (rest[[eye.pupil]] + between - face[:, [eye.pupil]])


def _opening(face: np.ndarray, eye: Eye) -> np.ndarray:
    """The lids' mean distance in parts of the eye's width, (N,)."""
    width = np.linalg.norm(face[:, eye.corners[1]] - face[:, eye.corners[0]], axis=1)
    gaps = [np.linalg.norm(face[:, upper] - face[:, lower], axis=1) for upper, lower in eye.lids]
    return np.asarray(np.mean(gaps, axis=0) / np.maximum(width, 1e-6))

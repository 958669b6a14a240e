# SPDX-License-Identifier: GPL-3.0-or-later
"""A live sample to what the rig is set to at once: sliders, the head's turn and place. Knows nothing of bpy."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from portrait_shared.landmarks import LANDMARK_COUNT

from ..capture.head_pose import head_angles
from ..capture.solve import FrameSolver
from ..capture.transfer import most_neutral, transfer
from ..rig.armature import face_width, head_pivot
from ..rig.blendshapes_motion import FaceFrame
from .recorded import HEAD_ANGLES, HEAD_PLACES
from .source import Sample

_STEADY_SECONDS: Final = 1.0
_LEAST_SAMPLES: Final = 8
_STEADY: Final = 0.02  # of the distance between the outer eye corners: the trembling of a face that is held still
_PATIENCE_SECONDS: Final = 6.0
_AVERAGED_SECONDS: Final = 0.3
_ONE_SHOT: Final = np.zeros(1, int)


@dataclass(frozen=True)
class Pose:
    """What a sample sets; what is None or not named stays as it is.

    Attributes:
        sliders: {the name of a slider of the rig: its value}.
        angles: (3,) the head handle's ZXY Euler angles, radians.
        moves: (3,) pixels of the portrait, the head's shift in the picture's axes.
    """

    sliders: Mapping[str, float] = field(default_factory=dict)
    angles: np.ndarray | None = None
    moves: np.ndarray | None = None

    def over(self, before: Pose) -> Pose:
        """This one, and what it does not tell as it was before."""
        return Pose(
            {**before.sliders, **self.sliders},
            before.angles if self.angles is None else self.angles,
            before.moves if self.moves is None else self.moves,
        )


class Performer:
    """What one source tells, as poses of one portrait.

    Points are compared with the performer at rest: the first second in which they hold still, or what `set_neutral`
    takes; until then there is no pose. The head's turns of other sources count from what `set_neutral` takes.

    Attributes:
        neutral: (70, 3) pixels, the performer at rest; None before that is known, and where no points come.
        straight: pitch, yaw and roll of a head that looks straight ahead, radians.
    """

    def __init__(self, rest: np.ndarray) -> None:
        """Args:
        rest: (70, 3) pixels, the portrait at rest.
        """
        self.neutral: np.ndarray | None = None
        self.straight = (0.0, 0.0, 0.0)
        self._rest = np.asarray(rest, np.float64)
        self._width = face_width(self._rest)
        self._solver = FrameSolver(self._rest)
        self._recent: deque[Sample] = deque()

    @property
    def hint(self) -> str:
        """What the performer has to do now, or nothing."""
        waits = self.neutral is None and any(sample.points is not None for sample in self._recent)
        return "Look straight ahead with your face at rest, for a second" if waits else ""

    def see(self, sample: Sample) -> None:
        """Remembers a sample, for the face at rest; each that comes, whether it is shown or not."""
        self._recent.append(sample)
        while sample.arrived - self._recent[0].arrived > _PATIENCE_SECONDS:
            self._recent.popleft()
        if self.neutral is None and _has_points(sample):
            self._look_for_neutral(sample.arrived)

    def pose(self, sample: Sample) -> Pose | None:
        """What the rig is to be set to; None while that is not known."""
        if _has_points(sample):
            return self._of_points(np.asarray(sample.points, np.float64))
        sliders = {name: float(np.clip(value, 0.0, 1.0)) for name, value in sample.weights.items()}
        angles = None if sample.head is None else np.subtract(sample.head, self.straight)
        given = dict(sample.sliders)
        if given.keys() & set(HEAD_ANGLES):
            angles = np.array([given.pop(name, 0.0) for name in HEAD_ANGLES])
        moves = None
        if given.keys() & set(HEAD_PLACES):
            right, up, near = (self._width * given.pop(name, 0.0) for name in HEAD_PLACES)
            moves = np.array((right, -up, -near))
        return Pose({**sliders, **given}, angles, moves)

    def set_neutral(self) -> bool:
        """Takes the performer, as seen last, for one at rest who looks straight ahead; whether one was seen."""
        if not self._recent:
            return False
        since = self._recent[-1].arrived - _AVERAGED_SECONDS
        last = [sample for sample in self._recent if sample.arrived >= since]
        points = [sample.points for sample in last if _has_points(sample)]
        if points:
            self.neutral = np.mean(points, axis=0, dtype=np.float64)
        heads = [sample.head for sample in last if sample.head is not None]
        if heads:
            pitch, yaw, roll = np.mean(heads, axis=0).tolist()
            self.straight = (pitch, yaw, roll)
        return bool(points or heads)

    def _look_for_neutral(self, now: float) -> None:
        seen = [sample for sample in self._recent if _has_points(sample)]
        last = [sample for sample in seen if now - sample.arrived <= _STEADY_SECONDS]
        if len(last) < _LEAST_SAMPLES:
            return
        points = np.array([sample.points for sample in last], np.float64)
        whole = last[-1].arrived - last[0].arrived > 0.8 * _STEADY_SECONDS
        trembling = float(points[..., :2].std(axis=0).max()) / max(FaceFrame.of(points[0]).unit, 1e-6)
        if whole and trembling < _STEADY:
            self.neutral = points.mean(axis=0)
        elif now - seen[0].arrived > 0.9 * _PATIENCE_SECONDS:  # nobody holds still: the face nearest to rest has to do
            points = np.array([sample.points for sample in seen], np.float64)
            self.neutral = points[most_neutral(points)]

    def _of_points(self, points: np.ndarray) -> Pose | None:
        if self.neutral is None:
            return None
        performed = transfer(points[np.newaxis], self.neutral, self._rest, head_pivot(self.neutral), _ONE_SHOT)
        return Pose(self._solver.weights(performed.offsets[0]), head_angles(performed.rotations)[0], performed.moves[0])


def _has_points(sample: Sample) -> bool:
    """Whether it has points that can be used: cameras lose faces, and numbers come from outside."""
    points = sample.points
    return points is not None and np.shape(points) == (LANDMARK_COUNT, 3) and bool(np.isfinite(points).all())

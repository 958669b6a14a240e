# SPDX-License-Identifier: GPL-3.0-or-later
"""A recorded performance as a take on whole scene frames, smoothed and put in its place. Knows nothing of bpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from ..capture.head_pose import head_angles
from ..capture.solve import solve
from ..capture.takes import Take
from ..capture.timing import Placement
from ..capture.transfer import transfer
from ..importers.timecode import is_timecode, seconds_between
from ..rig.armature import face_width, head_pivot
from ..rig.blendshapes import ARKIT_NAMES
from .recorded import HEAD_ANGLES, HEAD_PLACES, Part, Recorded

_GAP_SECONDS: Final = 0.5
_EDGE_FRAMES: Final = 0.5  # the first and the last value hold so far, to the next whole frame
_SMOOTHED_SECONDS: Final = 0.2
_DEGREE: Final = 2
_VISIBLE: Final = 0.005


@dataclass(frozen=True)
class Keeping:
    """How a take is kept.

    Attributes:
        face, head: whether each gets keys.
        expression, head_motion: strength, 1 as performed.
        smoothing: 0 to 1.
        first: the scene frame at which it begins; where it was recorded if None.
    """

    face: bool = True
    head: bool = True
    expression: float = 1.0
    head_motion: float = 1.0
    smoothing: float = 0.0
    first: float | None = None


def frame_of_timecode(recorded: Recorded, start: str, first_frame: int, fps: float) -> float:
    """The scene frame at which a take begins by its timecode.

    Args:
        start: the timecode of the scene's first frame.
        first_frame: that frame.

    Raises:
        PortraitError: SCENE where the take has none, or `start` is none.
    """
    part = next((part for part in recorded.parts if part.timecode), None)
    if part is None:
        raise PortraitError(
            ErrorCode.SCENE, "The take has no timecode: what sent it tells none.", "Place it where it was recorded."
        )
    if not is_timecode(start):
        raise PortraitError(
            ErrorCode.SCENE, f"“{start}” is no timecode.", "Write the scene's as HH:MM:SS:FF, such as 01:00:00:00."
        )
    later = seconds_between(start, part.timecode, part.timecode_rate)
    before = (part.timecode_frame - recorded.span[0]) / recorded.fps
    return first_frame + (later - before) * fps


def take_of(recorded: Recorded, rest: np.ndarray, fps: float, keeping: Keeping) -> Take:
    """What was recorded, on whole scene frames.

    Args:
        rest: (70, 3) pixels, the portrait at rest.
        fps: the scene's frames per second now.

    Raises:
        PortraitError: SCENE where it meets no frame, or more than can be keyed.
    """
    begins = recorded.span[0]
    origin = begins if keeping.first is None else keeping.first
    placement = Placement(origin, fps)
    parts = [_Placed(part, (part.frames - begins) / recorded.fps, keeping.smoothing) for part in recorded.parts]
    edge = _EDGE_FRAMES / fps
    frames = placement.frames_between(-edge, max(part.seconds[-1] for part in parts) + edge)
    at = np.array([placement.seconds_of(frame) for frame in frames])
    there = np.any([part.covers(at, edge) for part in parts], axis=0)
    frames, at = frames[there], at[there]
    if not len(frames):
        raise PortraitError(ErrorCode.SCENE, "The take meets no frame of the scene.", "Record a longer one.")
    gathered = _Gathered()
    for part in parts:
        gathered.take_up(part, at, rest, fps)
    breaks = np.flatnonzero(np.diff(frames) > 1) + 1
    missing = tuple((int(frames[row - 1]) + 1, int(frames[row]) - 1) for row in breaks)
    return gathered.take(frames, breaks, missing, keeping, recorded.notes)


class _Placed:
    """A part of the recording, smoothed, with its seconds since the take's beginning."""

    def __init__(self, part: Part, seconds: np.ndarray, smoothing: float) -> None:
        self.part, self.seconds = part, seconds
        self._starts = np.flatnonzero(np.diff(seconds) > _GAP_SECONDS) + 1
        self._smoothing = smoothing

    def covers(self, at: np.ndarray, edge: float) -> np.ndarray:
        """(F,) whether it tells of a moment: not before it began, after it ended, or within a gap; each by an edge."""
        begins = np.array([self.seconds[0], *self.seconds[self._starts]])
        ends = np.array([*self.seconds[self._starts - 1], self.seconds[-1]])
        inside = (at[:, None] >= begins - edge) & (at[:, None] <= ends + edge)
        return np.asarray(inside.any(axis=1))

    def values(self, column: np.ndarray, at: np.ndarray) -> np.ndarray:
        """(F, …) a column (N, …) at some seconds."""
        flat = np.asarray(column, np.float64).reshape(len(column), -1)
        stretches = np.split(np.arange(len(flat)), self._starts)
        smooth = np.concatenate([_smoothed(flat[rows], self.seconds[rows], self._smoothing) for rows in stretches])
        found = np.stack([np.interp(at, self.seconds, values) for values in smooth.T], axis=1)
        return found.reshape(len(at), *np.shape(column)[1:])


def _smoothed(values: np.ndarray, seconds: np.ndarray, smoothing: float) -> np.ndarray:
    """(N, C) each value from the parabola through those around it (Savitzky and Golay 1964), which keeps peaks high."""
    if len(values) < _DEGREE + 2 or smoothing <= 0:
        return values
    apart = float(np.median(np.diff(seconds)))
    half = int(np.clip(_SMOOTHED_SECONDS * smoothing / 2 / max(apart, 1e-6), 0, (len(values) - 1) // 2))
    if 2 * half + 1 <= _DEGREE + 1:
        return values
    places = np.arange(-half, half + 1)
    weights = np.linalg.pinv(np.vander(places, _DEGREE + 1, increasing=True))[0]
    padded = np.pad(values, ((half, half), (0, 0)), mode="reflect", reflect_type="odd")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
    return np.asarray(windows @ weights)


class _Gathered:
    """What the parts of a recording say together; a later part's word counts."""

    def __init__(self) -> None:
        self._weights: dict[str, np.ndarray] = {}
        self._owned: dict[str, None] = {}
        self._sliders: dict[str, np.ndarray] = {}
        self._angles: np.ndarray | None = None
        self._moves: np.ndarray | None = None
        self._offsets: np.ndarray | None = None

    def take_up(self, placed: _Placed, at: np.ndarray, rest: np.ndarray, fps: float) -> None:
        part = placed.part
        if part.points is not None and part.neutral is not None:
            self._take_points(placed.values(part.points, at), part.neutral, rest, fps)
        for name, column in part.columns.items():
            if name in HEAD_ANGLES or name in HEAD_PLACES:
                continue
            values = placed.values(column, at)
            if name in ARKIT_NAMES:
                self._owned[name] = None
                self._weights[name] = np.clip(values, 0.0, 1.0)
            else:
                self._sliders[name] = values
        if any(name in part.columns for name in HEAD_ANGLES):
            self._angles = _together(placed, part.columns, HEAD_ANGLES, at) - part.straight
        if any(name in part.columns for name in HEAD_PLACES):
            moves = _together(placed, part.columns, HEAD_PLACES, at) * face_width(rest)
            self._moves = moves * (1.0, -1.0, -1.0)  # up and near are below 0 in the picture

    def _take_points(self, points: np.ndarray, neutral: np.ndarray, rest: np.ndarray, fps: float) -> None:
        shots = np.zeros(len(points), int)
        performed = transfer(points, neutral, rest, head_pivot(neutral), shots)
        solution = solve(performed.offsets, rest, fps, shots)
        self._owned.update(dict.fromkeys(ARKIT_NAMES))
        self._weights.update(solution.weights)
        self._offsets = solution.residual
        self._angles, self._moves = head_angles(performed.rotations), performed.moves

    def take(
        self, frames: np.ndarray, breaks: np.ndarray, missing: tuple[tuple[int, int], ...], keeping: Keeping,
        notes: tuple[str, ...],
    ) -> Take:  # fmt: skip
        def strong(values: np.ndarray | None, strength: float, wanted: bool) -> np.ndarray | None:
            return strength * values if values is not None and wanted else None

        weights = {name: np.clip(keeping.expression * values, 0.0, 1.0) for name, values in self._weights.items()}
        shown = {name: values for name, values in weights.items() if values.max() > _VISIBLE}
        return Take(
            frames, shown if keeping.face else {}, tuple(self._owned) if keeping.face else (), breaks,
            strong(self._angles, keeping.head_motion, keeping.head), strong(self._moves, keeping.head_motion, keeping.head),
            strong(self._offsets, keeping.expression, keeping.face), missing, (), notes,
            self._sliders if keeping.face else {},
        )  # fmt: skip


def _together(placed: _Placed, columns: Mapping[str, np.ndarray], names: tuple[str, ...], at: np.ndarray) -> np.ndarray:
    """(F, 3) columns side by side; 0 for one that was not sent."""
    still = np.zeros(len(at))
    return np.stack([placed.values(columns[name], at) if name in columns else still for name in names], axis=1)

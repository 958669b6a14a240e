# SPDX-License-Identifier: GPL-3.0-or-later
"""A take: what was captured, as values of the rig's sliders, head and points on scene frames, whatever its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import EYES
from portrait_shared.track import LandmarkTrack

from ..blender.problems import listed
from ..rig.armature import head_pivot
from ..rig.blendshapes import ARKIT_NAMES, shape_offsets
from .head_pose import head_angles
from .solve import combined, solve
from .timing import Placement, SceneTrack, to_scene
from .transfer import most_neutral, mouth_is_open, transfer

NEUTRAL_CHOICES: Final = ("FIRST", "FRAME", "AUTO")
_HALF_SHUT = 0.7


@dataclass(frozen=True)
class VideoOptions:
    """How a video's landmarks become keys.

    Attributes:
        neutral: FIRST frame with a face, a chosen FRAME, or AUTO for the most neutral one.
        neutral_frame: the chosen scene frame.
        sliders: key the sliders and give the points the rest; else the points alone.
        smoothing: 0 to 1.
        expression, head: strength of the face's and of the head's motion, 1 as performed.
    """

    neutral: str = "FIRST"
    neutral_frame: int = 1
    sliders: bool = True
    smoothing: float = 1.0
    expression: float = 1.0
    head: float = 1.0

    def __post_init__(self) -> None:
        if self.neutral not in NEUTRAL_CHOICES:
            raise ValueError(f"{self.neutral} is none of {NEUTRAL_CHOICES}")


@dataclass(frozen=True)
class Take:
    """What was captured, as values on scene frames, ready to be keyed; what is None or not named is not touched.

    Attributes:
        frames: (N,) rising scene frames.
        breaks: indices at which keys begin anew.
        weights: {ARKit name: (N,) 0 to 1}.
        owned: ARKit names whose keys in this range are replaced, also where `weights` lacks them.
        sliders: {another slider of the rig: (N,) its value}; those that the rig lacks are left out.
        angles: (N, 3) the head handle's ZXY Euler angles, radians.
        moves: (N, 3) pixels, the head's shift.
        offsets: (N, 70, 3) pixels, what the points add to the sliders' effect.
        missing, cuts: see `SceneTrack`.
        notes: what the user should know, in sentences.
    """

    frames: np.ndarray
    weights: Mapping[str, np.ndarray]
    owned: tuple[str, ...]
    breaks: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    angles: np.ndarray | None = None
    moves: np.ndarray | None = None
    offsets: np.ndarray | None = None
    missing: tuple[tuple[int, int], ...] = ()
    cuts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    sliders: Mapping[str, np.ndarray] = field(default_factory=dict)

    def on_points(self, rest: np.ndarray) -> np.ndarray:
        """The sliders' effect and the points' own together, (N, 70, 3) pixels: for a rig without sliders."""
        shown = combined(rest, dict(self.weights), shape_offsets(rest), len(self.frames))
        return shown if self.offsets is None else shown + self.offsets


def take_of_video(
    track: LandmarkTrack, placement: Placement, rest: np.ndarray, scene_fps: float, options: VideoOptions
) -> Take:
    """A video's performance, brought to the portrait's face.

    Args:
        track: of the performer, in the video's pixels.
        rest: (70, 3) pixels of the portrait.

    Raises:
        PortraitError: SCENE, NO_FACE; as `to_scene`.
    """
    rest = np.asarray(rest, np.float64)
    shown = to_scene(track, placement, options.smoothing)
    row = _neutral_row(shown, options)
    neutral = shown.points[row]
    performed = transfer(shown.points, neutral, rest, head_pivot(neutral), shown.shots)
    offsets = options.expression * performed.offsets
    weights: Mapping[str, np.ndarray] = {}
    if options.sliders:
        solution = solve(offsets, rest, scene_fps, shown.shots)
        weights, offsets = solution.weights, solution.residual
    return Take(
        shown.frames, weights, ARKIT_NAMES, shown.breaks,
        options.head * head_angles(performed.rotations), options.head * performed.moves, offsets,
        shown.missing, shown.cuts, _notes(track, shown, row),
    )  # fmt: skip


def _neutral_row(shown: SceneTrack, options: VideoOptions) -> int:
    if options.neutral == "AUTO":
        return most_neutral(shown.points)
    if options.neutral == "FIRST":
        return 0
    rows = np.flatnonzero(shown.frames == options.neutral_frame)
    if not len(rows):
        raise PortraitError(
            ErrorCode.SCENE,
            f"Frame {options.neutral_frame}, which should show the neutral face, shows no face of the recording.",
            f"Choose one of frames {shown.frames[0]} to {shown.frames[-1]} with a face at rest.",
        )
    return int(rows[0])


def _notes(track: LandmarkTrack, shown: SceneTrack, row: int) -> tuple[str, ...]:
    notes = []
    if shown.missing:
        spans = ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in shown.missing[:4])
        more = f" and {len(shown.missing) - 4} more stretches" if len(shown.missing) > 4 else ""
        notes.append(f"No face in frames {spans}{more}: no keys there.")
    if shown.cuts:
        at = listed([str(frame) for frame in shown.cuts], 4)
        notes.append(f"The video cuts at frame {at}: the keys are apart there.")
    faces = int(np.max(track.extra.get("faces", np.ones(1)), initial=1))
    if faces > 1:
        notes.append(f"Up to {faces} faces in the video; one is followed. Choose another by its number from the left.")
    frame = int(shown.frames[row])
    if mouth_is_open(shown.points, row):
        notes.append(f"The mouth is open in the neutral frame {frame}: choose one where it rests.")
    opening = [_openings(shown.points, eye.lids) for eye in EYES]
    if any(gap[row] < _HALF_SHUT * np.percentile(gap, 75) for gap in opening):
        notes.append(f"The eyes are half shut in the neutral frame {frame}: choose one where they are open.")
    return tuple(notes)


def _openings(points: np.ndarray, lids: tuple[tuple[int, int], ...]) -> np.ndarray:
    gaps = [np.linalg.norm(points[:, upper] - points[:, lower], axis=1) for upper, lower in lids]
    return np.asarray(np.mean(gaps, axis=0) / np.linalg.norm(points[:, 45] - points[:, 36], axis=1))

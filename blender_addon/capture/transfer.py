# SPDX-License-Identifier: GPL-3.0-or-later
"""A performer's points to the portrait's, by difference: the portrait keeps its own proportions. Knows nothing of bpy.

Each frame is compared with the performer's own neutral face, head motion removed, in the performer's own directions
and sizes; the difference is then made on the portrait at rest, in the portrait's directions and sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.head_poses import HeadPoses
from portrait_shared.landmarks import EYES, GROUPS, Eye

from ..rig.blendshapes import GUARDS
from ..rig.blendshapes_motion import FaceFrame

_MOUTH: Final = [*GROUPS["outer_lip"], *GROUPS["inner_lip"]]
_JAW: Final = list(range(3, 14))
_FIXED: Final = [0, 1, 2, 14, 15, 16]
_LIP_GUARDS: Final = [guard for guard in GUARDS if guard.upper >= 48]
_MOST_UNLIKE = 1.5  # two faces' proportions differ by no more than that; beyond, a landmark is wrong

# Of the distance between the outer eye corners: the seven real clips' widest grins reach 0.79 (neutral mouths 0.5 to 0.6).
_WIDEST_MOUTH = 0.84
_WIDER_STILL = 1.05  # of its width at rest, for a mouth that is as wide as that already

# An eye is shut where the lids' opening is below this part of the neutral one; less than that, where the performer's
# own shut eyes are found in the recording.
_SHUT_PART = 0.4
_SURELY_SHUT = 0.93
_WIDEST = -0.7
_LIDS_MEET_AT = 0.85
_PUPIL_HIDDEN = 0.55

# A smile shows teeth with the jaw up: the real clips' grins part the lips by up to 0.24 of the mouth's width, with the
# chin up to 0.07 of the outer eye corners' distance lower than at rest. A jaw that opens reaches 0.08 to 0.22.
_LIPS_APART = 0.12
_NO_SMILE = 0.35
_DROPPED_JAW = 0.08
_JAW_UP_PERCENTILE = 10


@dataclass(frozen=True)
class Performance:
    """What the portrait does, frame by frame.

    Attributes:
        offsets: (T, 70, 3) pixels, what is added to the portrait's points at rest, on a still head.
        rotations: (T, 3, 3) the head's turn from rest, in the picture's axes.
        moves: (T, 3) pixels, the shift of the head's pivot.
    """

    offsets: np.ndarray
    rotations: np.ndarray
    moves: np.ndarray


def transfer(
    points: np.ndarray, neutral: np.ndarray, rest: np.ndarray, pivot_of_neutral: np.ndarray, shots: np.ndarray
) -> Performance:
    """Makes of a performer's motion the portrait's.

    Args:
        points: (T, 70, 3) pixels of the performer.
        neutral: (70, 3) pixels, the performer's face at rest.
        rest: (70, 3) pixels, the portrait at rest.
        pivot_of_neutral: (3,) where the performer's head turns, in the neutral frame.
        shots: (T,) the number of each frame's shot: a cut that shows the face elsewhere in the picture moves no head.
    """
    poses = HeadPoses.of(points, neutral)
    source, target = FaceFrame.of(neutral), FaceFrame.of(rest)
    inside = (poses.undo(points) - neutral[27]) @ source.axes.T / source.unit
    still = (neutral - neutral[27]) @ source.axes.T / source.unit
    own = (rest - rest[27]) @ target.axes.T / target.unit
    offsets = (inside - still) * _scales(still, own)
    _keep_mouth_narrow(offsets, own)
    for eye in EYES:
        closed = closure(inside, still, eye)
        _move_lids(offsets, own, eye, closed)
        _move_pupil(offsets, inside, still, own, eye, closed)
    offsets = offsets * target.unit @ target.axes
    _keep_lips_apart(offsets, rest, target.axes[1])
    moves = poses.carry(pivot_of_neutral[np.newaxis])[:, 0] - pivot_of_neutral
    for shot in np.unique(shots)[1:]:
        moves[shots == shot] -= np.median(moves[shots == shot], axis=0)
    # Depth from one camera is a guess of the detector's: the head turns in depth and is not pushed in it.
    return Performance(offsets, poses.rotations, moves * (1.0, 1.0, 0.0) * (target.unit / source.unit))


def closure(inside: np.ndarray, still: np.ndarray, eye: Eye) -> np.ndarray:
    """How far an eye is shut in each frame: 0 as in the neutral frame, 1 shut, below 0 wider.

    Args:
        inside: (T, 70, 3) the performer's points on a still head.
        still: (70, 3) the neutral ones.
    """
    opening, neutral = _opening(inside, eye), max(float(_opening(still[None], eye)[0]), 1e-6)
    shut = min(float(opening.min(initial=neutral)), _SHUT_PART * neutral)
    closed = (neutral - opening) / (neutral - max(shut, 0.0))
    return np.clip(np.where(closed > 0, closed / _SURELY_SHUT, closed), _WIDEST, 1.0)


def most_neutral(points: np.ndarray) -> int:
    """The frame whose face is most at rest: lips nearly together, eyes as open as usual, the rest as on average.

    Args:
        points: (T, 70, 3) pixels.
    """
    reference = points[len(points) // 2]
    frame = FaceFrame.of(reference)
    inside = HeadPoses.of(points, reference).undo(points) @ frame.axes.T / frame.unit
    away = np.sqrt(((inside - np.median(inside, axis=0)) ** 2).sum(2).mean(1))
    gap = np.abs(inside[:, 62, 1] - inside[:, 66, 1])
    eyes = sum(_opening(inside, eye) for eye in EYES)
    return int(np.argmin(away + gap - np.percentile(gap, 10) + np.abs(eyes - np.percentile(eyes, 70))))


def mouth_is_open(points: np.ndarray, row: int) -> bool:
    """Whether a dropped jaw parts the lips in a frame; a smile that shows teeth is no open mouth.

    Args:
        points: (T, 70, 3) pixels of the recording, whose other frames tell where the chin is when the jaw is up.
    """
    face = points[row]
    parted = np.linalg.norm(face[62] - face[66]) / max(float(np.linalg.norm(face[48] - face[54])), 1e-6)
    if parted <= _LIPS_APART or parted > _NO_SMILE:
        return bool(parted > _NO_SMILE)
    frame = FaceFrame.of(face)
    inside = HeadPoses.of(points, face).undo(points) @ frame.axes[1] / frame.unit
    below_nose = inside[:, 33] - inside[:, 8]
    return bool(below_nose[row] - np.percentile(below_nose, _JAW_UP_PERCENTILE) > _DROPPED_JAW)


def _opening(local: np.ndarray, eye: Eye) -> np.ndarray:
    """The lids' mean distance in parts of the eye's width, (T,)."""
    width = np.linalg.norm(local[:, eye.corners[1]] - local[:, eye.corners[0]], axis=1)
    gaps = [local[:, upper, 1] - local[:, lower, 1] for upper, lower in eye.lids]
    return np.asarray(np.mean(gaps, axis=0) / np.maximum(width, 1e-6))


def _scales(still: np.ndarray, own: np.ndarray) -> np.ndarray:
    """By how much each point's way is longer on the portrait, both faces taken as of equal size, (70, 3)."""

    def ratio(first: int, second: int, axis: int) -> float:
        lengths = [abs(face[first, axis] - face[second, axis]) for face in (own, still)]
        return float(np.clip(lengths[0] / max(lengths[1], 1e-6), 1 / _MOST_UNLIKE, _MOST_UNLIKE))

    scales = np.ones((70, 3))
    scales[_MOUTH, 0] = ratio(48, 54, 0)
    scales[[*_MOUTH, *_JAW], 1] = ratio(33, 8, 1)
    for brow, eye in (("right_brow", EYES[0]), ("left_brow", EYES[1])):
        scales[list(GROUPS[brow]), 1] = ratio(GROUPS[brow][2], eye.corners[0], 1)
    scales[_FIXED] = 0.0
    return scales


def _keep_mouth_narrow(offsets: np.ndarray, own: np.ndarray) -> None:
    """Lets a grin on a portrait that smiles at rest approach the widest mouth, instead of adding up to a wider one.

    The first half of the way there is as performed.
    """
    width = own[54, 0] - own[48, 0]
    half = (max(_WIDEST_MOUTH, _WIDER_STILL * width) - width) / 2
    wider = np.maximum(offsets[:, 54, 0] - offsets[:, 48, 0], 1e-9)
    nearing = half - half * np.expm1(-np.maximum(wider - half, 0.0) / half)
    share = np.where(wider > half, nearing / wider, 1.0)[:, None]
    middle = (offsets[:, [48]] + offsets[:, [54]])[..., 0] / 2
    offsets[:, _MOUTH, 0] = middle + share * (offsets[:, _MOUTH, 0] - middle)


def _move_lids(offsets: np.ndarray, own: np.ndarray, eye: Eye, closed: np.ndarray) -> None:
    """Moves the lids by how far the performer's eye is shut: shut stays shut, whatever the size of either face's eyes."""
    offsets[:, eye.corners] = 0.0
    for upper, lower in eye.lids:
        way = own[lower] - own[upper]
        offsets[:, upper] = closed[:, None] * _LIDS_MEET_AT * way
        offsets[:, lower] = np.maximum(closed, 0.0)[:, None] * (1 - _LIDS_MEET_AT) * -way


def _move_pupil(
    offsets: np.ndarray, inside: np.ndarray, still: np.ndarray, own: np.ndarray, eye: Eye, closed: np.ndarray
) -> None:
    """Moves the pupil by parts of the eye's width; while lids hide it, between where it was seen before and after."""

    def seen(face: np.ndarray) -> np.ndarray:
        first, second = face[..., eye.corners[0], :], face[..., eye.corners[1], :]
        width = np.linalg.norm(second - first, axis=-1, keepdims=True)
        return np.asarray((face[..., eye.pupil, :] - (first + second) / 2) / width)

    turned = seen(inside) - seen(still)
    shown = np.flatnonzero(closed < _PUPIL_HIDDEN)
    if len(shown):
        numbers = np.arange(len(turned))
        turned = np.stack([np.interp(numbers, shown, column) for column in turned[shown].T], axis=1)
    width = np.linalg.norm(own[eye.corners[1]] - own[eye.corners[0]])
    offsets[:, eye.pupil] = turned * (1.0, 1.0, 0.0) * width


def _keep_lips_apart(offsets: np.ndarray, rest: np.ndarray, up: np.ndarray) -> None:
    """Lips of a portrait that are nearer together than the performer's meet earlier, and never cross."""
    for guard in _LIP_GUARDS:
        gap = (rest[guard.upper] - rest[guard.lower]) @ up + (offsets[:, guard.upper] - offsets[:, guard.lower]) @ up
        overlap = np.maximum(0.0, min((rest[guard.upper] - rest[guard.lower]) @ up, 0.0) - gap)
        for point, share in guard.moves().items():
            offsets[:, point] += share * overlap[:, None] * up

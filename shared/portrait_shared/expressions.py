# SPDX-License-Identifier: GPL-3.0-or-later
"""Facial movements as offsets of the 70 points, measured on the face they move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from portrait_shared.landmarks import LANDMARK_COUNT

# How far a movement at full strength goes, in distances between the outer eye corners (about 90 mm).
_JAW_DROP = 0.24
_SMILE_OUT, _SMILE_UP = 0.075, 0.065
_PUCKER_IN, _PUCKER_FORWARD = 0.11, 0.09
_BROW_UP, _BROW_DOWN = 0.085, 0.05
_GAZE_SIDE, _GAZE_UP = 0.07, 0.035

# (upper lid, lower lid) points that meet when the eye closes; where they meet is nearer to the lower lid.
_LIDS = {"right": ((37, 41), (38, 40)), "left": ((43, 47), (44, 46))}
_LID_MEETS_AT = 0.85

# Share of the jaw's drop that each point follows.
_JAW_FOLLOWS = {
    3: 0.05, 4: 0.25, 5: 0.5, 6: 0.75, 7: 0.95, 8: 1.0, 9: 0.95, 10: 0.75, 11: 0.5, 12: 0.25, 13: 0.05,
    48: 0.3, 54: 0.3, 60: 0.3, 64: 0.3, 59: 0.75, 55: 0.75, 58: 0.95, 56: 0.95, 57: 1.0, 67: 0.92, 65: 0.92, 66: 0.97,
    49: 0.05, 53: 0.05,
}  # fmt: skip
_CORNERS = {48: 1.0, 60: 1.0, 49: 0.6, 59: 0.6, 61: 0.45, 67: 0.45}  # the right half; the left mirrors it
_MIRRORED = {48: 54, 60: 64, 49: 53, 59: 55, 61: 63, 67: 65}


@dataclass(frozen=True)
class _FaceFrame:
    right: np.ndarray  # (3,) unit vector towards the picture's right
    down: np.ndarray  # (3,) unit vector towards the chin
    forward: np.ndarray  # (3,) unit vector out of the face
    unit: float  # distance between the outer eye corners, pixels


def _frame_of(points: np.ndarray) -> _FaceFrame:
    right = points[45] - points[36]
    unit = float(np.linalg.norm(right))
    right = right / unit
    down = points[8] - (points[36] + points[45]) / 2
    down = down - right * (down @ right)
    down = down / np.linalg.norm(down)
    forward = np.cross(down, right)  # x right, y down, z away from the viewer
    return _FaceFrame(right, down, forward, unit)


def offsets(points: np.ndarray, amounts: Mapping[str, float]) -> np.ndarray:
    """What a set of movements adds to the points of a face at rest.

    Args:
        points: (70, 3) pixels, the face at rest.
        amounts: strength of each movement, usually 0 to 1: `jaw_open`, `smile`, `pucker`, `lips_press`,
            `brows_raise`, `brows_lower`, `blink_right`, `blink_left`; `gaze_side` (-1 picture's left to
            1 picture's right) and `gaze_up` (-1 down to 1 up).

    Returns:
        (70, 3) float64 offsets, pixels.

    Raises:
        KeyError: a movement that does not exist.
    """
    points = np.asarray(points, float)
    face = _frame_of(points)
    total = np.zeros((LANDMARK_COUNT, 3))
    for name, amount in amounts.items():
        if amount:
            total += amount * MOVEMENTS[name](points, face)
    return total


def _jaw_open(points: np.ndarray, face: _FaceFrame) -> np.ndarray:
    moved = np.zeros((LANDMARK_COUNT, 3))
    for point, share in _JAW_FOLLOWS.items():
        moved[point] = share * _JAW_DROP * face.unit * face.down
    for corner in (48, 60):
        moved[corner] += 0.03 * face.unit * face.right
        moved[_MIRRORED[corner]] -= 0.03 * face.unit * face.right
    return moved


def _corners(outward: np.ndarray, both: np.ndarray) -> np.ndarray:
    moved = np.zeros((LANDMARK_COUNT, 3))
    for point, share in _CORNERS.items():
        moved[point] = share * (both - outward)
        moved[_MIRRORED[point]] = share * (both + outward)
    return moved


def _smile(points: np.ndarray, face: _FaceFrame) -> np.ndarray:
    moved = _corners(_SMILE_OUT * face.unit * face.right, -_SMILE_UP * face.unit * face.down)
    for lower_lid in (40, 41, 46, 47):
        moved[lower_lid] -= 0.012 * face.unit * face.down
    return moved


def _pucker(points: np.ndarray, face: _FaceFrame) -> np.ndarray:
    moved = _corners(-_PUCKER_IN * face.unit * face.right, np.zeros(3))
    for lip in range(48, 68):
        moved[lip] += _PUCKER_FORWARD * face.unit * face.forward
    return moved


def _lips_press(points: np.ndarray, face: _FaceFrame) -> np.ndarray:
    moved = np.zeros((LANDMARK_COUNT, 3))
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        middle = (points[upper] + points[lower]) / 2
        moved[upper], moved[lower] = middle - points[upper], middle - points[lower]
    for upper in (50, 51, 52):
        moved[upper] = 0.015 * face.unit * face.down
    for lower in (56, 57, 58):
        moved[lower] = -0.015 * face.unit * face.down
    return moved


def _brows_raise(points: np.ndarray, face: _FaceFrame) -> np.ndarray:
    moved = np.zeros((LANDMARK_COUNT, 3))
    moved[17:27] = -_BROW_UP * face.unit * face.down
    for upper_lid in (37, 38, 43, 44):
        moved[upper_lid] = -0.01 * face.unit * face.down
    return moved


def _brows_lower(points: np.ndarray, face: _FaceFrame) -> np.ndarray:
    moved = np.zeros((LANDMARK_COUNT, 3))
    for rank, (right, left) in enumerate(((17, 26), (18, 25), (19, 24), (20, 23), (21, 22))):
        inner = rank / 4
        moved[right] = _BROW_DOWN * face.unit * (inner * face.down + 0.4 * inner * face.right)
        moved[left] = _BROW_DOWN * face.unit * (inner * face.down - 0.4 * inner * face.right)
    return moved


def _blink(side: str, points: np.ndarray) -> np.ndarray:
    moved = np.zeros((LANDMARK_COUNT, 3))
    for upper, lower in _LIDS[side]:
        meet = points[upper] + _LID_MEETS_AT * (points[lower] - points[upper])
        moved[upper], moved[lower] = meet - points[upper], meet - points[lower]
    return moved


def _gaze_side(points: np.ndarray, face: _FaceFrame) -> np.ndarray:
    moved = np.zeros((LANDMARK_COUNT, 3))
    moved[68:] = _GAZE_SIDE * face.unit * face.right
    return moved


def _gaze_up(points: np.ndarray, face: _FaceFrame) -> np.ndarray:
    moved = np.zeros((LANDMARK_COUNT, 3))
    moved[68:] = -_GAZE_UP * face.unit * face.down
    for upper_lid in (37, 38, 43, 44):  # the upper lid follows the eye
        moved[upper_lid] = -0.6 * _GAZE_UP * face.unit * face.down
    return moved


MOVEMENTS = {
    "jaw_open": _jaw_open,
    "smile": _smile,
    "pucker": _pucker,
    "lips_press": _lips_press,
    "brows_raise": _brows_raise,
    "brows_lower": _brows_lower,
    "blink_right": lambda points, face: _blink("right", points),
    "blink_left": lambda points, face: _blink("left", points),
    "gaze_side": _gaze_side,
    "gaze_up": _gaze_up,
}
"""Every movement by name: (70, 3) points at rest and their frame in, (70, 3) offsets at full strength out."""

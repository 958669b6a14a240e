# SPDX-License-Identifier: GPL-3.0-or-later
"""Chance performances of a photographed face: another pose, and an expression borrowed or made up."""

from __future__ import annotations

from typing import Final

import numpy as np
from portrait_shared.landmarks import EYES, GROUPS, STABLE

from portrait_server.geometry.pose import Pose, fit_pose, rotation_of

# Pitch, yaw and roll, beyond which a warp of one photograph tears the head's outline.
_MAX_TURN: Final = np.radians([14.0, 25.0, 12.0])
_MOUTH: Final = (*GROUPS["outer_lip"], *GROUPS["inner_lip"])
# Points that follow another person's together.
_PARTS: Final = (
    (*_MOUTH, 5, 6, 7, 8, 9, 10, 11),
    (*GROUPS["right_eye"], *GROUPS["right_pupil"], *GROUPS["left_eye"], *GROUPS["left_pupil"]),
    (*GROUPS["right_brow"], *GROUPS["left_brow"]),
)
_FACE_SHAPE: Final = 0.3  # how far the whole face becomes the other's, at most
_PLACE: Final = 0.4  # how far a part also takes the other's place in the face
# How far points follow the jaw, as shares of its motion.
_JAW: Final = {
    55: 0.6, 56: 0.9, 57: 1.0, 58: 0.9, 59: 0.6, 65: 0.9, 66: 1.0, 67: 0.9, 48: 0.2, 54: 0.2, 60: 0.25, 64: 0.25,
    3: 0.15, 4: 0.35, 5: 0.55, 6: 0.75, 7: 0.9, 8: 0.95, 9: 0.9, 10: 0.75, 11: 0.55, 12: 0.35, 13: 0.15,
}  # fmt: skip


def random_change(points: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> tuple[Pose, np.ndarray]:
    """Another pose for landmarks (70, 3), and where they then are (70, 3), with another expression.

    Args:
        other: (70, 3) another person's, in any pose and size.
    """
    stable = list(STABLE)
    moved = points + _borrowed(fit_pose(other[stable], points[stable]).apply(other) - points, rng)
    chance = rng.random()
    if chance < 0.35:
        _shut_mouth(moved, rng.uniform(0.4, 1.0))
    elif chance < 0.5:
        _drop_jaw(moved, rng.uniform(0.02, 0.12) * _size(points))
    if rng.random() < 0.25:
        _blink(moved, rng.uniform(0.4, 1.0))
    elif rng.random() < 0.5:
        _look(moved, rng.normal(0, [0.1, 0.035]))
    return _random_pose(points, rng), moved


def _random_pose(points: np.ndarray, rng: np.random.Generator) -> Pose:
    pitch, yaw, roll = _MAX_TURN * np.clip(rng.normal(0, 0.5, 3), -1, 1)
    rotation = (
        rotation_of(np.array([0, 0, roll])) @ rotation_of(np.array([0, yaw, 0])) @ rotation_of(np.array([pitch, 0, 0]))
    )
    neck = (points[0] + points[16]) / 2 + (points[8] - points[27]) * rng.uniform(0, 0.6)
    shift = np.array([*rng.normal(0, 0.03 * _size(points), 2), 0])
    return Pose(rotation, np.exp(rng.normal(0, 0.05)), neck, shift)


def _borrowed(gap: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some of the way (70, 3) to the other's landmarks, by parts."""
    delta = rng.uniform(0, _FACE_SHAPE) * gap
    for part in _PARTS:
        own = gap[list(part)]
        delta[list(part)] = rng.uniform(0, 1) * (own - (1 - _PLACE) * own.mean(0))
    return delta


def _shut_mouth(points: np.ndarray, amount: float) -> None:
    """Lips brought together and a smile relaxed, 0 as it is to 1 shut."""
    gap = amount * (points[[61, 62, 63]] - points[[67, 66, 65]])
    points[[61, 62, 63]] -= 0.3 * gap
    points[[67, 66, 65]] += 0.7 * gap
    middle = gap.mean(0)
    for point, share in _JAW.items():
        if point < 60:
            points[point] += 0.7 * share * middle
    points[[50, 51, 52]] -= 0.25 * middle
    corners = points[[54, 64]].mean(0) - points[[48, 60]].mean(0)
    points[[48, 60]] += 0.08 * amount * corners
    points[[54, 64]] -= 0.08 * amount * corners


def _drop_jaw(points: np.ndarray, distance: float) -> None:
    down = points[8] - points[27]
    down *= distance / np.linalg.norm(down)
    for point, share in _JAW.items():
        points[point] += share * down


def _blink(points: np.ndarray, closed: float) -> None:
    for above, below in (pair for eye in EYES for pair in eye.lids):
        meet = points[above] + 0.8 * (points[below] - points[above])
        points[above] += closed * (meet - points[above])
        points[below] += closed * (meet - points[below])


def _look(points: np.ndarray, gaze: np.ndarray) -> None:
    """Both pupils moved by (2,) eye widths: across, and down."""
    for eye in EYES:
        left, right = eye.corners
        across = points[right] - points[left]
        down = np.array([-across[1], across[0], 0])
        points[eye.pupil] += gaze[0] * across + gaze[1] * down


def _size(points: np.ndarray) -> float:
    return float(np.ptp(points[:68, :2], axis=0).max())

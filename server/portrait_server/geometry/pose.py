# SPDX-License-Identifier: GPL-3.0-or-later
"""The head's pose between two sets of points: a 3-D similarity, seen orthographically."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_STEPS = 12
_OUTLIER = 0.03  # residual, in face sizes, beyond which a point loses its say
_SCALES = (0.1, 10.0)


@dataclass(frozen=True)
class Pose:
    """x -> scale * rotation @ (x - centre) + centre + shift.

    Attributes:
        rotation: (3, 3), determinant 1.
        scale: positive.
        centre: (3,) pixels, the point turned about.
        shift: (3,) pixels.
    """

    rotation: np.ndarray
    scale: float
    centre: np.ndarray
    shift: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3), moved."""
        return self.scale * (points - self.centre) @ self.rotation.T + self.centre + self.shift


def fit_pose(source: np.ndarray, target: np.ndarray) -> Pose:
    """The similarity that best carries the source points to the target's, outliers having little say.

    Gauss-Newton on the reweighted squared distances (Cauchy weights), from the best turn in the picture plane.
    Targets without depth are matched by their projection, which tells the turn all the same.

    Args:
        source: (N, 3) pixels.
        target: (N, 3) or (N, 2) pixels.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    axes = target.shape[1]
    centre = source.mean(0)
    local = source - centre
    size = float(np.sqrt((local**2).sum(1).mean())) + 1e-9
    local, goal = local / size, (target - centre[:axes]) / size
    rotation, scale = _turn_in_plane(local, goal)
    shift = goal.mean(0)
    weights = np.ones(len(local))
    for _ in range(_STEPS):
        turned = scale * local @ rotation.T
        gap = goal - turned[:, :axes] - shift
        distance = np.sqrt((gap**2).sum(1))
        weights = 1 / (1 + (distance / (2 * _OUTLIER * max(scale, 1e-3))) ** 2)
        step = _gauss_newton(turned, gap, weights)
        rotation = rotation_of(step[:3]) @ rotation
        scale = float(np.clip(scale * np.exp(np.clip(step[3], -0.5, 0.5)), *_SCALES))
        shift = shift + step[4:]
        if np.abs(step).max() < 1e-6:
            break
    whole = np.zeros(3)
    whole[:axes] = shift
    return Pose(rotation, scale, centre, whole * size)


def rotation_of(vector: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) about a vector (3,), by its length in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _turn_in_plane(local: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, float]:
    a = local[:, 0] + 1j * local[:, 1]
    b = goal[:, 0] + 1j * goal[:, 1]
    ratio = np.vdot(a, b - b.mean()) / max(np.vdot(a, a).real, 1e-12)
    angle = float(np.angle(ratio)) if abs(ratio) > 1e-6 else 0.0
    return rotation_of(np.array([0, 0, angle])), float(np.clip(abs(ratio), *_SCALES))


def _gauss_newton(turned: np.ndarray, gap: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The step (3 rotation, 1 log scale, then shift) that shrinks the gap most."""
    count, axes = gap.shape
    jacobian = np.zeros((count, 3, 4 + axes))
    x, y, z = turned.T
    jacobian[:, 0, 1], jacobian[:, 0, 2] = z, -y
    jacobian[:, 1, 0], jacobian[:, 1, 2] = -z, x
    jacobian[:, 2, 0], jacobian[:, 2, 1] = y, -x
    jacobian[:, :, 3] = turned
    jacobian[:, :axes, 4:] = np.eye(axes)
    rows = jacobian[:, :axes].reshape(count * axes, -1)
    heavy = rows * np.repeat(weights, axes)[:, None]
    system = heavy.T @ rows
    # A little damping keeps flat or few points from turning wildly.
    system += 1e-6 * np.trace(system) * np.eye(len(system))
    return np.linalg.solve(system, heavy.T @ gap.reshape(-1))

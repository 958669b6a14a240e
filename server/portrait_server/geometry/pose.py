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
    """x -> scale * rotation @ (x - centre) + centre + shift; one, or one for each of many frames (…).

    Attributes:
        rotation: (…, 3, 3), determinant 1.
        scale: (…), positive.
        centre: (…, 3) or (3,) pixels, the point turned about.
        shift: (…, 3) pixels.
    """

    rotation: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    shift: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points (P, 3) or (…, P, 3), moved: (…, P, 3)."""
        local = np.asarray(self.scale)[..., None, None] * (points - self.centre[..., None, :])
        return local @ self.rotation.swapaxes(-1, -2) + self.centre[..., None, :] + self.shift[..., None, :]

    def where_not(self, chosen: np.ndarray, other: Pose) -> Pose:
        """These poses (…), but another where chosen (…); both turn about the same centre."""
        return Pose(
            np.where(chosen[..., None, None], other.rotation, self.rotation),
            np.where(chosen, other.scale, self.scale),
            self.centre,
            np.where(chosen[..., None], other.shift, self.shift),
        )

    def only(self, frames: slice) -> Pose:
        """The poses of some of N frames."""
        centre = self.centre if self.centre.ndim == 1 else self.centre[frames]
        return Pose(self.rotation[frames], self.scale[frames], centre, self.shift[frames])


def fit_pose(source: np.ndarray, target: np.ndarray) -> Pose:
    """The similarity that best carries the source points to the target's, outliers having little say.

    Gauss-Newton on the reweighted squared distances (Cauchy weights), from the best turn in the picture plane.
    Targets without depth are matched by their projection, which tells the turn all the same.

    Args:
        source: (P, 3) or (…, P, 3) pixels.
        target: (…, P, 3) or (…, P, 2) pixels.

    Returns:
        a pose for each of the frames (…), the same whatever others it is fitted beside.
    """
    # In one order in memory, or sums would depend on how many frames there are.
    source, target = np.asarray(source, float, order="C"), np.asarray(target, float, order="C")
    axes = target.shape[-1]
    centre = source.mean(-2)
    local = source - centre[..., None, :]
    size = np.sqrt((local**2).sum(-1).mean(-1)) + 1e-9
    local = local / size[..., None, None]
    goal = (target - centre[..., None, :axes]) / size[..., None, None]
    rotation, scale = _turn_in_plane(local, goal)
    shift = goal.mean(-2)
    settled = np.zeros(scale.shape, bool)
    for _ in range(_STEPS):
        turned = scale[..., None, None] * local @ rotation.swapaxes(-1, -2)
        gap = goal - turned[..., :axes] - shift[..., None, :]
        distance = np.sqrt((gap**2).sum(-1))
        weights = 1 / (1 + (distance / (2 * _OUTLIER * np.maximum(scale, 1e-3))[..., None]) ** 2)
        step = _gauss_newton(turned, gap, weights)
        step[settled] = 0
        grown = np.clip(scale * np.exp(np.clip(step[..., 3], -0.5, 0.5)), *_SCALES)
        rotation = np.where(settled[..., None, None], rotation, rotation_of(step[..., :3]) @ rotation)
        scale = np.where(settled, scale, grown)
        shift = shift + step[..., 4:]
        settled |= np.abs(step).max(-1) < 1e-6
        if settled.all():
            break
    whole = np.zeros((*shift.shape[:-1], 3))
    whole[..., :axes] = shift
    return Pose(rotation, scale, centre, whole * size[..., None])


def rotation_of(vector: np.ndarray) -> np.ndarray:
    """The rotation (…, 3, 3) about a vector (…, 3), by its length in radians (Rodrigues)."""
    angle = np.linalg.norm(vector, axis=-1)
    x, y, z = np.moveaxis(vector / np.maximum(angle, 1e-12)[..., None], -1, 0)
    none = np.zeros_like(x)
    cross = np.stack([none, -z, y, z, none, -x, -y, x, none], -1).reshape(*angle.shape, 3, 3)
    sine, cosine = np.sin(angle)[..., None, None], np.cos(angle)[..., None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * cross @ cross


def vector_of(rotation: np.ndarray) -> np.ndarray:
    """The vector (…, 3) of a rotation (…, 3, 3) by less than half a turn: the inverse of `rotation_of`."""
    twist = (rotation - rotation.swapaxes(-1, -2)) / 2
    along = np.stack([twist[..., 2, 1], twist[..., 0, 2], twist[..., 1, 0]], -1)
    sine = np.linalg.norm(along, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (np.trace(rotation, axis1=-2, axis2=-1)[..., None] - 1) / 2)
    return along * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 1)


def _turn_in_plane(local: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a = local[..., 0] + 1j * local[..., 1]
    b = goal[..., 0] + 1j * goal[..., 1]
    ratio = (a.conj() * (b - b.mean(-1, keepdims=True))).sum(-1) / np.maximum((np.abs(a) ** 2).sum(-1), 1e-12)
    angle = np.where(np.abs(ratio) > 1e-6, np.angle(ratio), 0.0)
    return rotation_of(angle[..., None] * np.array([0, 0, 1.0])), np.clip(np.abs(ratio), *_SCALES)


def _gauss_newton(turned: np.ndarray, gap: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The steps (…, 3 rotation, 1 log scale, then shift) that shrink the gaps (…, P, 2 or 3) most."""
    axes = gap.shape[-1]
    jacobian = np.zeros((*gap.shape[:-1], 3, 4 + axes))
    x, y, z = np.moveaxis(turned, -1, 0)
    jacobian[..., 0, 1], jacobian[..., 0, 2] = z, -y
    jacobian[..., 1, 0], jacobian[..., 1, 2] = -z, x
    jacobian[..., 2, 0], jacobian[..., 2, 1] = y, -x
    jacobian[..., :, 3] = turned
    jacobian[..., :axes, 4:] = np.eye(axes)
    rows = jacobian[..., :axes, :].reshape(*gap.shape[:-2], -1, 4 + axes)
    heavy = (rows * np.repeat(weights, axes, -1)[..., None]).swapaxes(-1, -2)
    system = heavy @ rows
    # A little damping keeps flat or few points from turning wildly.
    trace = np.trace(system, axis1=-2, axis2=-1)
    system += 1e-6 * trace[..., None, None] * np.eye(system.shape[-1])
    return np.linalg.solve(system, heavy @ gap.reshape(*gap.shape[:-2], -1, 1))[..., 0]

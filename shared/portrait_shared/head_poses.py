# SPDX-License-Identifier: GPL-3.0-or-later
"""How a head lies in each frame: the similarity that carries a face at rest there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from portrait_shared.landmarks import STABLE

_STEPS: Final = 20
_MET_PIXELS: Final = 1 / 1024  # nearer than that, a point counts as met: its say in the next step stays finite


@dataclass(frozen=True)
class HeadPoses:
    """The similarity that carries a reference face to each frame: point = scale · rotation · (reference - origin) + middle.

    Attributes:
        rotations: (T, 3, 3), in the picture's axes.
        scales: (T,).
        middles: (T, 3) pixels.
        origins: (T, 3) pixels of the reference: where `middles` lie on it.
    """

    rotations: np.ndarray
    scales: np.ndarray
    middles: np.ndarray
    origins: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, reference: np.ndarray) -> HeadPoses:
        """Least squares over the points that expression hardly moves.

        Args:
            points: (T, 70, 3) pixels.
            reference: (70, 3) pixels.
        """
        a, b = _stable(points, reference)
        return cls._fitted(a, b, np.ones(b.shape[:2]))

    @classmethod
    def of_most(cls, points: np.ndarray, reference: np.ndarray) -> HeadPoses:
        """As `of`, by the least sum of distances: where most of those points lie on a similarity, it is that one, however
        far away the others are.

        Args: as `of`.
        """
        a, b = _stable(points, reference)
        weights = np.ones(b.shape[:2])
        for _ in range(_STEPS):
            poses = cls._fitted(a, b, weights)
            weights = 1 / np.maximum(np.linalg.norm(poses.carry(a) - b, axis=-1), _MET_PIXELS)
        return cls._fitted(a, b, weights)

    @classmethod
    def _fitted(cls, a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> HeadPoses:
        """Weighted least squares (Umeyama 1991): a (S, 3), b (T, S, 3), weights (T, S)."""
        shares = (weights / weights.sum(1, keepdims=True))[..., None]
        origins, middles = (shares * a).sum(1), (shares * b).sum(1)
        a, b = a - origins[:, None], b - middles[:, None]
        u, sizes, vt = np.linalg.svd(np.einsum("tpi,tpj->tij", shares * a, b))
        handed = np.sign(np.linalg.det(u @ vt))
        u[:, :, 2] *= handed[:, None]
        sizes[:, 2] *= handed
        rotations = np.swapaxes(u @ vt, 1, 2)
        return cls(rotations, sizes.sum(1) / (shares * a**2).sum((1, 2)), middles, origins)

    def __getitem__(self, rows: np.ndarray) -> HeadPoses:
        """Of some of the frames."""
        return HeadPoses(self.rotations[rows], self.scales[rows], self.middles[rows], self.origins[rows])

    def undo(self, points: np.ndarray) -> np.ndarray:
        """Points (T, P, 3) as they would be on the reference's head."""
        local = (points - self.middles[:, None]) @ self.rotations / self.scales[:, None, None]
        return np.asarray(local + self.origins[:, None])

    def carry(self, points: np.ndarray) -> np.ndarray:
        """Points (P, 3) or (T, P, 3) of the reference's head where they are in each frame, (T, P, 3)."""
        local = (points - self.origins[:, None]) @ self.rotations.swapaxes(1, 2) * self.scales[:, None, None]
        return np.asarray(local + self.middles[:, None])


def _stable(points: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = list(STABLE)
    return np.asarray(reference, np.float64)[rows], np.asarray(points, np.float64)[:, rows]

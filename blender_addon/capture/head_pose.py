# SPDX-License-Identifier: GPL-3.0-or-later
"""How a head lies in each frame, and its turn as the head handle's angles. Knows nothing of bpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.landmarks import STABLE

PIXELS_TO_HEAD: Final = np.array(((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)))
"""From the picture's axes (x right, y down, z away) to the head handle's own: right, up, towards the viewer."""


@dataclass(frozen=True)
class HeadPoses:
    """The similarity that carries a reference face to each frame: point = scale · rotation · (reference - origin) + middle.

    Attributes:
        rotations: (T, 3, 3), in the picture's axes.
        scales: (T,).
        middles: (T, 3) pixels.
        origin: (3,) pixels, the middle of the reference's stable points.
    """

    rotations: np.ndarray
    scales: np.ndarray
    middles: np.ndarray
    origin: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, reference: np.ndarray) -> HeadPoses:
        """Least squares over the points that expression hardly moves (Umeyama 1991).

        Args:
            points: (T, 70, 3) pixels.
            reference: (70, 3) pixels.
        """
        stable = np.asarray(points, np.float64)[:, list(STABLE)]
        middles = stable.mean(1)
        origin = reference[list(STABLE)].mean(0)
        a, b = reference[list(STABLE)] - origin, stable - middles[:, None]
        u, sizes, vt = np.linalg.svd(np.einsum("pi,tpj->tij", a, b))
        handed = np.sign(np.linalg.det(u @ vt))
        u[:, :, 2] *= handed[:, None]
        sizes[:, 2] *= handed
        rotations = np.swapaxes(u @ vt, 1, 2)
        return cls(rotations, sizes.sum(1) / (a**2).sum(), middles, origin)

    def undo(self, points: np.ndarray) -> np.ndarray:
        """Points (T, P, 3) as they would be on the reference's head."""
        return (points - self.middles[:, None]) @ self.rotations / self.scales[:, None, None] + self.origin

    def carry(self, point: np.ndarray) -> np.ndarray:
        """Where a point (3,) of the reference's head is in each frame, (T, 3)."""
        return (self.rotations @ (point - self.origin)) * self.scales[:, None] + self.middles


def head_angles(rotations: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) in the picture's axes as the head handle's ZXY Euler angles, (T, 3) radians.

    The order is Blender's: z first, then x, then y; each angle goes on from the frame before without a jump.
    """
    own = PIXELS_TO_HEAD @ rotations @ PIXELS_TO_HEAD.T
    x = np.arcsin(np.clip(-own[:, 1, 2], -1.0, 1.0))
    y = np.arctan2(own[:, 0, 2], own[:, 2, 2])
    z = np.arctan2(own[:, 1, 0], own[:, 1, 1])
    return np.unwrap(np.stack((x, y, z), axis=1), axis=0)

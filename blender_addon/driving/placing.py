# SPDX-License-Identifier: GPL-3.0-or-later
"""How a driver's motion becomes a point's: seen from the front, by difference from rest, at the portrait's scale. Without bpy.

View coordinates are right, up and towards the viewer from the view's origin, in the driver's metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

SIDES: Final = (
    (0, 1, 2, 3, 36, 39),
    (13, 14, 15, 16, 42, 45),
    (27, 28, 29, 30),
)
"""The points that expression hardly moves, as three corners of the head: the picture's left, its right, the nose."""

_NEAREST = 0.05  # of a driver's distance from the camera: it counts as no nearer
_LEAST_SPREAD_METRES = 1e-6


@dataclass(frozen=True)
class Placing:
    """From the view's coordinates to the picture's metres.

    Attributes:
        scale: metres of the portrait for one of the driver's.
        distance: of the driver's face from a camera with perspective, metres; None where there is none.
        pivot: (3,) where the driver's head turns, in view coordinates.
    """

    scale: float
    distance: float | None
    pivot: np.ndarray

    def moves(self, rest: np.ndarray, offset: Sequence[float]) -> tuple[str, str, str]:
        """Expressions of a point's way right, up and out, in metres, of its driver's local x, y and z.

        Args:
            rest: (3,) the driver at rest, in view coordinates.
            offset: what x, y and z are at rest: next to 0, but as Blender computes them.
        """
        depth = f"{_number(self.scale)}*(z-({_number(offset[2])}))"
        if self.distance is None:
            sides = [f"{_number(self.scale)}*({'xy'[i]}-({_number(offset[i])}))" for i in range(2)]
            return sides[0], sides[1], depth
        away, z = -float(rest[2]), float(_number(offset[2]))
        nearest = _NEAREST * away
        sides = []
        for axis in range(2):
            at = float(_number(float(rest[axis])))
            still = (float(_number(offset[axis])) + at) / max(nearest, float(_number(away)) - z)
            sides.append(
                f"{_number(self.scale * self.distance)}*(({'xy'[axis]}+({_number(at)}))"
                f"/max({_number(nearest)},{_number(away)}-z)-({_number(still)}))"
            )
        return sides[0], sides[1], depth

    def size(self, rest: np.ndarray, offset_z: float) -> str | None:
        """An expression of how much larger the camera sees a head that comes nearer; None without perspective."""
        if self.distance is None:
            return None
        away = -float(rest[2])
        still = float(_number(away)) - float(_number(offset_z))
        return f"{_number(still)}/max({_number(_NEAREST * away)},{_number(away)}-z)"


def place(
    drivers: np.ndarray, portrait: np.ndarray, pivot: np.ndarray, perspective: bool, scale: float | None
) -> Placing:
    """Fits a driver's face to the portrait's.

    Args:
        drivers: (N, 3) the points' drivers at rest, in view coordinates; those of a perspective are before the camera.
        portrait: (N, 3) the same points of the portrait at rest: right, up, out, metres.
        pivot: (3,) where the portrait's head turns.
        perspective: whether the view is a camera's with perspective.
        scale: metres of the portrait for one of the driver's; None to find it from how far the points lie apart.

    Raises:
        ValueError: the scale cannot be found from these points.
    """
    distance = float(-drivers[:, 2].mean()) if perspective else None
    seen = drivers[:, :2] if distance is None else distance * drivers[:, :2] / -drivers[:, 2:]
    if scale is None:
        spreads = [float(np.sqrt(((points - points.mean(0)) ** 2).sum())) for points in (portrait[:, :2], seen)]
        if len(drivers) < 2 or min(spreads) < _LEAST_SPREAD_METRES:
            raise ValueError("the points are too few, or all at one place")
        scale = spreads[0] / spreads[1]
    return Placing(scale, distance, drivers.mean(0) + (pivot - portrait.mean(0)) / scale)


def tells_head(drivers: dict[int, np.ndarray]) -> bool:
    """Whether the points of these indices, at these places (3,), tell how a head lies."""
    corners = [[drivers[index] for index in side if index in drivers] for side in SIDES]
    if not all(corners):
        return False
    left, right, nose = (np.mean(corner, axis=0) for corner in corners)
    across, out = right - left, nose - (left + right) / 2
    area = float(np.linalg.norm(np.cross(across, out)))
    return area > 0.02 * float(across @ across) > 0


def _number(value: float) -> str:
    """With enough digits that a driver at rest gives exactly 0, and without an exponent."""
    return str(np.format_float_positional(value, precision=12, trim="-"))

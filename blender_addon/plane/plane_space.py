# SPDX-License-Identifier: GPL-3.0-or-later
"""The one mapping between the photograph's pixels and the image plane's own space.

The plane stands upright and faces -Y (Blender's front view): pixel x goes right along +X, pixel y
down along -Z, and pixel z (smaller is nearer) along +Y, so that near points stand out of the plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

PLANE_HEIGHT_METRES: Final = 2.0
SNAP_PER_PIXEL: Final = 1024
"""Points are snapped to this fraction of a pixel: it hides the noise of single-precision matrices, so
that a rig at rest gives its reference exactly and another machine gives the same points."""


@dataclass(frozen=True)
class PlaneSpace:
    """A picture's plane.

    Attributes:
        width, height: the picture's size, pixels.
    """

    width: int
    height: int

    @property
    def metres_per_pixel(self) -> float:
        return PLANE_HEIGHT_METRES / self.height

    @property
    def half_size(self) -> tuple[float, float]:
        """Half the plane's width and height, metres."""
        return self.width * self.metres_per_pixel / 2, PLANE_HEIGHT_METRES / 2

    def to_local(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2 or 3), depth 0 where it is missing, to metres (..., 3) float64."""
        points = np.asarray(points, np.float64)
        depth = points[..., 2] if points.shape[-1] == 3 else np.zeros(points.shape[:-1])
        centred = (points[..., 0] - self.width / 2, depth, self.height / 2 - points[..., 1])
        return np.stack(centred, axis=-1) * self.metres_per_pixel

    def to_pixels(self, local: np.ndarray) -> np.ndarray:
        """Metres (..., 3) to pixels (..., 3) float64; the inverse of `to_local`."""
        local = np.asarray(local, np.float64) / self.metres_per_pixel
        return np.stack((local[..., 0] + self.width / 2, self.height / 2 - local[..., 2], local[..., 1]), axis=-1)


def snap(points: np.ndarray) -> np.ndarray:
    """Points as float32 on the grid of 1/1024 pixel."""
    with np.errstate(over="ignore"):  # a point at infinity is refused later, by name
        return (np.round(np.asarray(points, np.float64) * SNAP_PER_PIXEL) / SNAP_PER_PIXEL).astype(np.float32)

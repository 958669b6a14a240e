# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a 3D viewport shows the pixels of a photo that lies on its plane, and which pixel is under the mouse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..plane.plane_space import PlaneSpace


@dataclass(frozen=True)
class PhotoView:
    """A photo as a viewport's region shows it.

    Attributes:
        matrix: (3, 3) from (x, y, 1), pixels of the photo, to (x, y, w) of the region, in its own pixels after
            division by w: from its lower left corner, y up.
    """

    matrix: np.ndarray

    @classmethod
    def of(cls, perspective: np.ndarray, plane: np.ndarray, space: PlaneSpace, region: tuple[int, int]) -> PhotoView:
        """From a region's `RegionView3D.perspective_matrix`, the plane's `matrix_world`, and the region's size, pixels."""
        corners = np.array(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
        origin, right, down = space.to_local(corners)
        photo_to_plane = np.zeros((4, 3))
        photo_to_plane[:3] = np.column_stack((right - origin, down - origin, origin))
        photo_to_plane[3, 2] = 1
        clip = np.asarray(perspective, np.float64) @ np.asarray(plane, np.float64) @ photo_to_plane
        half_width, half_height = region[0] / 2, region[1] / 2
        return cls(np.stack((half_width * (clip[0] + clip[3]), half_height * (clip[1] + clip[3]), clip[3])))

    def to_region(self, places: np.ndarray) -> np.ndarray:
        """Pixels of the photo (…, 2 or 3) to the region's (…, 2)."""
        return _through(self.matrix, np.asarray(places, np.float64)[..., :2])

    def to_photo(self, places: np.ndarray) -> np.ndarray | None:
        """The region's pixels (…, 2) to the photo's (…, 2); None where the viewport sees the plane from its edge."""
        if abs(np.linalg.det(self.matrix / max(float(np.abs(self.matrix).max()), 1e-12))) < 1e-15:
            return None
        return _through(np.linalg.inv(self.matrix), np.asarray(places, np.float64))

    def pixels_per_pixel(self, place: np.ndarray) -> float:
        """How many of the region's pixels a pixel of the photo takes, at a place (2,) of the photo."""
        at = self.to_region(place + np.array(((0, 0), (1, 0), (0, 1))))
        return float(max(np.linalg.norm(at[1] - at[0]), np.linalg.norm(at[2] - at[0]), 1e-6))


def _through(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    mapped = np.concatenate((places, np.ones((*places.shape[:-1], 1))), axis=-1) @ matrix.T
    depth = mapped[..., 2:]
    return mapped[..., :2] / np.where(np.abs(depth) < 1e-12, 1e-12, depth)

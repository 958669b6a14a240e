# SPDX-License-Identifier: GPL-3.0-or-later
"""How light falls on a photographed face, and what a turn of the head changes of it.

Of a matt surface linear light is, but for a hundredth part, a constant and quadratic function of its normal (Ramamoorthi and
Hanrahan, "An efficient representation for irradiance environment maps", 2001). Of one photo only the constant and the linear
part can be told from the skin's own colours: of that much the skin is taken to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from portrait_server.geometry.face_mesh import BROWS, EYES, LOWER_LIP, UPPER_LIP, VERTEX_COUNT
from portrait_server.geometry.reference_mesh import skin_normals

_GAMMA = 2.2  # of a photo's levels
_PIXELS = 384  # of a face, the most that are looked at
_SOFT = 0.02  # in face sizes, sigma of light in large
_UNSURE = 0.02  # of how much normals differ: what shrinks a light that they hardly tell of
_OUTLIER = 0.15  # of the mean: skin that is so much lighter or darker than its light loses its say
_STEPS = 8
_GLOW = 0.15  # of the mean: light that comes from everywhere, and shines out of skin, where the fit leaves too little
_MOST = np.log(1.6)  # change of linear light
_FEWEST = 50  # vertices


@dataclass(frozen=True)
class FaceLight:
    """What a photo tells of its light.

    Attributes:
        constant, along: linear light of skin is constant + normal · along, as shares of its mean.
        normals: (468, 3) of the face in the photo, see `skin_normals`.
    """

    constant: float
    along: np.ndarray
    normals: np.ndarray

    def change(self, rotation: np.ndarray) -> np.ndarray:
        """What heads turned by rotations (N, 3, 3) change of the levels at the face's vertices: logarithms (N, 468)."""
        before = self._linear(self.normals)
        after = self._linear(self.normals @ rotation.swapaxes(-1, -2))
        return np.clip(np.log(after / before), -_MOST, _MOST) / _GAMMA

    def levels(self, normals: np.ndarray) -> np.ndarray:
        """Levels (…) of skin with such unit normals (…, 3), as shares of those of its mean light."""
        shares: np.ndarray = self._linear(normals) ** (1 / _GAMMA)
        return shares

    def _linear(self, normals: np.ndarray) -> np.ndarray:
        return np.maximum(self.constant + normals @ self.along, 0) + _GLOW


def face_light(photo: np.ndarray, face: np.ndarray) -> FaceLight | None:
    """The light on a face; None where the photo shows too little skin to tell.

    Args:
        photo: (H, W, 3 or 4) levels from 0 to 255.
        face: (468, 3) the whole face's vertices, pixels of the photo.
    """
    height, width = photo.shape[:2]
    low = np.floor(face[:, :2].min(0)).clip(0, (width - 1, height - 1)).astype(int)
    high = np.ceil(face[:, :2].max(0)).clip(0, (width - 1, height - 1)).astype(int) + 1
    # Made small first: light in large has no detail to lose, and a face may have thousands of pixels.
    extent = high - low
    shrink = min(1.0, _PIXELS / extent.max())
    small = np.maximum(1, np.round(extent * shrink)).astype(int)
    part = np.ascontiguousarray(photo[low[1] : high[1], low[0] : high[0], :3])
    seen = cv2.resize(part, small.tolist(), interpolation=cv2.INTER_AREA).astype(np.float32)
    linear = (seen @ np.array([0.3, 0.6, 0.1], np.float32) / 255) ** _GAMMA
    linear = cv2.GaussianBlur(linear, (0, 0), max(0.5, _SOFT * shrink * float(np.ptp(face[:, :2], axis=0).max())))
    at = np.round(face[:, :2] - low).astype(int)
    there = ((at >= 0) & (at < extent)).all(1)
    column, row = (at * small // extent).clip(0, small - 1).T
    light, normals = linear[row, column].astype(float), skin_normals(face)
    weight = _skin() * there * np.clip(normals[:, 2], 0, 1)
    if (weight > 0).sum() < _FEWEST or light[weight > 0].mean() < 1e-4:
        return None
    light /= light[weight > 0].mean()
    rows, own = np.column_stack([np.ones(VERTEX_COUNT), normals]), weight
    for _ in range(_STEPS):
        heavy = rows.T * own
        found = np.linalg.solve(heavy @ rows + own.sum() * np.diag([1e-9, *[_UNSURE] * 3]), heavy @ light)
        own = weight / (1 + ((light - rows @ found) / _OUTLIER) ** 2)
    return FaceLight(float(found[0]), found[1:], normals)


@cache
def _skin() -> np.ndarray:
    """(468,) 1 for skin, 0 for eyes, brows and lips, whose own colours are others."""
    skin = np.ones(VERTEX_COUNT)
    for line in (*UPPER_LIP, *LOWER_LIP, *(edge for both in (*EYES, *BROWS) for edge in both)):
        skin[list(line)] = 0
    return skin

# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a face that one moment of a shot may lend to another: mouth and eyes, and what tells how they are shaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.landmarks import EYES, GROUPS, MESH_VERTICES, STABLE

from portrait_server.geometry import crops
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.geometry.pose import fit_pose

_CHIN: Final = (7, 8, 9)
_GAZE: Final = 3.0  # how much a pupil's place counts beside a lid's point
_WIDER: Final = 2.0  # how many times as wide an opening may be drawn as it was filmed: beyond it, lips and lids smear
_SHUT: Final = 8.0  # how much the opening counts that then is missing


@dataclass(frozen=True, eq=False)
class FacialPart:
    """A part that is lent as one.

    Lengths are in eye distances: of a grown person some 63 mm.

    Attributes:
        shape: the landmarks that tell its shape; weights (S,) how much each counts, 1 together.
        anchor: landmarks fixed to the skull, in whose mean the shape's origin lies.
        outline: the landmarks whose hull is the part itself.
        whole, reach: how far around the hull all is lent, and from where on nothing.
        near, far: mean distance of two shapes up to which one stands for the other, and from which on it does not.
        openings: pairs of landmarks, upper and lower, whose distance tells how far it is open.
        pupil: the landmark of its pupil, or None.
    """

    shape: tuple[int, ...]
    weights: np.ndarray
    anchor: tuple[int, ...]
    outline: tuple[int, ...]
    whole: float
    reach: float
    near: float
    far: float
    openings: tuple[tuple[int, int], ...]
    pupil: int | None = None

    def shapes(self, points: np.ndarray, to_eye_distances: np.ndarray) -> np.ndarray:
        """Shapes (…, S, 2) of heads with landmarks (…, 70, 2 or 3), by the maps (…, 2, 2) of `head_poses`."""
        flat = np.asarray(points, float)[..., :2]
        place = flat[..., list(self.shape), :] - flat[..., list(self.anchor), :].mean(-2, keepdims=True)
        return place @ to_eye_distances.swapaxes(-1, -2)

    def difference(self, shapes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """How far shapes (…, S, 2) are from standing for a wanted one: the mean square (…) of the distances, and more where
        they are shut and it is open."""
        missing = np.maximum(self._opening(wanted) / _WIDER - self._opening(shapes), 0)
        return ((shapes - wanted) ** 2).sum(-1) @ self.weights + (_SHUT * missing) ** 2

    def _opening(self, shapes: np.ndarray) -> np.ndarray:
        """How far shapes (…, S, 2) are open (…)."""
        upper, lower = ([self.shape.index(pair[side]) for pair in self.openings] for side in (0, 1))
        return np.asarray(np.linalg.norm(shapes[..., upper, :] - shapes[..., lower, :], axis=-1).mean(-1))


def _eye(number: int, lids: str) -> FacialPart:
    eye = EYES[number]
    shape = (*GROUPS[lids], eye.pupil)
    weights = np.array([1.0] * len(GROUPS[lids]) + [_GAZE])
    return FacialPart(
        shape, weights / weights.sum(), eye.corners, GROUPS[lids], whole=0.06, reach=0.24, near=0.05, far=0.1,
        openings=eye.lids, pupil=eye.pupil,
    )  # fmt: skip


_MOUTH_SHAPE: Final = (*GROUPS["outer_lip"], *GROUPS["inner_lip"], *_CHIN)
# The chin tells how far the jaw is open, with which the lower teeth and the cheeks go.
MOUTH: Final = FacialPart(
    _MOUTH_SHAPE, np.full(len(_MOUTH_SHAPE), 1 / len(_MOUTH_SHAPE)), GROUPS["nose_base"], GROUPS["outer_lip"],
    whole=0.15, reach=0.5, near=0.06, far=0.12, openings=((61, 67), (62, 66), (63, 65)),
)  # fmt: skip
RIGHT_EYE: Final = _eye(0, "right_eye")
LEFT_EYE: Final = _eye(1, "left_eye")
PARTS: Final = (MOUTH, RIGHT_EYE, LEFT_EYE)


def head_poses(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How heads with landmarks (…, 70, 2 or 3) are held.

    Returns:
        (…, 2, 2) from the picture's pixels to eye distances of an upright head; (…, 2) where the face looks, as far as
        it looks to the side and down.
    """
    flat = np.asarray(points, float)[..., :2]
    upright = crops.crop_transforms(crops.MOUTH, flat)[..., :2] * (crops.MOUTH.wide / crops.MOUTH.side)
    size = np.maximum(np.ptp(flat[..., :68, :], axis=-2).max(-1), 1e-3)
    mean, solid = neutral_mesh()[list(MESH_VERTICES)], list(STABLE)
    pose = fit_pose(mean[solid] * size[..., None, None], flat[..., solid, :])
    return upright.astype(float), pose.rotation[..., :2, 2]

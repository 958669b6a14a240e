# SPDX-License-Identifier: GPL-3.0-or-later
"""The squares around the mouth and each eye that painters draw, as large as the head is and turned as it is.

Their size follows from the head's pose, not from the distance of eyes and mouth: a smile shortens that by a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.landmarks import EYES, GROUPS, MESH_VERTICES, STABLE

from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.geometry.pose import fit_pose

_DISC_POINTS: Final = 24


@dataclass(frozen=True)
class Crop:
    """A square of a face.

    Attributes:
        name: whose outlines are drawn for it, a key of `CROPS`.
        middle: the landmarks in whose mean its middle lies.
        outlines: closed outlines that tell a painter where things are, as landmarks; a pupil is a disc.
        pupil: the landmark of that disc's middle, or None.
        wide: its side in eye distances of a head seen from the front.
        side: pixels.
        mirrored: whether it is turned about, so that left eyes look as right ones do.
    """

    name: str
    middle: tuple[int, ...]
    outlines: tuple[tuple[int, ...], ...]
    pupil: int | None
    wide: float
    side: int
    mirrored: bool = False

    @property
    def iris(self) -> float:
        """Radius of an iris, pixels of the crop: 11.7 mm across in all grown people, whose eyes lie 63 mm apart."""
        return 0.093 * self.side / self.wide


# The scale of both is alike, about 92 pixels for the distance of the eyes. An open mouth is at most as high as that.
MOUTH: Final = Crop("mouth", GROUPS["outer_lip"], (GROUPS["outer_lip"], GROUPS["inner_lip"]), None, 1.4, 128)
RIGHT_EYE: Final = Crop("right_eye", EYES[0].corners, (GROUPS["right_eye"],), EYES[0].pupil, 0.87, 80)
LEFT_EYE: Final = Crop("left_eye", EYES[1].corners, (GROUPS["left_eye"],), EYES[1].pupil, 0.87, 80, mirrored=True)
CROPS: Final = {crop.name: crop for crop in (MOUTH, RIGHT_EYE, LEFT_EYE)}


def crop_transforms(crop: Crop, points: np.ndarray, side: int | None = None) -> np.ndarray:
    """The similarities from frames' pixels to a crop's; those of a mirrored one also turn about.

    Args:
        points: (…, 70, 2 or 3) pixels of the frames.
        side: pixels of the square, in the middle of which the crop lies pixel for pixel; the crop's own where None.

    Returns:
        (…, 2, 3) float32.
    """
    flat, stable = np.asarray(points, float)[..., :2], list(STABLE)
    size = np.maximum(np.ptp(flat[..., :68, :], axis=-2).max(-1), 1e-3)
    mean = neutral_mesh()[list(MESH_VERTICES)]
    pose = fit_pose(mean[stable] * size[..., None, None], flat[..., stable, :])
    corners = (list(eye.corners) for eye in EYES)
    right, left = (flat[..., pair, :].mean(-2) for pair in corners)
    across = (left - right) @ (1, 1j)
    across = np.where(
        np.abs(across) < 1e-6 * size, size, across
    )  # both eyes in one place do not tell how a face is turned
    eyes = float(np.linalg.norm(np.subtract(*(mean[list(eye.corners)].mean(0) for eye in EYES))))
    scale = crop.side / (crop.wide * eyes * size * pose.scale)
    turn = scale * np.conj(across) / np.abs(across)
    linear = np.stack([turn.real, -turn.imag, turn.imag, turn.real], -1).reshape(*turn.shape, 2, 2)
    if crop.mirrored:
        linear[..., 0, :] *= -1
    middle = flat[..., list(crop.middle), :].mean(-2)
    shift = ((side or crop.side) - 1) / 2 - (linear @ middle[..., None])[..., 0]
    return np.concatenate([linear, shift[..., None]], -1).astype(np.float32)


def crop_outlines(crop: Crop, points: np.ndarray) -> list[np.ndarray]:
    """The closed outlines that tell a painter where things are: (…, P, 2) each, an iris last, as a whole disc.

    Args:
        points: (…, 70, 2 or 3) pixels of the crop.
    """
    flat = np.asarray(points, float)[..., :2]
    outlines = [flat[..., list(outline), :] for outline in crop.outlines]
    if crop.pupil is not None:
        angles = np.linspace(0, 2 * np.pi, _DISC_POINTS, endpoint=False)
        outlines.append(flat[..., crop.pupil, None, :] + crop.iris * np.stack([np.cos(angles), np.sin(angles)], -1))
    return outlines

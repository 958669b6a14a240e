# SPDX-License-Identifier: GPL-3.0-or-later
"""The eyeballs: drawn behind the lids, which mask them, so that a gaze moves the iris and not the skin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_server.drawing.fill import push_pull
from portrait_server.drawing.opening import (
    LEAST_WIDTH,
    Patch,
    covered,
    depth_below,
    drawn_back,
    mix,
    opening_mask,
    patch_around,
)
from portrait_server.geometry.face_mesh import EYES
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import smoothstep
from portrait_server.kernels.levels import held

_IRIS = 0.2  # its radius in eye widths: 11.7 mm across, in an opening of 30 mm
_SHUT = 0.13  # height over width, below which the photo shows no eyeball: a mesh leaves shut lids about 0.1 apart
_NEWLY_OPEN = 0.1  # growth of that height by which a made-up eyeball must show
# How dark the upper lid makes what the photo hides behind it, and down to where, in eye widths.
_LID_SHADE, _SHADE_DEPTH = 0.45, 0.1
_FARTHEST_GAZE = 0.45  # in eye widths
_PUPILS = (68, 69)


@dataclass(frozen=True)
class EyeLayer:
    """One eyeball of the reference, in pixels of the frame.

    Attributes:
        texture: (h, w, 3), the eyeball as if there were no lids.
        made: (h, w) uint8, 255 where the texture is made up: behind the lids.
        patch: where the texture lies in the reference.
        corners: (2, 2) the eye's, left to right.
        pupil: (2,).
        iris: its radius.
        height: of the opening over its width.
    """

    texture: np.ndarray
    made: np.ndarray
    patch: Patch
    corners: np.ndarray
    pupil: np.ndarray
    iris: float
    height: float

    def draw(
        self,
        frame: np.ndarray,
        upper: np.ndarray,
        lower: np.ndarray,
        turn: np.ndarray,
        pupil: np.ndarray,
        skin: np.ndarray,
    ) -> None:
        """Draws the eyeball into the opening between the lids, as far as no skin is in front of it.

        Args:
            frame: (H, W, 3 or 4), changed in place.
            upper, lower: (9, 3) the lids' rims in the frame, and their depth.
            turn: (2, 2) how the head's pose carries small distances in the picture.
            pupil: (2,) where the pupil shall be.
            skin: as `opening.covered` takes it.
        """
        depth = float(min(upper[:, 2].min(), lower[:, 2].min()))
        upper, lower = upper[:, :2], lower[:, :2]
        rim = np.concatenate([upper, lower])
        patch = patch_around(rim, 3, (frame.shape[1], frame.shape[0]))
        wide = float(np.linalg.norm(upper[-1] - upper[0]))
        if patch is None or wide < LEAST_WIDTH:
            return
        # Shut eyes at rest stay the photo's own: the eyeball made up for them shows only as the lids part.
        grown = _height(upper, lower) - self.height
        strength = float(smoothstep(grown / _NEWLY_OPEN)) if self.height < _SHUT else 1.0
        carry, middle = _carry(self.corners, upper[[0, -1]], turn)
        start = carry @ (self.pupil - self.corners.mean(0)) + middle
        gaze = pupil - start
        gaze *= min(1.0, _FARTHEST_GAZE * wide / max(float(np.linalg.norm(gaze)), 1e-6))
        iris = self.iris * np.sqrt(abs(np.linalg.det(carry)))
        x, y = patch.grid()
        reach = np.hypot(x - (start + gaze)[0], y - (start + gaze)[1])
        # The shift falls off over no less than this, or the white beside the iris would fold over.
        away = max(iris, 1.8 * float(np.linalg.norm(gaze)))
        share = (1 - smoothstep((reach - 1.1 * iris) / away)).astype(np.float32)
        from_x, from_y = drawn_back(carry, x - middle[0] - gaze[0] * share, y - middle[1] - gaze[1] * share)
        from_x += np.float32(self.corners[:, 0].mean() - self.patch.x)
        from_y += np.float32(self.corners[:, 1].mean() - self.patch.y)
        seen = cv2.remap(self.texture, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        made = cv2.remap(self.made, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) / np.float32(255)
        shade = _LID_SHADE * made * np.exp(-np.maximum(depth_below(upper, patch), 0) / (_SHADE_DEPTH * wide))
        seen = seen * (1 - shade)[..., None]
        shown = strength * opening_mask(upper, lower, patch, wide / 150) * (1 - covered(skin, rim, depth, patch))
        mix(frame, patch, seen.astype(np.float32), shown)


def build_eyes(photo: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> tuple[EyeLayer, ...]:
    """Both eyeballs of a reference (H, W, 3 or 4)."""
    layers = []
    for (upper, lower), number in zip(EYES, _PUPILS, strict=True):
        rims = [mesh.vertices[list(rim), :2] * scale for rim in (upper, lower)]
        layer = _eyeball(photo[..., :3], rims[0], rims[1], mesh.points[number, :2] * scale)
        layers.append(layer)
    return tuple(layers)


def _eyeball(photo: np.ndarray, upper: np.ndarray, lower: np.ndarray, pupil: np.ndarray) -> EyeLayer:
    corners = upper[[0, -1]]
    wide = float(np.linalg.norm(corners[1] - corners[0]))
    size = (photo.shape[1], photo.shape[0])
    patch = patch_around(np.concatenate([upper, lower, pupil[None]]), 0.5 * wide + 3, size) or Patch(0, 0, 1, 1)
    colour = photo[patch.slices].astype(np.float32)
    iris = _IRIS * wide
    opening = opening_mask(upper, lower, patch, 0)
    height = _height(upper, lower)
    x, y = patch.grid()
    reach = np.hypot(x - pupil[0], y - pupil[1])
    if height < _SHUT or opening.sum() < 4:
        texture = _made_up(colour, reach / max(iris, 0.5))
    else:
        texture = _completed(colour, opening, reach, pupil - (patch.x, patch.y), iris, height * wide)
    hidden = np.round(255 * (1 - cv2.dilate(opening, np.ones((3, 3), np.uint8)))).astype(np.uint8)
    made = cv2.GaussianBlur(hidden, (0, 0), max(0.5, wide / 60))
    return EyeLayer(held(texture, photo.dtype), made, patch, corners, pupil, iris, height)


def _height(upper: np.ndarray, lower: np.ndarray) -> float:
    """Height of the opening between two lids (9, 2), over its width."""
    wide = float(np.linalg.norm(upper[-1] - upper[0]))
    return float(np.linalg.norm(lower[1:-1] - upper[1:-1], axis=1).max()) / max(wide, 1e-6)


def _completed(
    colour: np.ndarray, opening: np.ndarray, reach: np.ndarray, pupil: np.ndarray, iris: float, high: float
) -> np.ndarray:
    """The eyeball continued behind the lids: the iris by its symmetry, the white from what shows of it."""
    rim = max(1, round(high / 12))
    known = cv2.erode((opening > 0.99).astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)).astype(
        np.float32
    )
    if known.sum() < 4:
        known = (opening > 0.5).astype(np.float32)
    white = known * (reach > 1.15 * iris)
    behind = push_pull(colour, white if white.sum() >= 3 else known)
    in_iris = (1 - smoothstep((reach - 0.95 * iris) / (0.15 * iris + 0.5))).astype(np.float32)
    behind += in_iris[..., None] * (_iris_by_symmetry(colour, known, reach, pupil, iris) - behind)
    # With the rim's own pixels, so that an eye at rest is the photo's to its very edge.
    whole = cv2.dilate(opening, np.ones((3, 3), np.uint8))
    return behind + (colour - behind) * whole[..., None]


def _iris_by_symmetry(
    colour: np.ndarray, known: np.ndarray, reach: np.ndarray, pupil: np.ndarray, iris: float
) -> np.ndarray:
    """What lies opposite, or failing that what shows at the same distance from the pupil."""
    x, y = Patch(0, 0, colour.shape[1], colour.shape[0]).grid()
    rings = np.clip(np.round(reach), 0, 4 * iris + 2).astype(int)
    inside = known * (reach < 1.3 * iris)
    count = np.bincount(rings.ravel(), inside.ravel())
    profile = np.stack([np.bincount(rings.ravel(), (inside * colour[..., c]).ravel()) for c in range(3)], -1)
    profile = push_pull(
        (profile / np.maximum(count, 1e-6)[:, None])[None].astype(np.float32), (count > 0)[None].astype(np.float32)
    )[0]
    result = profile[rings].astype(np.float32)
    for mirror_x, mirror_y in ((2 * pupil[0] - x, 2 * pupil[1] - y), (x, 2 * pupil[1] - y)):
        at = mirror_x.astype(np.float32), mirror_y.astype(np.float32)
        opposite = cv2.remap(colour, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shown = cv2.remap(known, *at, cv2.INTER_LINEAR)[..., None]
        result = result + (opposite - result) * shown
    return result


def _made_up(colour: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """An eyeball where the photo's eye is shut: a plain brown iris in a white as bright as the skin allows."""
    light = np.percentile(colour, 80, axis=(0, 1))
    white = 0.42 * light + 0.42 * light.mean()  # in the lids' shade
    iris = np.array([0.36, 0.25, 0.18], np.float32) * light.mean()
    share = (1 - smoothstep((reach - 0.9) / 0.2))[..., None]
    dark = (1 - smoothstep((reach - 0.35) / 0.15))[..., None]
    return white + share * (iris * (1 - 0.8 * dark) - white)


def _carry(corners: np.ndarray, target: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The linear map (2, 2) that turns as the head does and brings the corners home; the middle it maps to."""
    before, after = corners[1] - corners[0], target[1] - target[0]
    carry = turn + np.outer(after - turn @ before, before) / max(float(before @ before), 1e-6)
    if abs(np.linalg.det(carry)) < 0.05:
        carry = np.eye(2) * np.linalg.norm(after) / max(float(np.linalg.norm(before)), 1e-6)
    return carry, target.mean(0)

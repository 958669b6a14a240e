# SPDX-License-Identifier: GPL-3.0-or-later
"""The eyeballs: drawn behind the lids, which mask them, so that a gaze moves the iris and not the skin."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portrait_server.drawing.fill import push_pull
from portrait_server.drawing.opening import (
    LEAST_WIDTH,
    covered,
    depth_below,
    mix,
    opening_mask,
    patches_around,
    planes,
    undone,
)
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.face_mesh import EYES
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.geometry.raster import turned_towards
from portrait_server.kernels.base import Array, Kernels, Look
from portrait_server.kernels.levels import held
from portrait_server.kernels.opencv import OpenCV

_IRIS = 0.2  # its radius in eye widths: 11.7 mm across, in an opening of 30 mm
_SHUT = 0.13  # height over width, below which the photo shows no eyeball: a mesh leaves shut lids about 0.1 apart
_NEWLY_OPEN = 0.1  # growth of that height by which a made-up eyeball must show
# How dark the upper lid makes what the photo hides behind it, and down to where, in eye widths.
_LID_SHADE, _SHADE_DEPTH = 0.45, 0.1
_DARK, _DARKENED = (
    0.03,
    0.1,
)  # in eye widths below an upper lid: how far lashes hide the eyeball, how far they darken it
_WET = 0.05  # in eye widths: the lower lid's wet rim
_CORNER = 0.09  # in eye widths: the flesh in the corners, which is the photo's
# In eye widths: what turns by so much, or opens wider, shows what lay in that darkness: from the first on, all by the second.
_TURNED, _WIDENED = (0.05, 0.11), (0.03, 0.08)
_FARTHEST_GAZE = 0.45  # in eye widths
_PUPILS = (68, 69)
_HOST = OpenCV()  # what is made of a reference is made on the processor


@dataclass(frozen=True)
class EyeLayer:
    """One eyeball of the reference, in pixels of the frame.

    Attributes:
        texture: (h, w, 3), the eyeball as if there were no lids.
        clear: (h, w, 3), the same without what the upper lid and its lashes darken, which stays when the eyeball turns.
        made: (h, w) uint8, 255 where the texture is made up: behind the lids.
        start: (2,) where the texture's first pixel lies in the reference.
        corners: (2, 2) the eye's, left to right.
        pupil: (2,).
        iris: its radius.
        height: of the opening over its width.
    """

    texture: Array
    clear: Array
    made: Array
    start: np.ndarray
    corners: np.ndarray
    pupil: np.ndarray
    iris: float
    height: float

    def placed(self, kernels: Kernels) -> EyeLayer:
        """The same with its pixels where the kernels have theirs."""
        texture, clear, made = (kernels.placed(layer) for layer in (self.texture, self.clear, self.made))
        return replace(self, texture=texture, clear=clear, made=made)

    def draw(
        self,
        kernels: Kernels,
        frames: Array,
        upper: np.ndarray,
        lower: np.ndarray,
        turn: np.ndarray,
        pupil: np.ndarray,
        shut: np.ndarray,
        skin: np.ndarray,
    ) -> None:
        """Draws the eyeball into the opening between the lids, as far as no skin is in front of it.

        Args:
            frames: (N, H, W, 3 or 4), changed in place.
            upper, lower: (N, 9, 3) the lids' rims in the frames, and their depth.
            turn: (N, 2, 2) how the head's pose carries small distances in the picture.
            pupil: (N, 2) where the pupil shall be.
            shut: (N,) bool, where nothing of it shows.
            skin: (N, T, 3, 3) as `opening.covered` takes it.
        """
        depth = np.minimum(upper[..., 2].min(1), lower[..., 2].min(1))
        upper, lower = upper[..., :2], lower[..., :2]
        rim = np.concatenate([upper, lower], 1)
        wide = np.linalg.norm(upper[:, -1] - upper[:, 0], axis=1)
        # Shut eyes at rest stay the photo's own: the eyeball made up for them shows only as the lids part.
        grown = _height(upper, lower) - self.height
        strength = smoothstep(grown / _NEWLY_OPEN) if self.height < _SHUT else np.ones(len(wide))
        patches = patches_around(rim, 3, (frames.shape[2], frames.shape[1]))
        patches = patches.only((wide >= LEAST_WIDTH) & (strength > 0) & ~shut)
        if not patches.there.any():
            return
        wide = np.maximum(wide, LEAST_WIDTH)
        x, y = kernels.grid(patches)
        seen, clear, made, gaze = self._looked_at(kernels, x, y, upper[:, [0, -1]], turn, pupil)
        turned = np.linalg.norm(gaze, axis=1) / wide
        moved, bared = between(turned, *_TURNED), between(grown, *_WIDENED)
        shaded, strength, moved, bared = planes(kernels, _SHADE_DEPTH * wide, strength, moved, bared)
        xp = array_namespace(seen)
        seen, clear = xp.astype(seen, xp.float32), xp.astype(clear, xp.float32)
        below = depth_below(kernels, upper, x, y).clip(0, None) / shaded
        moved = xp.maximum(moved, bared * (1 - smoothstep(below / 3)))  # a lid that rises bares nothing by the other
        seen = seen + (clear - seen) * moved[..., None]
        shade = _LID_SHADE * xp.exp(-below)
        shade = shade * (made + (1 - made) * moved)
        shown = strength * opening_mask(kernels, upper, lower, patches, wide / 150)
        shown = shown * (1 - covered(kernels, skin, turned_towards(skin), rim, depth, patches))
        mix(kernels, frames, patches, seen * (1 - shade)[..., None], shown)

    def _looked_at(
        self, kernels: Kernels, x: Array, y: Array, corners: np.ndarray, turn: np.ndarray, pupil: np.ndarray
    ) -> tuple[Array, Array, Array, np.ndarray]:
        """The eyeball at pixels x and y (N, h, w): its colours, those of `clear`, how far they are made up, 0 to 1.

        And how far it is turned (N, 2), pixels of the frames.

        Args:
            corners: (N, 2, 2) the eye's in the frames; turn, pupil: as `draw` takes them.
        """
        wide = np.maximum(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1), LEAST_WIDTH)
        carry, middle = _carry(self.corners, corners, turn)
        start = carry @ (self.pupil - self.corners.mean(0)) + middle
        gaze = pupil - start
        far = np.linalg.norm(gaze, axis=1)
        gaze = gaze * np.minimum(1.0, _FARTHEST_GAZE * wide / np.maximum(far, 1e-6))[:, None]
        iris = self.iris * np.sqrt(np.abs(np.linalg.det(carry)))
        # The shift falls off over no less than this, or the white beside the iris would fold over.
        away = np.maximum(iris, 1.8 * np.linalg.norm(gaze, axis=1))
        centre_x, centre_y, around, away = planes(kernels, *(start + gaze).T, 1.1 * iris, away)
        xp = array_namespace(x)
        reach = xp.sqrt((x - centre_x) ** 2 + (y - centre_y) ** 2)
        share = 1 - smoothstep((reach - around) / away)
        back = undone(carry).reshape(-1, 4).T
        to_right, to_down, right, down, a, b, c, d = planes(kernels, *middle.T, *gaze.T, *back)
        x, y = x - to_right - right * share, y - to_down - down * share
        home = (self.corners.mean(0) - self.start).astype(np.float32).tolist()
        from_x, from_y = a * x + b * y + home[0], c * x + d * y + home[1]
        seen = kernels.looked_up(self.texture[None], from_x, from_y)
        clear = kernels.looked_up(self.clear[None], from_x, from_y)
        made = kernels.looked_up(self.made[None], from_x, from_y, Look.LINEAR)
        return seen, clear, xp.astype(made, xp.float32) / 255, gaze


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
    patch = patches_around(np.concatenate([upper, lower, pupil[None]])[None], 0.5 * wide + 3, size)
    start = np.array([patch.x[0], patch.y[0]])
    colour = _HOST.taken(photo[None], patch)[0].astype(np.float32)
    iris = _IRIS * wide
    (opening,) = opening_mask(_HOST, upper[None], lower[None], patch, np.zeros(1))
    height = float(_height(upper[None], lower[None])[0])
    (x,), (y,) = _HOST.grid(patch)
    reach = np.hypot(x - pupil[0], y - pupil[1])
    if height < _SHUT or opening.sum() < 4:
        texture = clear = _made_up(colour, reach / max(iris, 0.5))
    else:
        under, over = (depth_below(_HOST, lid[None], x[None], y[None])[0] / wide for lid in (upper, lower))
        lit = smoothstep((under - _DARK) / _DARKENED) * smoothstep(-over / _WET)
        beside = np.minimum(*(np.hypot(x - corner[0], y - corner[1]) for corner in corners)) / wide
        lit = np.maximum(lit, 1 - smoothstep((beside - _CORNER) / _CORNER))
        texture, clear = _completed(colour, opening, lit, reach, pupil - start, iris, height * wide)
    hidden = np.round(255 * (1 - cv2.dilate(opening, np.ones((3, 3), np.uint8)))).astype(np.uint8)
    made = cv2.GaussianBlur(hidden, (0, 0), max(0.5, wide / 60))
    return EyeLayer(held(texture, photo.dtype), held(clear, photo.dtype), made, start, corners, pupil, iris, height)


def _height(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Height of the opening between two lids (N, 9, 2), over its width: (N,)."""
    wide = np.linalg.norm(upper[:, -1] - upper[:, 0], axis=1)
    return np.linalg.norm(lower[:, 1:-1] - upper[:, 1:-1], axis=2).max(1) / np.maximum(wide, 1e-6)


def _completed(
    colour: np.ndarray,
    opening: np.ndarray,
    lit: np.ndarray,
    reach: np.ndarray,
    pupil: np.ndarray,
    iris: float,
    high: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The eyeball continued behind the lids: the iris by its symmetry, the white from what shows of it.

    Args:
        lit: (h, w) 0 where lids colour the eyeball, by lashes, shade and the wet rim of the lower one, to 1.

    Returns:
        As in the photo, and with what is dark by the lid made up, too.
    """
    rim = max(1, round(high / 12))
    known = cv2.erode((opening > 0.99).astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)).astype(
        np.float32
    )
    if (known * (lit > 0.5)).sum() > 0.3 * known.sum():
        known *= lit > 0.5
    if known.sum() < 4:
        known = (opening > 0.5).astype(np.float32)
    white = known * (reach > 1.15 * iris)
    behind = push_pull(colour, white if white.sum() >= 3 else known)
    in_iris = (1 - smoothstep((reach - 0.95 * iris) / (0.15 * iris + 0.5))).astype(np.float32)
    behind += in_iris[..., None] * (_iris_by_symmetry(colour, known, reach, pupil, iris) - behind)
    # With the rim's own pixels, so that an eye at rest is the photo's to its very edge.
    whole = cv2.dilate(opening, np.ones((3, 3), np.uint8))
    shown = (colour - behind) * whole[..., None]
    return behind + shown, behind + shown * lit[..., None]


def _iris_by_symmetry(
    colour: np.ndarray, known: np.ndarray, reach: np.ndarray, pupil: np.ndarray, iris: float
) -> np.ndarray:
    """What lies opposite, or failing that what shows at the same distance from the pupil."""
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in colour.shape[1::-1]))
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
    """The linear maps (N, 2, 2) that turn as the head does and bring the corners home; the middles they map to (N, 2)."""
    before, after = corners[1] - corners[0], target[:, 1] - target[:, 0]
    length = max(float(before @ before), 1e-6)
    carry = turn + (after - turn @ before)[:, :, None] * (before / length)
    straight = np.eye(2) * (np.linalg.norm(after, axis=1) / np.sqrt(length))[:, None, None]
    flat = np.abs(np.linalg.det(carry)) < 0.05
    return np.where(flat[:, None, None], straight, carry), target.mean(1)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The eyeballs: drawn behind the lids, which mask them, so that a gaze moves the iris and not the skin.

What turns is the iris alone, a disc that keeps its shape. The white stays, for its shade is that of lids and corners.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portrait_server.drawing.eyeball import Around, disc_share, made_up_eyeball, seen_eyeball
from portrait_server.drawing.lid_rims import below_landmarks, edges
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
from portrait_server.drawing.whites import colours_at
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.face_mesh import CHEEKS, EYES
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.geometry.raster import turned_towards
from portrait_server.kernels.base import Array, Kernels, Look
from portrait_server.kernels.levels import held
from portrait_server.kernels.opencv import OpenCV

_SHUT = 0.13  # height over width, below which the photo shows no eyeball: a mesh leaves shut lids about 0.1 apart
_NEWLY_OPEN = 0.1  # growth of that height by which a made-up eyeball must show
# How dark the upper lid makes what it comes to lie over, and down to where, in eye widths. Into that shade light comes by
# way of skin: so much of it has the skin's colour.
_LID_SHADE, _SHADE_DEPTH, _BY_SKIN = 0.66, 0.12, 0.5
# In eye widths: what turns by so much, or opens wider, shows what lay in the shade of lids; what closes by so much is
# shaded anew: from the first on, all by the second.
_TURNED, _WIDENED, _CLOSED = (0.05, 0.11), (0.05, 0.12), (0.02, 0.12)
_FAINTER = 0.45  # of that shade, under a lid that does not rise
_WET, _SINKS = 0.06, 0.08  # in eye widths: the lower lid's wet rim, which goes with it; by no more than the second
_FARTHEST_GAZE = 0.45  # in eye widths
_PUPILS = (68, 69)
_HOST = OpenCV()  # what is made of a reference is made on the processor


@dataclass(frozen=True)
class EyeLayer:
    """One eyeball of the reference, in pixels of the frame.

    Attributes:
        texture: (h, w, 3), the eyeball as if there were no lids.
        white, disc: (h, w, 3) as `eyeball.Eyeball` has them.
        made: (h, w) uint8, 255 where the texture is made up: behind the lids.
        shade: (3,) which share of each colour's light the upper lid takes from what is right below it.
        start: (2,) where the texture's first pixel lies in the reference.
        corners: (2, 2) the eye's, left to right.
        pupil: (2,).
        iris: its radius.
        height: of the opening over its width.
        depth: of the lower lid's edge below the line between the corners, as high.
        below: how far below its landmarks the lower lid's edge lies, in eye widths.
    """

    texture: Array
    white: Array
    disc: Array
    made: Array
    shade: np.ndarray
    start: np.ndarray
    corners: np.ndarray
    pupil: np.ndarray
    iris: float
    height: float
    depth: float
    below: float

    def placed(self, kernels: Kernels) -> EyeLayer:
        """The same with its pixels where the kernels have theirs."""
        texture, white, disc, made = (kernels.placed(part) for part in (self.texture, self.white, self.disc, self.made))
        return replace(self, texture=texture, white=white, disc=disc, made=made)

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
        outline = np.concatenate([upper, lower], 1)
        wide = np.linalg.norm(upper[:, -1] - upper[:, 0], axis=1)
        # Shut eyes at rest stay the photo's own: the eyeball made up for them shows only as the lids part.
        grown = _height(upper, lower) - self.height
        strength = smoothstep(grown / _NEWLY_OPEN) if self.height < _SHUT else np.ones(len(wide))
        patches = patches_around(outline, 3, (frames.shape[2], frames.shape[1]))
        patches = patches.only((wide >= LEAST_WIDTH) & (strength > 0) & ~shut)
        if not patches.there.any():
            return
        wide = np.maximum(wide, LEAST_WIDTH)
        x, y = kernels.grid(patches)
        sunk = _depth(upper, lower) - self.depth
        (wet,) = planes(kernels, 1 / (_WET * wide))
        rim = -depth_below(kernels, lower, x, y).clip(None, 0) * wet
        seen, bare, made, gaze = self._looked_at(
            kernels, x, y, upper[:, [0, -1]], turn, pupil, sunk, 1 - smoothstep(rim)
        )
        turned = np.linalg.norm(gaze, axis=1) / wide
        raised = (grown - sunk).clip(0, None)
        shaded, strength, moved, fallen, bared, raised = planes(
            kernels, _SHADE_DEPTH * wide, strength, between(turned, *_TURNED), between(-grown, *_CLOSED),
            between(raised, *_WIDENED), raised / _SHADE_DEPTH,
        )  # fmt: skip
        xp = array_namespace(seen)
        below = depth_below(kernels, upper, x, y).clip(0, None) / shaded
        # A lid that rises bares nothing by the other.
        bared = bared * (1 - smoothstep((below - raised) / 3))
        moved = xp.maximum(moved, bared)
        seen = seen + (bare - seen) * moved[..., None]
        anew = (made + (1 - made) * xp.maximum(moved, fallen)) * (_FAINTER + (1 - _FAINTER) * bared)
        shade = (anew * xp.exp(-below))[..., None] * kernels.put(self.shade)
        shown = strength * opening_mask(kernels, upper, lower, patches, wide / 150)
        shown = shown * (1 - covered(kernels, skin, turned_towards(skin), outline, depth, patches))
        mix(kernels, frames, patches, seen * (1 - shade), shown)

    def _looked_at(
        self, kernels: Kernels, x: Array, y: Array, corners: np.ndarray, turn: np.ndarray, pupil: np.ndarray,
        sunk: np.ndarray, rim: Array,
    ) -> tuple[Array, Array, Array, np.ndarray]:  # fmt: skip
        """The eyeball at pixels x and y (N, h, w): its texture, what it is without lids, how far it is made up, 0 to 1.

        And how far it is turned (N, 2), pixels of the frames.

        Args:
            corners: (N, 2, 2) the eye's in the frames; turn, pupil: as `draw` takes them.
            sunk: (N,) by how many eye widths the lower lid is lower than in the photo; rim: (N, h, w) where it is.
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
        back = undone(carry)
        to_right, to_down, a, b, c, d = planes(kernels, *middle.T, *back.reshape(-1, 4).T)
        right, down = planes(kernels, *(back @ gaze[..., None])[..., 0].T)
        home = (self.corners.mean(0) - self.start).astype(np.float32).tolist()
        x, y = x - to_right, y - to_down
        x, y = a * x + b * y + home[0], c * x + d * y + home[1]
        across = self.corners[1] - self.corners[0]
        sunk_x, sunk_y = planes(kernels, *(sunk.clip(-_SINKS, _SINKS)[:, None] * [-across[1], across[0]]).T)
        at = x - right * share - sunk_x * rim, y - down * share - sunk_y * rim
        on_disc = x - right, y - down
        seen, white, disc = (
            xp.astype(kernels.looked_up(picture[None], *where), xp.float32)
            for picture, where in ((self.texture, at), (self.white, (x, y)), (self.disc, on_disc))
        )
        made = kernels.looked_up(self.made[None], *at, Look.LINEAR)
        pupil_x, pupil_y = (self.pupil - self.start).astype(np.float32).tolist()
        reach = xp.sqrt((on_disc[0] - pupil_x) ** 2 + (on_disc[1] - pupil_y) ** 2)
        bare = white + disc_share(reach, self.iris)[..., None] * (disc - white)
        return seen, bare, xp.astype(made, xp.float32) / 255, gaze


def build_eyes(photo: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> tuple[EyeLayer, ...]:
    """Both eyeballs of a reference (H, W, 3 or 4)."""
    skin = np.median(colours_at(photo, mesh.vertices[list(CHEEKS), :2] * scale), axis=0)
    shade = (_LID_SHADE * (1 - _BY_SKIN * skin / max(skin.max(), 1))).astype(np.float32)
    layers = []
    for (upper, lower), number in zip(EYES, _PUPILS, strict=True):
        rims = [mesh.vertices[list(rim), :2] * scale for rim in (upper, lower)]
        across = mesh.vertices[upper[-1]] - mesh.vertices[upper[0]]
        deep = float(np.linalg.norm(across) / max(float(np.linalg.norm(across[:2])), 1e-6))
        layers.append(_layer(photo[..., :3], rims[0], rims[1], mesh.points[number, :2] * scale, shade, deep))
    return tuple(layers)


def _layer(
    photo: np.ndarray, upper: np.ndarray, lower: np.ndarray, pupil: np.ndarray, shade: np.ndarray, deep: float
) -> EyeLayer:
    corners = upper[[0, -1]]
    wide = float(np.linalg.norm(corners[1] - corners[0]))
    shut = _height(upper[None], lower[None])[0] < _SHUT
    below = 0.0 if shut else below_landmarks(photo, upper, lower)
    upper, lower = (rim[0] for rim in edges(upper[None], lower[None], np.zeros(1), below))
    size = (photo.shape[1], photo.shape[0])
    patch = patches_around(np.concatenate([upper, lower, pupil[None]])[None], 0.5 * wide + 3, size)
    start = np.array([patch.x[0], patch.y[0]])
    colour = _HOST.taken(photo[None], patch)[0].astype(np.float32)
    (opening,) = opening_mask(_HOST, upper[None], lower[None], patch, np.zeros(1))
    height, depth = (float(found(upper[None], lower[None])[0]) for found in (_height, _depth))
    (x,), (y,) = _HOST.grid(patch)
    reach = np.hypot(x - pupil[0], y - pupil[1])
    if shut or opening.sum() < 4:
        ball = made_up_eyeball(colour, reach, wide)
    else:
        under, over = (depth_below(_HOST, lid[None], x[None], y[None])[0] / wide for lid in (upper, lower))
        beside = np.minimum(*(np.hypot(x - corner[0], y - corner[1]) for corner in corners)) / wide
        right = (corners[1] - corners[0]) / wide
        across = 2 * ((x - corners[0, 0]) * right[0] + (y - corners[0, 1]) * right[1]) / wide - 1
        at = Around(opening, under, over, beside, across, reach)
        ball = seen_eyeball(colour, at, pupil - start, wide, height * wide, deep)
    hidden = np.round(255 * (1 - cv2.dilate(opening, np.ones((3, 3), np.uint8)))).astype(np.uint8)
    made = cv2.GaussianBlur(hidden, (0, 0), max(0.5, wide / 60))
    texture, white, disc = (held(part, photo.dtype) for part in (ball.seen, ball.white, ball.disc))
    return EyeLayer(texture, white, disc, made, shade, start, corners, pupil, ball.radius, height, depth, below)


def _height(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Height of the opening between two lids (N, 9, 2), over its width: (N,)."""
    wide = np.linalg.norm(upper[:, -1] - upper[:, 0], axis=1)
    return np.linalg.norm(lower[:, 1:-1] - upper[:, 1:-1], axis=2).max(1) / np.maximum(wide, 1e-6)


def _depth(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """How far lower lids (N, 9, 2) are below the line between the eye's corners, over its width: (N,)."""
    across = upper[:, -1] - upper[:, 0]
    local = (lower[:, 2:-2] - upper[:, :1]).mean(1)
    return (across[:, 0] * local[:, 1] - across[:, 1] * local[:, 0]) / np.maximum((across**2).sum(1), 1e-6)


def _carry(corners: np.ndarray, target: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The linear maps (N, 2, 2) that turn as the head does and bring the corners home; the middles they map to (N, 2)."""
    before, after = corners[1] - corners[0], target[:, 1] - target[:, 0]
    length = max(float(before @ before), 1e-6)
    carry = turn + (after - turn @ before)[:, :, None] * (before / length)
    straight = np.eye(2) * (np.linalg.norm(after, axis=1) / np.sqrt(length))[:, None, None]
    flat = np.abs(np.linalg.det(carry)) < 0.05
    return np.where(flat[:, None, None], straight, carry), target.mean(1)

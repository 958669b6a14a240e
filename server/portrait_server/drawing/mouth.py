# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of the mouth: the reference's own where it shows one; where it does not, a dark one, softly lit.

A mouth that only now opens shows wet lip along its rim, teeth fixed to skull and jaw where the lips leave them bare, a
tongue behind the lower ones, and darkness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portrait_server.drawing.inside import Bones, Place, below, rows_of_teeth, tongue
from portrait_server.drawing.opening import (
    LEAST_WIDTH,
    mix,
    nearer_half,
    of_half,
    opening_mask,
    patches_around,
    planes,
    undone,
)
from portrait_server.drawing.whites import colours_at, teeth_in
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.face_mesh import EYES, LOWER_LIP, MOUTH, UPPER_LIP
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.base import Array, Kernels, Look, Patches
from portrait_server.kernels.opencv import OpenCV

CLOSED, OPEN = 0.04, 0.12  # height of the opening over its width: lips that touch; an inside that shows
TALL = (0.2, 0.45)  # where the lower teeth, too, are likely to show, and go with the jaw
_NEWLY_OPEN = 0.07  # growth of the opening, over its width, by which an inside must be drawn
_WET_RIM = 0.12  # how deep, in mouth widths, light falls from the lips inwards
# Of the lips' colour: near the line along which they meet, and on it.
_LIP_EDGE, _LIP_LINE = np.array([0.95, 0.85, 0.85]), np.array([0.65, 0.45, 0.45])
_HOST = OpenCV()  # what is made of a reference is made on the processor
_UNLIT, _GUM = np.array([[0.14, 0.08, 0.08], [0.45, 0.28, 0.28]])  # of the lips' colour
_TONGUE = np.array([0.85, 0.63, 0.62])  # of the teeth's, by the roots of the lips' hue
_USUAL = 0.79  # how wide a mouth usually is, against how far apart the eyes are: 50 mm
_LIPS = 0.9  # of that, how much lies between its inner corners; a mouth whose photo smiles is at rest no wider


@dataclass(frozen=True)
class MouthLayer:
    """The inside of a person's mouth, in pixels of the frame.

    Attributes:
        texture: (h, w, 3) float32, the inside's colour.
        known: (h, w) float32, 0 to 1: where it is the inside; `rimmed` with the lips' edges around it.
        start: (2,) where its first pixel lies in the reference.
        middle: (2,) of the opening.
        rest: (11, 2) the line along which the lips meet.
        lip, teeth: (3,) colours.
        openness: height of the photo's opening over its width.
        shown: that of the opening in the texture, which may be another photo's (`drawing.lent_mouth`).
        jaw: (2,) how much lower the jaw is in the texture than in the photo, pixels.
        half: of a mouth in profile, see `nearer_half`.
        corners: the vertices where it ends, left and right.
        usual: how wide a mouth usually is by the size of the face, against this one.
        down: (2,) so much, square to the lips.
    """

    texture: Array
    known: Array
    rimmed: Array
    start: np.ndarray
    middle: np.ndarray
    rest: np.ndarray
    lip: np.ndarray
    teeth: np.ndarray
    openness: float
    shown: float
    jaw: np.ndarray
    half: tuple[int, ...] | None
    corners: tuple[int, int]
    usual: float
    down: np.ndarray

    def placed(self, kernels: Kernels) -> MouthLayer:
        """The same with its pixels where the kernels have theirs."""
        return replace(
            self, texture=kernels.placed(self.texture), known=kernels.placed(self.known),
            rimmed=kernels.placed(self.rimmed),
        )  # fmt: skip

    def draw(
        self,
        kernels: Kernels,
        frames: Array,
        upper: np.ndarray,
        lower: np.ndarray,
        turn: np.ndarray,
        skull: np.ndarray,
        jaw: np.ndarray,
        lips: np.ndarray,
    ) -> None:
        """Draws the inside between the lips.

        Args:
            frames: (N, H, W, 3 or 4), changed in place.
            upper, lower: (N, 11, 2) the inner rims of the lips in the frames.
            turn: (N, 2, 2) how the head's pose carries small distances in the picture.
            skull, jaw: (N, 2) where the middle of the opening goes if it goes with the upper teeth, or the lower.
            lips: (N, 2) from the mouth's left corner to its right one, as the pose alone carries it.
        """
        upper, lower = of_half(upper, self.half), of_half(lower, self.half)
        wide = np.linalg.norm(upper[:, -1] - upper[:, 0], axis=1)
        now = _share(self.half) * openness(upper, lower)
        shows, parted = (between(height, CLOSED, OPEN) for height in (self.shown, self.openness))
        strength = np.maximum(parted, smoothstep((now - self.openness) / _NEWLY_OPEN)) * (now > 0)
        sealed = parted * _closed(now, self.openness)
        size = (frames.shape[2], frames.shape[1])
        patches = patches_around(np.concatenate([upper, lower], 1), 3 + wide / 10, size)
        patches = patches.only((wide >= LEAST_WIDTH) & ((strength > 0) | (sealed > 0)))
        if not patches.there.any():
            return
        wide = np.maximum(wide, LEAST_WIDTH)
        place = Place(kernels, upper, lower, *kernels.grid(patches))
        if (strength > 0).any():
            colour = self._made_up(kernels, place, self.bones(turn, skull, jaw, lips))
            if shows > 0:
                changed = smoothstep(np.abs(now - self.openness) / _NEWLY_OPEN)
                dropped = jaw - turn @ self.jaw
                seen, known = self._seen(kernels, patches, turn, skull, dropped, place.down, changed)
                colour = colour + (seen - colour) * (known * shows)[..., None]
            # Soft by the width of a lip's wet edge, as long as the opening is wide enough for it.
            softness = wide / 60 * smoothstep(now / 0.15) + wide / 200
            (share,) = planes(kernels, strength)
            mix(kernels, frames, patches, colour, share * opening_mask(kernels, upper, lower, patches, softness))
        if (sealed > 0).any():
            self._seal(kernels, frames, patches, place, (upper + lower) / 2, wide, sealed)

    def bones(self, turn: np.ndarray, skull: np.ndarray, jaw: np.ndarray, lips: np.ndarray) -> Bones:
        """What carries teeth and tongue in frames whose head `draw` is told of."""
        wide = np.maximum(np.linalg.norm(lips, axis=1), LEAST_WIDTH)
        across = np.maximum(wide * self.usual, LEAST_WIDTH)
        down = np.maximum(np.linalg.norm(turn @ self.down, axis=1), LEAST_WIDTH)
        rest = (self.rest - self.middle) @ turn.swapaxes(1, 2)
        return Bones(rest, skull, jaw, across, down, np.minimum(wide, _LIPS * _share(self.half) * across))

    def _seal(
        self,
        kernels: Kernels,
        frames: Array,
        patches: Patches,
        place: Place,
        line: np.ndarray,
        wide: np.ndarray,
        share: np.ndarray,
    ) -> None:
        """Where parted lips meet, the shade between lips covers the rim of teeth that the outline missed."""
        xp = array_namespace(place.down)
        above = place.height_over(line)
        # More is covered below the line: in a smile the outline follows the ends of the teeth, above the lower lip.
        over, under, thin, share = planes(kernels, wide / 18, wide / 12, wide / 30, 0.9 * share)
        rim = xp.exp(-((above / xp.where(above > 0, over, under)) ** 4))
        line_itself = xp.exp(-((above / thin) ** 2))[..., None]
        edge, middle = self._colours(kernels, _LIP_EDGE, _LIP_LINE - _LIP_EDGE)
        mix(kernels, frames, patches, edge + line_itself * middle, share * rim * (1 - place.across**6))

    def _made_up(self, kernels: Kernels, place: Place, bones: Bones) -> Array:
        """What a mouth shows that the photo kept shut: (N, height, width, 3) float32."""
        deep = smoothstep(place.depth / _WET_RIM)[..., None]
        outside, unlit, gums = self._colours(kernels, 0.7, _UNLIT, _GUM)
        moist = kernels.put(self._tongue())
        there, light = tongue(kernels, place, bones)
        inside = unlit + there[..., None] * (light[..., None] * moist - unlit)
        colour = outside + (inside - outside) * deep
        teeth = kernels.put(self.teeth.astype(np.float32))
        for row in reversed(rows_of_teeth(kernels, place, bones)):  # the upper ones bite before the lower
            tooth = colour + (row.light * (1 - row.gaps))[..., None] * (teeth - colour)
            colour = colour + (row.bare * row.front)[..., None] * (tooth + row.gum[..., None] * (gums - tooth) - colour)
        return colour

    def _tongue(self) -> np.ndarray:
        """Its colour (3,) where most light falls: by the light, and warmer among warm lips."""
        lips = self.lip / max(float(self.lip[0]), 1.0)
        return (self.teeth * _TONGUE * np.sqrt(lips)).astype(np.float32)

    def _colours(self, kernels: Kernels, *shares: np.ndarray | float) -> Array:
        """Shares, (3,) or one, of the lips' colour: (K, 3) float32."""
        return kernels.put(np.stack([(self.lip * share).astype(np.float32) for share in shares]))

    def _seen(
        self,
        kernels: Kernels,
        patches: Patches,
        turn: np.ndarray,
        skull: np.ndarray,
        jaw: np.ndarray,
        down: Array,
        changed: np.ndarray,
    ) -> tuple[Array, Array]:
        """The texture's inside and where it is known: with the upper teeth above; below with the lower, if any."""
        share = smoothstep((down - 0.35) / 0.5) * between(self.shown, *TALL)
        with_x, with_y, jaw_x, jaw_y, a, b, c, d, changed = planes(
            kernels, *skull.T, *(jaw - skull).T, *undone(turn).reshape(-1, 4).T, changed
        )
        x, y = kernels.grid(patches)
        x, y = x - (with_x + share * jaw_x), y - (with_y + share * jaw_y)
        home = (self.middle - self.start).astype(np.float32).tolist()
        from_x, from_y = a * x + b * y + home[0], c * x + d * y + home[1]
        # The lips' edges belong to a mouth as the photo has it; in one that has changed they would be seen twice.
        known = self.rimmed[None] + changed * (self.known - self.rimmed)[None]
        return (
            kernels.looked_up(self.texture[None], from_x, from_y),
            kernels.looked_up(known, from_x, from_y, Look.LINEAR, outside=0.0),
        )


def _closed(now: np.ndarray, before: float) -> np.ndarray:
    """0 as open as a third of before, 1 shut."""
    return 1 - smoothstep(now / max(0.35 * before, 1e-6))


def _share(half: tuple[int, ...] | None) -> float:
    """Of a mouth's width, how much its rims are across."""
    return 1.0 if half is None else 0.5


def openness(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Height of openings over their width, from their two rims (N, P, 2): (N,); below 0 where the lips cross."""
    along = upper[:, -1] - upper[:, 0]
    wide = np.linalg.norm(along, axis=1) + 1e-6
    down = np.stack([-along[:, 1], along[:, 0]], -1) / wide[:, None]
    third = upper.shape[1] // 3
    gap = (lower - upper)[:, third:-third]
    return (gap * down[:, None]).sum(-1).mean(1) / wide


def build_mouth(photo: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> MouthLayer:
    """The inside of a reference's mouth, from its photo (H, W, 3 or 4)."""
    half = nearer_half(*(mesh.vertices[list(rim)] for rim in MOUTH))
    upper, lower = (of_half(mesh.vertices[list(rim), :2], half) * scale for rim in MOUTH)
    wide = float(np.linalg.norm(upper[-1] - upper[0]))
    size = (photo.shape[1], photo.shape[0])
    patch = patches_around(np.concatenate([upper, lower])[None], 0.3 * wide + 3, size)
    colour = _HOST.taken(photo[None, ..., :3], patch)[0].astype(np.float32)
    (opening,) = opening_mask(_HOST, upper[None], lower[None], patch, np.zeros(1))
    # As wide a rim in frames of other proportions than the photo's.
    sides = scale * float(np.linalg.norm((upper[-1] - upper[0]) / scale))
    rim_x, rim_y = np.maximum(1, np.round(sides / 60)).astype(int)
    known = cv2.erode(opening, np.ones((2 * rim_y + 1, 2 * rim_x + 1), np.uint8))
    wider = 2 * round(2 + wide / 20) + 1
    lips = mesh.vertices[[*UPPER_LIP[1], *LOWER_LIP[1]], :2] * scale
    lip = colours_at(photo, lips)
    height = _share(half) * float(openness(upper[None], lower[None])[0])
    corners = (MOUTH[0][half[0] if half else 0], MOUTH[0][half[-1] if half else -1])
    left, right = (mesh.vertices[[rims[0][0], rims[0][-1]]].mean(0) for rims in EYES)
    usual, line = _USUAL * float(np.linalg.norm(left - right)), np.subtract(*mesh.vertices[list(corners[::-1])])
    return MouthLayer(
        texture=colour,
        known=cv2.GaussianBlur(known, (0, 0), *np.maximum(0.5, sides / 80)),
        rimmed=cv2.dilate(opening, np.ones((wider, wider), np.uint8)),
        start=np.array([patch.x[0], patch.y[0]]),
        middle=(upper.mean(0) + lower.mean(0)) / 2,
        rest=(upper + lower) / 2,
        lip=np.median(lip, axis=0),
        teeth=teeth_in(photo, mesh, scale, colour[known > 0.5], height),
        openness=height,
        shown=height,
        jaw=np.zeros(2),
        half=half,
        corners=corners,
        usual=usual / max(float(np.linalg.norm(line)), 1e-6),
        down=usual * below(line[None, :2] / max(float(np.linalg.norm(line[:2])), 1e-6))[0] * scale,
    )

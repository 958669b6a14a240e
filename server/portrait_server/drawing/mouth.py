# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of the mouth: the reference's own where it shows one; where it does not, a dark one, softly lit.

A mouth that only now opens shows wet lip along its rim, a hint of teeth fixed to skull and jaw where the lips
leave them bare, and darkness behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_server.drawing.opening import LEAST_WIDTH, Patch, drawn_back, line_height, mix, opening_mask, patch_around
from portrait_server.geometry.face_mesh import CHEEKS, LOWER_LIP, MOUTH, UPPER_LIP
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import between, smoothstep

_CLOSED, _OPEN = 0.04, 0.12  # height of the opening over its width: lips that touch; an inside that shows
_TALL = (0.2, 0.45)  # where the lower teeth, too, are likely to show, and go with the jaw
_NEWLY_OPEN = 0.07  # growth of the opening, over its width, by which an inside must be drawn
_WET_RIM = 0.12  # how deep, in mouth widths, light falls from the lips inwards
# Where the front teeth end, below the line along which the lips meet, in mouth widths of about 50 mm: the upper
# ones 2 mm under the lip at rest, the lower ones just behind them.
_UPPER_TEETH_END, _LOWER_TEETH_START = 0.05, 0.02
# Of the lips' colour: near the line along which they meet, and on it.
_LIP_EDGE, _LIP_LINE = np.array([0.95, 0.85, 0.85]), np.array([0.65, 0.45, 0.45])
_CROWN = 0.17  # height of a front tooth, in mouth widths; beyond it there is gum
_UPPER_SHARE, _LOWER_SHARE = 0.75, 0.5  # how much of the teeth's light shows: they lie in the lips' shade
_TOOTH_GAPS = np.array([0.0, 0.17, 0.30, 0.44])  # where front teeth meet, from the middle, in mouth widths
_GAP, _GAP_SHADE = 0.008, 0.3  # half the width of what is seen between two teeth, and how dark it is
_UNLIT, _TONGUE, _GUM = (
    np.array([0.2, 0.13, 0.13]),
    np.array([0.5, 0.34, 0.34]),
    np.array([0.45, 0.28, 0.28]),
)  # of the lips' colour


@dataclass(frozen=True)
class MouthLayer:
    """The inside of the reference's mouth, in pixels of the frame.

    Attributes:
        texture: (h, w, 3) float32, the inside's colour.
        known: (h, w) float32, 0 to 1: where it is the inside; `rimmed` with the lips' edges around it.
        patch: where it lies in the reference.
        middle: (2,) of the opening.
        rest: (11, 2) the line along which the lips meet.
        lip, teeth: (3,) colours.
        openness: height of the opening over its width.
    """

    texture: np.ndarray
    known: np.ndarray
    rimmed: np.ndarray
    patch: Patch
    middle: np.ndarray
    rest: np.ndarray
    lip: np.ndarray
    teeth: np.ndarray
    openness: float

    def draw(
        self,
        frame: np.ndarray,
        upper: np.ndarray,
        lower: np.ndarray,
        turn: np.ndarray,
        skull: np.ndarray,
        jaw: np.ndarray,
    ) -> None:
        """Draws the inside between the lips.

        Args:
            frame: (H, W, 3 or 4), changed in place.
            upper, lower: (11, 2) the inner rims of the lips in the frame.
            turn: (2, 2) how the head's pose carries small distances in the picture.
            skull, jaw: (2,) where the middle of the opening goes if it goes with the upper teeth, or the lower.
        """
        wide = float(np.linalg.norm(upper[-1] - upper[0]))
        patch = patch_around(np.concatenate([upper, lower]), 3 + wide / 10, (frame.shape[1], frame.shape[0]))
        if patch is None or wide < LEAST_WIDTH:
            return
        now = openness(upper, lower)
        place = _Place(upper, lower, patch)
        shows = float(between(self.openness, _CLOSED, _OPEN))
        strength = max(shows, float(smoothstep((now - self.openness) / _NEWLY_OPEN)))
        if strength > 0 and now > 0:
            colour = self._made_up(place, wide, (self.rest - self.middle) @ turn.T, skull, jaw)
            if shows > 0:
                changed = float(smoothstep(abs(now - self.openness) / _NEWLY_OPEN))
                seen, known = self._seen(patch, turn, skull, jaw, place.down, changed)
                colour += (seen - colour) * known[..., None] * shows
            # Soft by the width of a lip's wet edge, as long as the opening is wide enough for it.
            softness = wide / 60 * float(smoothstep(now / 0.15)) + wide / 200
            mix(frame, patch, colour, strength * opening_mask(upper, lower, patch, softness))
        self._seal(frame, patch, place, (upper + lower) / 2, wide, shows * _closed(now, self.openness))

    def _seal(
        self, frame: np.ndarray, patch: Patch, place: _Place, line: np.ndarray, wide: float, share: float
    ) -> None:
        """Where parted lips meet, the shade between lips covers the rim of teeth that the outline missed."""
        if share > 0:
            above = place.height_over(line)
            # More is covered below the line: in a smile the outline follows the ends of the teeth, above the lower lip.
            rim = np.exp(-((above / np.where(above > 0, wide / 18, wide / 12)) ** 4))
            line_itself = np.exp(-((above / (wide / 30)) ** 2))[..., None]
            lips = self.lip * (_LIP_EDGE + line_itself * (_LIP_LINE - _LIP_EDGE))
            mix(frame, patch, lips, 0.9 * rim * (1 - place.across**6) * share)

    def _made_up(self, place: _Place, wide: float, rest: np.ndarray, skull: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """What a mouth shows that the photo kept shut: (height, width, 3) float32."""
        soft = 0.02 * wide
        deep = smoothstep(place.depth / _WET_RIM)[..., None]
        tongue = smoothstep((place.down - 0.35) / 0.4) * (1 - np.abs(place.across) ** 3)
        inside = self.lip * (_UNLIT + (_TONGUE - _UNLIT) * tongue[..., None])
        colour = self.lip * 0.7 * (1 - deep) + inside * deep
        upper = place.height_over(rest + skull) + _UPPER_TEETH_END * wide
        lower = -place.height_over(rest + jaw) - _LOWER_TEETH_START * wide
        curved = 1 - smoothstep((np.abs(place.across) - 0.35) / 0.5)
        for depth, share, bone in ((upper, _UPPER_SHARE, skull), (lower, _LOWER_SHARE, jaw)):
            # How far from its edge a tooth's crown reaches, and the gum that holds it.
            bare = smoothstep(depth / soft + 0.5) * curved
            gum = smoothstep((depth - _CROWN * wide) / soft + 0.5)[..., None]
            # Corner teeth turn away from the light.
            light = share * (1 - 0.5 * np.abs(place.across) ** 2) * (1 - place.tooth_gaps(bone, wide))
            tooth = colour + light[..., None] * (self.teeth - colour)
            colour = colour + bare[..., None] * (tooth + gum * (self.lip * _GUM - tooth) - colour)
        return colour.astype(np.float32)

    def _seen(
        self, patch: Patch, turn: np.ndarray, skull: np.ndarray, jaw: np.ndarray, down: np.ndarray, changed: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The reference's inside and where it is known: with the upper teeth above; below with the lower, if any."""
        share = smoothstep((down - 0.35) / 0.5) * float(between(self.openness, *_TALL))
        shift = skull + share[..., None] * (jaw - skull)
        x, y = patch.grid()
        from_x, from_y = drawn_back(turn, x - shift[..., 0], y - shift[..., 1])
        from_x += np.float32(self.middle[0] - self.patch.x)
        from_y += np.float32(self.middle[1] - self.patch.y)
        # The lips' edges belong to a mouth as the photo has it; in one that has changed they would be seen twice.
        known = self.rimmed + changed * (self.known - self.rimmed)
        return (
            cv2.remap(self.texture, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
            cv2.remap(known, from_x, from_y, cv2.INTER_LINEAR),
        )


def depth_behind_lips(upper: np.ndarray, lower: np.ndarray, patch: Patch) -> np.ndarray:
    """How far each pixel of a patch lies behind the nearer of the lips' inner rims (11, 2), below 0 on the lips.

    Returns:
        (height, width), in mouth widths.
    """
    return _Place(upper, lower, patch).depth


def _closed(now: float, before: float) -> float:
    """0 as open as a third of before, 1 shut."""
    return 1 - float(smoothstep(now / max(0.35 * before, 1e-6)))


def openness(upper: np.ndarray, lower: np.ndarray) -> float:
    """Height of the opening over its width, from its two rims (N, 2); below 0 where the lips cross."""
    along = upper[-1] - upper[0]
    wide = float(np.linalg.norm(along)) + 1e-6
    down = np.array([-along[1], along[0]]) / wide
    middle = slice(len(upper) // 3, len(upper) - len(upper) // 3)
    return float(((lower - upper)[middle] @ down).mean()) / wide


def build_mouth(photo: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> MouthLayer:
    """The inside of a reference's mouth, from its photo (H, W, 3 or 4)."""
    upper, lower = (mesh.vertices[list(rim), :2] * scale for rim in MOUTH)
    wide = float(np.linalg.norm(upper[-1] - upper[0]))
    patch = patch_around(np.concatenate([upper, lower]), 0.3 * wide + 3, (photo.shape[1], photo.shape[0]))
    patch = patch or Patch(0, 0, 1, 1)
    colour = photo[patch.slices][..., :3].astype(np.float32)
    opening = opening_mask(upper, lower, patch, 0)
    rim = max(1, round(wide / 60))
    known = cv2.erode(opening, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))
    wider = 2 * round(2 + wide / 20) + 1
    lips = mesh.vertices[[*UPPER_LIP[1], *LOWER_LIP[1]], :2] * scale
    lip = _colours_at(photo, lips)
    skin = _colours_at(photo, mesh.vertices[list(CHEEKS), :2] * scale)
    return MouthLayer(
        texture=colour,
        known=cv2.GaussianBlur(known, (0, 0), max(0.5, wide / 80)),
        rimmed=cv2.dilate(opening, np.ones((wider, wider), np.uint8)),
        patch=patch,
        middle=(upper.mean(0) + lower.mean(0)) / 2,
        rest=(upper + lower) / 2,
        lip=np.median(lip, axis=0),
        # Teeth are about as bright as lit skin, and half as coloured.
        teeth=(np.median(skin, axis=0) + 0.95 * np.median(skin.max(1))) / 2,
        openness=openness(upper, lower),
    )


def _colours_at(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    at = np.clip(np.round(points).astype(int), 0, (photo.shape[1] - 1, photo.shape[0] - 1))
    return photo[at[:, 1], at[:, 0], :3].astype(np.float32)


class _Place:
    """Where each pixel of a patch lies in the opening between two rims (N, 2).

    Attributes:
        across: -1 at the left corner to 1 at the right.
        down: 0 at the upper rim to 1 at the lower.
        below_upper, above_lower: distances to the rims, pixels.
        depth: the lesser of them, in mouth widths.
    """

    def __init__(self, upper: np.ndarray, lower: np.ndarray, patch: Patch) -> None:
        along = upper[-1] - upper[0]
        wide = float(np.linalg.norm(along))
        self._corner, self._along = upper[0], along / wide
        self._down = np.array([-self._along[1], self._along[0]])
        x, y = patch.grid()
        x, y = x - upper[0, 0], y - upper[0, 1]
        self._right = x * self._along[0] + y * self._along[1]
        self._deep = x * self._down[0] + y * self._down[1]
        self.across = np.clip(2 * self._right / wide - 1, -1, 1)
        self.below_upper, self.above_lower = -self.height_over(upper), self.height_over(lower)
        self.depth = np.minimum(self.below_upper, self.above_lower) / wide
        whole = np.maximum(self.below_upper + self.above_lower, 0.5)
        self.down = np.clip(self.below_upper / whole, 0, 1)

    def tooth_gaps(self, middle: np.ndarray, wide: float) -> np.ndarray:
        """How dark each pixel is for lying between two front teeth whose middle (2,) is there: (height, width)."""
        away = np.abs(self._right - (middle - self._corner) @ self._along)
        gaps = np.exp(-(((away[..., None] - _TOOTH_GAPS * wide) / (_GAP * wide + 0.3)) ** 2))
        return _GAP_SHADE * gaps.max(-1)

    def height_over(self, line: np.ndarray) -> np.ndarray:
        """How far each pixel lies above a line (N, 2) across the mouth, pixels."""
        return line_height(line, self._corner, self._along, self._down, self._right) - self._deep

# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of the mouth: the reference's own where it shows one, darkness where it does not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_server.engines.warp_opening import Patch, mix, opening_mask, patch_around
from portrait_server.geometry.face_mesh import LOWER_LIP, MOUTH, UPPER_LIP
from portrait_server.geometry.head_mesh import HeadMesh, smoothstep

_CLOSED, _OPEN = 0.04, 0.12  # height of the opening over its width: lips that touch; an inside that shows
_TALL = (0.2, 0.45)  # where the lower teeth, too, are likely to show, and go with the jaw
_NEWLY_OPEN = 0.07  # growth of the opening, over its width, by which an inside must be drawn


@dataclass(frozen=True)
class MouthLayer:
    """The inside of the reference's mouth, in pixels of the frame.

    Attributes:
        texture: (h, w, 4) float32, the inside's colour and how far it is known, 0 to 1.
        patch: where it lies in the reference.
        middle: (2,) of the opening.
        dark: (3,) colour of an unlit inside.
        openness: height of the opening over its width.
    """

    texture: np.ndarray
    patch: Patch
    middle: np.ndarray
    dark: np.ndarray
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
            frame: (H, W, 3 or 4) uint8, changed in place.
            upper, lower: (11, 2) the inner rims of the lips in the frame.
            turn: (2, 2) how the head's pose carries small distances in the picture.
            skull, jaw: (2,) where the middle of the opening goes if it goes with the upper teeth, or the lower.
        """
        patch = patch_around(np.concatenate([upper, lower]), 3, (frame.shape[1], frame.shape[0]))
        wide = float(np.linalg.norm(upper[-1] - upper[0]))
        if patch is None or wide < 2:
            return
        now = openness(upper, lower)
        shows = float(smoothstep((self.openness - _CLOSED) / (_OPEN - _CLOSED)))
        strength = max(shows, float(smoothstep((now - self.openness) / _NEWLY_OPEN)))
        if strength == 0 or now <= 0:
            return
        across, down = _inside(upper, lower, patch)
        colour = self._shaded(across, down, now)
        if shows > 0:
            seen = self._seen(patch, turn, skull, jaw, down)
            colour += (seen[..., :3] - colour) * seen[..., 3:] * shows
        # Soft by the width of a lip's wet edge, as long as the opening is wide enough for it.
        softness = wide / 60 * float(smoothstep(now / 0.15)) + wide / 200
        mix(frame, patch, colour, strength * opening_mask(upper, lower, patch, softness))

    def _shaded(self, across: np.ndarray, down: np.ndarray, now: float) -> np.ndarray:
        """Darkness, a little lighter and redder low in the middle, where the tongue lies."""
        tongue = smoothstep((down - 0.45) / 0.5) * (1 - across**2).clip(0) * float(smoothstep((now - 0.15) / 0.3))
        warm = np.array([2.2, 1.5, 1.5], np.float32)
        return (self.dark * (1 + tongue[..., None] * (warm - 1))).astype(np.float32)

    def _seen(self, patch: Patch, turn: np.ndarray, skull: np.ndarray, jaw: np.ndarray, down: np.ndarray) -> np.ndarray:
        """The reference's inside: with the upper teeth above; below with the lower, where it may show them."""
        share = smoothstep((down - 0.35) / 0.5) * float(smoothstep((self.openness - _TALL[0]) / (_TALL[1] - _TALL[0])))
        back = np.linalg.inv(turn) if abs(np.linalg.det(turn)) > 0.05 else np.eye(2)
        x, y = patch.grid()
        x = x - skull[0] - share * (jaw - skull)[0]
        y = y - skull[1] - share * (jaw - skull)[1]
        from_x = back[0, 0] * x + back[0, 1] * y + self.middle[0] - self.patch.x
        from_y = back[1, 0] * x + back[1, 1] * y + self.middle[1] - self.patch.y
        return cv2.remap(self.texture, from_x.astype(np.float32), from_y.astype(np.float32), cv2.INTER_LINEAR)


def openness(upper: np.ndarray, lower: np.ndarray) -> float:
    """Height of the opening over its width, from its two rims (N, 2); below 0 where the lips cross."""
    along = upper[-1] - upper[0]
    wide = float(np.linalg.norm(along)) + 1e-6
    down = np.array([-along[1], along[0]]) / wide
    middle = slice(len(upper) // 3, len(upper) - len(upper) // 3)
    return float(((lower - upper)[middle] @ down).mean()) / wide


def build_mouth(photo: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> MouthLayer:
    """The inside of a reference's mouth, from its photo (H, W, 3 or 4) uint8."""
    upper, lower = (mesh.vertices[list(rim), :2] * scale for rim in MOUTH)
    wide = float(np.linalg.norm(upper[-1] - upper[0]))
    patch = patch_around(np.concatenate([upper, lower]), 0.3 * wide + 3, (photo.shape[1], photo.shape[0]))
    patch = patch or Patch(0, 0, 1, 1)
    colour = photo[patch.slices][..., :3].astype(np.float32)
    known = opening_mask(upper, lower, patch, 0)
    rim = max(1, round(wide / 60))
    known = cv2.erode(known, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))
    known = cv2.GaussianBlur(known, (0, 0), max(0.5, wide / 80))
    lips = mesh.vertices[[*UPPER_LIP[1], *LOWER_LIP[1]], :2] * scale
    return MouthLayer(
        texture=np.dstack([colour, known]),
        patch=patch,
        middle=(upper.mean(0) + lower.mean(0)) / 2,
        dark=_dark(photo, lips),
        openness=openness(upper, lower),
    )


def _dark(photo: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """An unlit inside takes its hue from the lips, and a small part of their light."""
    height, width = photo.shape[:2]
    at = np.clip(np.round(lips).astype(int), 0, (width - 1, height - 1))
    colour = np.median(photo[at[:, 1], at[:, 0], :3].astype(np.float32), axis=0)
    return (colour * np.array([0.22, 0.17, 0.17]) + 2).astype(np.float32)


def _inside(upper: np.ndarray, lower: np.ndarray, patch: Patch) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of the patch how far across (-1 to 1) and how far down (0 to 1) it lies in the opening."""
    along = upper[-1] - upper[0]
    wide = float(np.linalg.norm(along))
    along = along / wide
    down = np.array([-along[1], along[0]])
    x, y = patch.grid()
    x, y = x - upper[0, 0], y - upper[0, 1]
    across = x * along[0] + y * along[1]
    deep = x * down[0] + y * down[1]
    top, bottom = (_height_at(rim - upper[0], along, down, across) for rim in (upper, lower))
    share = np.clip((deep - top) / np.maximum(bottom - top, 0.5), 0, 1)
    return np.clip(2 * across / wide - 1, -1, 1), share


def _height_at(rim: np.ndarray, along: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    at, height = rim @ along, rim @ down
    order = np.argsort(at)
    return np.interp(across, at[order], height[order])

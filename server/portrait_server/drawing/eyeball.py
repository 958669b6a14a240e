# SPDX-License-Identifier: GPL-3.0-or-later
"""What an eyeball looks like without its lids: the white, and upon it the disc of an iris, each whole.

A photo shows a part of either. The iris is continued by its symmetry; the white from what shows of it, and far from that
as a ball of that white, for the little that shows beside an iris lies in the shade of lids and corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from portrait_server.drawing.fill import push_pull
from portrait_server.geometry.ramps import smoothstep

IRIS = 0.19
"""An iris's radius in eye widths where the photo does not tell: 11.7 mm across, in an opening of 30 mm."""
_SMALLEST, _LARGEST = 0.15, 0.26  # what it may be
_STANDS_OUT = 0.1  # of its white, by how much an iris must be darker for its edge to tell its radius
_OUTERMOST = 0.85  # of the steepest edge, what another one is at least, farther from the pupil
_LEAST = 12  # pixels that tell a colour
# In eye widths below an upper lid: how far lashes hide the eyeball, how far they darken it.
_DARK, _DARKENED = 0.03, 0.1
_WET = 0.05  # in eye widths: the lower lid's wet rim
_CORNER = 0.09  # in eye widths: the flesh in the corners, which is the photo's
_BRIGHTEST = 75  # percentile of a white from which on it is neither in shade nor veined
_ROUND, _CANTHUS = (
    0.15,
    0.4,
)  # by how much a white is darker at the corners: as a ball, and for the lids beside it there
# In its radii: where an iris's dark rim ends, in a sharp photo at least; levels that it is darker than its white by.
_RIM, _BLURRED, _SHADE = 1.3, 1.6, 30.0
_SMOOTH = 0.03  # in eye widths: finer veins are not continued
_NEAR, _FEW = (
    0.15,
    0.05,
)  # in eye widths: how far around what shows it tells the light; and how much of it there must be
_GLINT = 40.0  # levels above its ring: a light that is mirrored in an iris


@dataclass(frozen=True)
class Eyeball:
    """An eyeball in the (h, w) pixels around an eye, float32 each.

    Attributes:
        seen: (h, w, 3) as the photo shows it between the lids, and what is below behind them.
        white: (h, w, 3) without its iris, and without what lids darken.
        disc: (h, w, 3) the iris, and its own colours continued around it.
        radius: of the iris, pixels.
    """

    seen: np.ndarray
    white: np.ndarray
    disc: np.ndarray
    radius: float


def disc_share(reach: Any, radius: float) -> Any:
    """How far an iris covers what is so far from its pupil, 0 to 1: soft, as the edge of an iris is."""
    return 1 - smoothstep((reach - 0.93 * radius) / (0.14 * radius + 0.5))


@dataclass(frozen=True)
class Around:
    """Where the pixels (h, w) around an eye lie, all in eye widths but for `reach`.

    Attributes:
        opening: 0 to 1, how far they are between the lids.
        under, over: below the upper lid, below the lower one.
        beside: from the nearer corner.
        across: -1 at the left corner to 1 at the right.
        reach: from the pupil, pixels.
    """

    opening: np.ndarray
    under: np.ndarray
    over: np.ndarray
    beside: np.ndarray
    across: np.ndarray
    reach: np.ndarray


def seen_eyeball(
    colour: np.ndarray, at: Around, pupil: np.ndarray, wide: float, high: float, deep: float = 1.0
) -> Eyeball:
    """The eyeball of an open eye.

    Args:
        colour: (h, w, 3) float32, the photo; pupil: (2,) pixels of it.
        wide, high: the opening's, pixels; deep: how many times wider it is than it is seen, if the head is turned.
    """
    lit = smoothstep((at.under - _DARK) / _DARKENED) * smoothstep(-at.over / _WET)
    lit = np.maximum(lit, 1 - smoothstep((at.beside - _CORNER) / _CORNER))
    edge = max(1, round(high / 12))
    known = cv2.erode((at.opening > 0.99).astype(np.uint8), np.ones((2 * edge + 1, 2 * edge + 1), np.uint8))
    known = known.astype(np.float32)
    if (known * (lit > 0.5)).sum() > 0.3 * known.sum():
        known *= lit > 0.5
    if known.sum() < 4:
        known = (at.opening > 0.5).astype(np.float32)
    radius = _radius(colour, known, at, wide * deep)
    whole = cv2.dilate(at.opening, np.ones((3, 3), np.uint8))
    white = _white(colour, known, at, radius, wide)
    beside = smoothstep((at.reach - 1.15 * radius) / (0.25 * radius + 0.5))
    # What is darker near an iris is its rim, which a blurred photo has far around it.
    rim = smoothstep((white - colour).mean(2) / _SHADE) * (1 - smoothstep((at.reach / radius - _BLURRED) / 0.2))
    white += (colour - white) * (whole * lit * beside * (1 - rim))[..., None]
    disc = _disc(colour, known, at.reach, pupil, radius)
    glint = smoothstep(((colour - disc).min(2) - _GLINT) / _GLINT) * (at.reach < radius)
    inner = 1 - smoothstep((at.reach - 0.88 * radius) / (0.12 * radius))
    disc += (colour - disc) * (whole * np.maximum(lit, glint) * inner)[..., None]
    behind = white + disc_share(at.reach, radius)[..., None] * (disc - white)
    # With the rim's own pixels, so that an eye at rest is the photo's to its very edge.
    return Eyeball(behind + (colour - behind) * whole[..., None], white, disc, radius)


def made_up_eyeball(colour: np.ndarray, reach: np.ndarray, wide: float) -> Eyeball:
    """An eyeball where the photo's eye is shut: a plain brown iris in a white as bright as the skin allows."""
    radius = max(IRIS * wide, 0.5)
    light = np.percentile(colour, 80, axis=(0, 1))
    white = np.zeros_like(colour) + 0.42 * light + 0.42 * light.mean()  # in the lids' shade
    iris = np.array([0.36, 0.25, 0.18], np.float32) * light.mean()
    disc = iris * (1 - 0.8 * (1 - smoothstep((reach / radius - 0.35) / 0.15)))[..., None]
    return Eyeball(white + disc_share(reach, radius)[..., None] * (disc - white), white, disc, radius)


def _radius(colour: np.ndarray, known: np.ndarray, at: Around, wide: float) -> float:
    """Where, beside the pupil, what is dark ends most suddenly."""
    level, reach = colour.mean(2), at.reach / wide
    beside = (known > 0.5) & (at.over < -0.04) & (at.under > 0.04)
    tried, found = np.linspace(_SMALLEST, _LARGEST, 23), []
    for radius in tried:
        inside, outside = (
            level[beside & (reach > radius + low) & (reach <= radius + low + 0.045)] for low in (-0.045, 0.0)
        )
        told = min(len(inside), len(outside)) >= _LEAST
        found.append(1 - inside.mean() / max(outside.mean(), 1.0) if told else 0.0)
    steps, around = np.array(found), np.pad(found, 1)
    # The pupil's edge may be as steep: an iris ends at the outermost.
    ends = (around[1:-1] >= np.maximum(around[:-2], around[2:])) & (steps >= max(_OUTERMOST * max(steps), _STANDS_OUT))
    return float((tried[ends][-1] if ends.any() else IRIS) * wide)


def _white(colour: np.ndarray, known: np.ndarray, at: Around, radius: float, wide: float) -> np.ndarray:
    """The white of an eye, in all the pixels: (h, w, 3)."""
    shown = known * (at.reach > _BLURRED * radius)
    if shown.sum() < 4 * _LEAST:
        shown = known * (at.reach > _RIM * radius)
    if shown.sum() < _LEAST:
        return push_pull(colour, shown if shown.sum() >= 3 else known)
    inner = colour[(shown > 0.5) & (at.beside > _CORNER)]
    inner = inner if len(inner) >= _LEAST else colour[shown > 0.5]
    level = inner.min(1)
    tone = np.median(inner[level >= np.percentile(level, _BRIGHTEST)], axis=0)
    aside = (at.across**2).clip(0, 1)
    ball = tone * (1 - _ROUND * aside - _CANTHUS * aside**3)[..., None]
    share = push_pull(colour / np.maximum(ball, 1), shown)
    smooth = cv2.GaussianBlur(share, (0, 0), _SMOOTH * wide)
    near = cv2.GaussianBlur(shown, (0, 0), _NEAR * wide)
    near = near / (near + _FEW)
    return ball * (1 + near[..., None] * (smooth - 1))


def _disc(colour: np.ndarray, known: np.ndarray, reach: np.ndarray, pupil: np.ndarray, radius: float) -> np.ndarray:
    """What lies opposite, or failing that what shows at the same distance from the pupil: (h, w, 3)."""
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in colour.shape[1::-1]))
    rings = np.clip(np.round(reach), 0, 4 * radius + 2).astype(int)
    inside = known * (reach < radius)
    if inside.sum() < 3:
        inside = known
    count = np.bincount(rings.ravel(), inside.ravel())
    profile = np.stack([np.bincount(rings.ravel(), (inside * colour[..., c]).ravel()) for c in range(3)], -1)
    profile = profile / np.maximum(count, 1e-6)[:, None]
    profile = push_pull(profile[None].astype(np.float32), (count > 0)[None].astype(np.float32))[0]
    result = np.asarray(profile[rings], np.float32)
    for mirror_x, mirror_y in ((2 * pupil[0] - x, 2 * pupil[1] - y), (x, 2 * pupil[1] - y)):
        at = mirror_x.astype(np.float32), mirror_y.astype(np.float32)
        opposite = cv2.remap(colour, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shown = cv2.remap(inside, *at, cv2.INTER_LINEAR)[..., None]
        result = result + (opposite - result) * shown
    return result

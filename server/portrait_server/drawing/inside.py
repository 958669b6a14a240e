# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are in an open mouth: how deep behind the lips a pixel lies, and where teeth are, which lips uncover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_server.drawing.opening import LEAST_WIDTH, line_height, planes
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.base import Array, Kernels

# All in widths of a mouth at rest, of about 50 mm, see `Bones`. Where the front teeth end, below the line along which the
# lips meet: the upper ones 2 mm under the lip at rest, the lower ones just behind them.
_UPPER_END, _LOWER_START = 0.045, 0.018
_UPPER_CROWN, _LOWER_CROWN = 0.2, 0.16  # heights of front teeth; beyond them there is gum
_SOFT = 0.018  # of where teeth end
# Where front teeth meet, from the middle: the upper ones are 8.5, 6.5 and 7.5 mm wide, the lower ones 5, 6 and 7; what turns
# away at the sides is seen narrower.
_UPPER_GAPS, _LOWER_GAPS = (0.0, 0.17, 0.30, 0.43), (0.0, 0.105, 0.22, 0.35)
_GAP, _GAP_SHADE = 0.008, 0.15  # half the width of what is seen between two teeth, and how dark it is
_UPPER_SHARE, _LOWER_SHARE = 0.75, 0.5  # how much of the teeth's light shows: they lie in the lips' shade
# How far the jaw is down where a lower lip begins to be drawn off its teeth, and where so much of them is bare at the least.
_WIDE, _LEAST_BARE = (0.25, 0.45), 0.07
# Lips are drawn together, and forward, so that what is behind them lies in the dark: widths against those at rest.
_ROUNDED, _SHADE_OF_ROUND = (0.82, 0.66), 0.7
# The tongue lies behind the lower teeth: how far below their edges it begins, how high and to either side it reaches, how
# much higher in a wide opening, whose back one sees; how soft its outline is, and half the width of its groove.
_TONGUE_LOW, _TONGUE_HIGH, _TONGUE_RISE, _TONGUE_WIDE, _TONGUE_SOFT, _GROOVE = 0.03, 0.06, 0.5, 0.40, 0.06, 0.05


class Place:
    """Where each pixel at x and y (N, h, w) lies in the opening between two rims (N, P, 2).

    Attributes:
        across: (N, h, w) -1 at the left corner to 1 at the right.
        down: 0 at the upper rim to 1 at the lower.
        depth: distance to the nearer rim, in mouth widths; below 0 on the lips.
        wide: (N,) the mouths' widths, pixels; along: (N, 2) from the left corner towards the right, of length 1.
        lower: (N, 2) the middle of the lower rim.
    """

    def __init__(self, kernels: Kernels, upper: np.ndarray, lower: np.ndarray, x: Array, y: Array) -> None:
        along = upper[:, -1] - upper[:, 0]
        self.wide = np.maximum(np.linalg.norm(along, axis=1), LEAST_WIDTH)
        self._kernels, self._corner, self.along = kernels, upper[:, 0], along / self.wide[:, None]
        self.lower = lower[:, lower.shape[1] // 2]
        from_x, from_y, right, down, width = planes(kernels, *self._corner.T, *self.along.T, self.wide)
        x, y = x - from_x, y - from_y
        self._right, self._deep = x * right + y * down, y * right - x * down
        self.across = (2 * self._right / width - 1).clip(-1, 1)
        below_upper, above_lower = -self.height_over(upper), self.height_over(lower)
        xp = array_namespace(x)
        self.depth = xp.minimum(below_upper, above_lower) / width
        self.down = (below_upper / (below_upper + above_lower).clip(0.5, None)).clip(0, 1)

    def height_over(self, line: np.ndarray) -> Array:
        """How far each pixel lies above lines (N, P, 2) across the mouth, pixels: (N, h, w)."""
        return line_height(self._kernels, line, self._corner, self.along, self._right) - self._deep

    def beside(self, middle: np.ndarray) -> Array:
        """How far each pixel lies beside points (N, 2), to either side, pixels: (N, h, w)."""
        (at,) = planes(self._kernels, ((middle - self._corner) * self.along).sum(1))
        return abs(self._right - at)


@dataclass(frozen=True)
class Teeth:
    """A row of teeth in N patches, as if no lips were before it: (N, h, w) each, 0 to 1.

    Attributes:
        bare: where it is, or the gum that holds it.
        gum: where of this it is gum.
        front: how far it is to the front, and not lost in the dark of the cheeks.
        light: how much of the teeth's light shows.
        gaps: how much darker it is for lying between two teeth; `light` is without it.
        lit: (N, 1, 1) how much of the light of `light` rounded lips leave.
    """

    bare: Array
    gum: Array
    front: Array
    light: Array
    gaps: Array
    lit: Array


@dataclass(frozen=True)
class Bones:
    """What carries teeth and tongue in N frames, pixels of the frame.

    Attributes:
        rest: (N, P, 2) the line along which the lips meet, from its middle.
        skull, jaw: (N, 2) where that middle goes with either.
        across, down: (N,) how much a mouth's usual width, by the size of the face, measures to the side and downwards.
        lips: (N,) how wide the mouth is at rest.
    """

    rest: np.ndarray
    skull: np.ndarray
    jaw: np.ndarray
    across: np.ndarray
    down: np.ndarray
    lips: np.ndarray

    def dropped(self, along: np.ndarray) -> np.ndarray:
        """How far the jaw is down, in usual widths, for mouths along (N, 2): (N,)."""
        return ((self.jaw - self.skull) * below(along)).sum(1) / self.down

    def lower_start(self, place: Place) -> np.ndarray:
        """How far below the line along which lips meet, which moves with the jaw, the lower teeth's edges are: (N,) in
        usual widths."""
        lip = ((place.lower - self.jaw) * below(place.along)).sum(1) / self.down
        bare = lip - _LOWER_START
        wide = between(self.dropped(place.along), *_WIDE)
        # Of a mouth that is not wide the jaw is rather lower than its landmarks say than gum is bare.
        return lip - np.minimum(bare + wide * np.maximum(_LEAST_BARE - bare, 0), _LOWER_CROWN + wide)


def below(along: np.ndarray) -> np.ndarray:
    """The directions (N, 2) downwards, square to those to the right."""
    return np.stack([-along[:, 1], along[:, 0]], -1)


def rows_of_teeth(kernels: Kernels, place: Place, bones: Bones) -> tuple[Teeth, Teeth]:
    """The upper row and the lower."""
    size = bones.down
    rounded = between(place.wide / bones.lips, *_ROUNDED)
    soft, upper_end, lower_start, upper_crown, lower_crown, gap, lit = planes(
        kernels, _SOFT * size, _UPPER_END * size, bones.lower_start(place) * size,
        _UPPER_CROWN * size, _LOWER_CROWN * size, _GAP * bones.across + 0.3, 1 - _SHADE_OF_ROUND * rounded,
    )  # fmt: skip
    front = 1 - smoothstep((abs(place.across) - 0.35) / 0.5)
    xp = array_namespace(front)
    rows = []
    for depth, bone, share, gaps, crown in (
        (
            place.height_over(bones.rest + bones.skull[:, None]) + upper_end,
            bones.skull,
            _UPPER_SHARE,
            _UPPER_GAPS,
            upper_crown,
        ),
        (
            -place.height_over(bones.rest + bones.jaw[:, None]) - lower_start,
            bones.jaw,
            _LOWER_SHARE,
            _LOWER_GAPS,
            lower_crown,
        ),
    ):
        nearest = _to_nearest_gap(kernels, place, bone, gaps, bones.across)
        # How far from its edge a tooth's crown reaches, and the gum that holds it.
        bare = smoothstep(depth / soft + 0.5)
        gum = smoothstep((depth - crown) / soft + 0.5)
        shade = _GAP_SHADE * xp.exp(-((nearest / gap) ** 2))
        # Corner teeth turn away from the light.
        rows.append(Teeth(bare, gum, front, lit * share * (1 - 0.5 * place.across**2), shade, lit))
    return rows[0], rows[1]


def tongue(kernels: Kernels, place: Place, bones: Bones) -> tuple[Array, Array]:
    """Where the tongue shows, as if no teeth were before it, and how much light falls on it: (N, h, w) each, 0 to 1."""
    size = bones.down
    start = bones.lower_start(place)
    high = _TONGUE_HIGH + _TONGUE_RISE * np.maximum(bones.dropped(place.along), 0)
    edge, high, soft, half, groove = planes(
        kernels, (start + _TONGUE_LOW) * size, (high + _TONGUE_LOW) * size, _TONGUE_SOFT * size,
        _TONGUE_WIDE * bones.across, _GROOVE * bones.across,
    )  # fmt: skip
    up = place.height_over(bones.rest + bones.jaw[:, None]) + edge
    aside = place.beside(bones.jaw)
    xp = array_namespace(up)
    ridge = high * xp.sqrt((1 - (aside / half) ** 2).clip(0, 1))
    there = smoothstep((ridge - up) / soft + 0.5)
    back = (up / high).clip(0, 1)
    hollow = 0.12 * xp.exp(-((aside / groove) ** 2)) * smoothstep(2 * back)
    return there, (0.85 - 0.6 * back) * (1 - hollow) * (1 - 0.4 * (aside / half).clip(0, 1) ** 2)


def _to_nearest_gap(
    kernels: Kernels, place: Place, bone: np.ndarray, gaps: tuple[float, ...], size: np.ndarray
) -> Array:
    """How far it is to where two teeth meet, pixels: (N, h, w)."""
    away = place.beside(bone)
    xp = array_namespace(away)
    first, *others = planes(kernels, *(gap * size for gap in gaps))
    nearest = abs(away - first)
    for other in others:
        nearest = xp.minimum(nearest, abs(away - other))
    return nearest

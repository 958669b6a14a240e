# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are in an open mouth: how deep behind the lips a pixel lies, and where teeth are, which lips uncover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_server.drawing.opening import LEAST_WIDTH, line_height, planes
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.ramps import smoothstep
from portrait_server.kernels.base import Array, Kernels

# All in mouth widths of about 50 mm. Where the front teeth end, below the line along which the lips meet: the upper ones 2 mm
# under the lip at rest, the lower ones just behind them.
_UPPER_END, _LOWER_START = 0.05, 0.02
_CROWN = 0.17  # height of a front tooth; beyond it there is gum
_SOFT = 0.02  # of where teeth end
# Where front teeth meet, from the middle: the upper ones are 8.5, 6.5 and 7.5 mm wide, the lower ones 5, 6 and 7; what turns
# away at the sides is seen narrower.
_UPPER_GAPS, _LOWER_GAPS = (0.0, 0.17, 0.30, 0.43), (0.0, 0.105, 0.22, 0.35)
_GAP, _GAP_SHADE = 0.008, 0.15  # half the width of what is seen between two teeth, and how dark it is
_UPPER_SHARE, _LOWER_SHARE = 0.75, 0.5  # how much of the teeth's light shows: they lie in the lips' shade


class Place:
    """Where each pixel at x and y (N, h, w) lies in the opening between two rims (N, P, 2).

    Attributes:
        across: (N, h, w) -1 at the left corner to 1 at the right.
        down: 0 at the upper rim to 1 at the lower.
        depth: distance to the nearer rim, in mouth widths; below 0 on the lips.
        wide: (N,) the mouths' widths, pixels; along: (N, 2) from the left corner towards the right, of length 1.
    """

    def __init__(self, kernels: Kernels, upper: np.ndarray, lower: np.ndarray, x: Array, y: Array) -> None:
        along = upper[:, -1] - upper[:, 0]
        self.wide = np.maximum(np.linalg.norm(along, axis=1), LEAST_WIDTH)
        self._kernels, self._corner, self.along = kernels, upper[:, 0], along / self.wide[:, None]
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
    """

    bare: Array
    gum: Array
    front: Array
    light: Array
    gaps: Array


def rows_of_teeth(
    kernels: Kernels, place: Place, rest: np.ndarray, skull: np.ndarray, jaw: np.ndarray
) -> tuple[Teeth, Teeth]:
    """The upper row and the lower.

    Args:
        rest: (N, P, 2) the line along which the lips meet, from its middle, pixels of the frame.
        skull, jaw: (N, 2) where that middle goes with either.
    """
    wide = place.wide
    soft, upper_end, lower_start, crown, gap = planes(
        kernels, _SOFT * wide, _UPPER_END * wide, _LOWER_START * wide, _CROWN * wide, _GAP * wide + 0.3
    )  # fmt: skip
    front = 1 - smoothstep((abs(place.across) - 0.35) / 0.5)
    xp = array_namespace(front)
    rows = []
    for depth, bone, share, gaps in (
        (place.height_over(rest + skull[:, None]) + upper_end, skull, _UPPER_SHARE, _UPPER_GAPS),
        (-place.height_over(rest + jaw[:, None]) - lower_start, jaw, _LOWER_SHARE, _LOWER_GAPS),
    ):
        nearest = _to_nearest_gap(kernels, place, bone, gaps, wide)
        # How far from its edge a tooth's crown reaches, and the gum that holds it.
        bare = smoothstep(depth / soft + 0.5)
        gum = smoothstep((depth - crown) / soft + 0.5)
        between = _GAP_SHADE * xp.exp(-((nearest / gap) ** 2))
        # Corner teeth turn away from the light.
        rows.append(Teeth(bare, gum, front, share * (1 - 0.5 * place.across**2), between))
    return rows[0], rows[1]


def _to_nearest_gap(
    kernels: Kernels, place: Place, bone: np.ndarray, gaps: tuple[float, ...], wide: np.ndarray
) -> Array:
    """How far it is to where two teeth meet, pixels: (N, h, w)."""
    away = place.beside(bone)
    xp = array_namespace(away)
    first, *others = planes(kernels, *(gap * wide for gap in gaps))
    nearest = abs(away - first)
    for other in others:
        nearest = xp.minimum(nearest, abs(away - other))
    return nearest

# SPDX-License-Identifier: GPL-3.0-or-later
"""What kinds of arrays a sample is made of: how each is checked and mirrored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.landmarks import LANDMARK_COUNT, MIRROR


@dataclass(frozen=True)
class Kind:
    """What arrays of one kind have in common.

    Attributes:
        dtype: of their elements.
        mirrored: an array with left and right exchanged, given the number of the picture's last column.
    """

    dtype: type[np.generic]
    mirrored: Callable[[np.ndarray, int], np.ndarray]


def _reflected(positions: np.ndarray, last: int) -> np.ndarray:
    """Positions (…, 2 or 3) whose x is counted from the other side."""
    reflected = positions.copy()
    reflected[..., 0] = last - reflected[..., 0]
    return reflected


PICTURE: Final = Kind(np.uint8, lambda picture, _: np.ascontiguousarray(picture[..., ::-1, :]))
"""Colours: (…, S, S, C)."""
MASK: Final = Kind(np.uint8, lambda mask, _: np.ascontiguousarray(mask[..., ::-1]))
"""One number a pixel: (…, S, S)."""
POINTS: Final = Kind(np.float32, lambda points, last: _reflected(points[..., list(MIRROR), :], last))
"""Landmarks, pixels: (…, 70, 3)."""
FLOW: Final = Kind(np.float32, lambda flow, last: _reflected(flow[..., ::-1, :], last))
"""For each pixel a position (x, y) in another picture, pixels: (S, S, 2); NaN where there is none."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of a sample.

    Attributes:
        kind: what it holds.
        shape: its axes: a number, `K` for the count of references, `S` for the side, `P` for the landmarks.
        known: a name for arrays that a sample has together or not at all.
    """

    kind: Kind
    shape: str
    known: str | None = None

    def sizes(self, references: int, side: int) -> tuple[int, ...]:
        """The shape in numbers."""
        named = {"K": references, "S": side, "P": LANDMARK_COUNT}
        return tuple(named[axis] if axis in named else int(axis) for axis in self.shape.split())

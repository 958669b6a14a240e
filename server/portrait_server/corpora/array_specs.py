# SPDX-License-Identifier: GPL-3.0-or-later
"""What kinds of arrays a sample is made of: how each is checked, mirrored and halved, and what stands for a missing one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from portrait_shared.landmarks import LANDMARK_COUNT, MIRROR


@dataclass(frozen=True)
class Kind:
    """What arrays of one kind have in common.

    Attributes:
        dtype: of their elements.
        mirrored: an array with left and right exchanged, given the number of the picture's last column.
        halved: an array of a picture that is half as large.
    """

    dtype: type[np.generic]
    mirrored: Callable[[np.ndarray, int], np.ndarray]
    halved: Callable[[np.ndarray], np.ndarray]


def _averaged(picture: np.ndarray) -> np.ndarray:
    """(S, S[, C]) over squares of four pixels; NaN where one of the four is."""
    return cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _reflected(positions: np.ndarray, last: int) -> np.ndarray:
    """Positions (…, 2 or 3) whose x is counted from the other side."""
    reflected = positions.copy()
    reflected[..., 0] = last - reflected[..., 0]
    return reflected


def _halved_points(points: np.ndarray) -> np.ndarray:
    # Positions count from the middle of the first pixel, depth does not.
    halved = points / 2
    halved[..., :2] -= 0.25
    return halved


PICTURE: Final = Kind(np.uint8, lambda picture, _: np.ascontiguousarray(picture[..., ::-1, :]), _averaged)
"""Colours: (…, S, S, C)."""
MASK: Final = Kind(np.uint8, lambda mask, _: np.ascontiguousarray(mask[..., ::-1]), _averaged)
"""One number a pixel: (…, S, S)."""
POINTS: Final = Kind(
    np.float32, lambda points, last: _reflected(points[..., list(MIRROR), :], last), _halved_points
)  # fmt: skip
"""Landmarks, pixels: (…, 70, 3)."""
FLOW: Final = Kind(
    np.float32, lambda flow, last: _reflected(flow[..., ::-1, :], last), lambda flow: (_averaged(flow) - 0.5) / 2
)
"""For each pixel a position (x, y) in another picture, pixels: (S, S, 2); NaN where there is none."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of a sample.

    Attributes:
        kind: what it holds.
        shape: its axes: a number, `K` for the count of references, `S` for the side, `P` for the landmarks.
        blank: what a batch shows everywhere for a sample that lacks it.
        known: the name of the batch's flag that tells which samples have it. Arrays of one flag come together.
    """

    kind: Kind
    shape: str
    blank: float = 0
    known: str | None = None

    @property
    def of_each_reference(self) -> bool:
        """Whether the first axis is K."""
        return self.shape.startswith("K")

    def sizes(self, references: int, side: int) -> tuple[int, ...]:
        """The shape in numbers."""
        named = {"K": references, "S": side, "P": LANDMARK_COUNT}
        return tuple(named[axis] if axis in named else int(axis) for axis in self.shape.split())

    def missing(self, references: int, side: int) -> np.ndarray:
        """What stands for an array that a sample lacks."""
        return np.full(self.sizes(references, side), self.blank, self.kind.dtype)

    def halved(self, value: np.ndarray) -> np.ndarray:
        """The array at half the side."""
        halved = self.kind.halved
        return np.stack([halved(one) for one in value]) if self.of_each_reference else halved(value)

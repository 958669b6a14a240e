# SPDX-License-Identifier: GPL-3.0-or-later
"""The box around points that are moved together, turned as the face is, and the knobs on it. All in pixels of the photo."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from portrait_shared.landmarks import MIRROR

_ROOM = 0.06  # of the longer side, between the points and the box
_STALK = 0.14  # of the longer side: how far the knobs for turning lie outside


class Knob(Enum):
    """What is taken hold of: (where on the box, from -1 to 1 to the picture's right and down)."""

    LEFT_TOP = (-1, -1)
    TOP = (0, -1)
    RIGHT_TOP = (1, -1)
    RIGHT = (1, 0)
    RIGHT_BOTTOM = (1, 1)
    BOTTOM = (0, 1)
    LEFT_BOTTOM = (-1, 1)
    LEFT = (-1, 0)
    ROLL = (0, -2)  # above the box
    TURN = (0, 2)  # below it


@dataclass(frozen=True)
class Box:
    """An oriented rectangle.

    Attributes:
        centre: (2,) pixels.
        axes: (2, 2), rows are unit vectors to the face's own right in the picture, and down.
        half: (2,) half its width and height, pixels.
    """

    centre: np.ndarray
    axes: np.ndarray
    half: np.ndarray

    @classmethod
    def around(cls, points: np.ndarray, chosen: tuple[int, ...]) -> Box:
        """The box of some of the points (70, 2 or 3)."""
        axes = face_axes(points)
        along = points[list(chosen), :2] @ axes.T
        low, high = along.min(0), along.max(0)
        room = _ROOM * float((high - low).max()) + 1
        return cls((low + high) / 2 @ axes, axes, (high - low) / 2 + room)

    def place(self, knob: Knob) -> np.ndarray:
        """Where a knob lies, (2,) pixels."""
        across, down = knob.value
        outside = 2 * _STALK * float(self.half.max()) * max(abs(down) - 1, 0)
        reach = np.array((across * self.half[0], np.sign(down) * (self.half[1] + outside)))
        return np.asarray(self.centre + reach @ self.axes)

    def corners(self) -> np.ndarray:
        """(4, 2) pixels, around it."""
        return np.stack([self.place(knob) for knob in CORNERS])

    def opposite(self, knob: Knob) -> np.ndarray:
        """What stays where it is while a knob of an edge or a corner is pulled: (2,) pixels."""
        return np.asarray(2 * self.centre - self.place(knob))

    def holds(self, place: np.ndarray) -> bool:
        """Whether a place (2,) lies inside."""
        return bool((np.abs((place - self.centre) @ self.axes.T) <= self.half).all())


CORNERS: Final = (Knob.LEFT_TOP, Knob.RIGHT_TOP, Knob.RIGHT_BOTTOM, Knob.LEFT_BOTTOM)


def face_axes(points: np.ndarray) -> np.ndarray:
    """(2, 2), rows are unit vectors from the person's right to the left, and down the face, in the picture.

    Told by all pairs of points left and right, so that a single one that is moved hardly turns them.
    """
    flat = np.asarray(points, np.float64)[:, :2]
    right = np.array([point for point in range(len(flat)) if point < MIRROR[point]])
    across = (flat[[MIRROR[point] for point in right]] - flat[right]).sum(0)
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    return np.array((across, (-across[1], across[0])))


def mirror_line(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point (2,) of the line about which the face is symmetric, and the unit vector (2,) square to it."""
    flat = np.asarray(points, np.float64)[:, :2]
    return flat.mean(0), face_axes(flat)[0]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloth that covers a head beyond its hair, as a veil: its colour may be skin's, but skin is not where it lies."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from portrait_server.geometry.hair import HairColour, colours_at

_RINGS = np.arange(1, 2.23, 0.03)  # multiples of the face's outline
_EARS = -0.5  # cosine with the way to the chin, above which (towards -1) no ear lies
_LEAST, _ABOVE = 6, 0.1  # how many cells of cloth lie up there at least, and which part of it


@dataclass(frozen=True)
class Cloth:
    """Where lines from a face's outline outwards lie over cloth.

    Attributes:
        centre: (2,) where the lines begin, pixels; arm: (36, 2) from there to the outline.
        there: (_RINGS, 36) 0 or 1.
        hangs: whether it comes down beside the face, as light on hair does not.
    """

    centre: np.ndarray
    arm: np.ndarray
    there: np.ndarray
    hangs: bool

    @classmethod
    def of(
        cls, image: np.ndarray, colour: HairColour, centre: np.ndarray, arm: np.ndarray, rim: np.ndarray,
        shown: np.ndarray, down: np.ndarray,
    ) -> Cloth:  # fmt: skip
        """That of a picture (H, W, 3 or 4).

        What lies farther out than hair and begins above the ears is no skin; an ear lies beyond hair, too, but not up there.

        Args:
            rim: (36,) where the head ends, as a multiple of the outline; shown: (36,) up to where the picture shows it alone.
            down: (36,) cosine between each line and the way to the chin.
        """
        like_hair = colour.is_hair(colours_at(image, centre + arm * _RINGS[:, None, None]))
        surely = _RINGS[:, None] < shown
        # Around the face twice, so that nothing ends where the lines begin.
        hair, inside = (np.tile(each.astype(np.uint8), 2) for each in (like_hair, surely))
        hair = cv2.medianBlur(hair, 3)
        beyond = inside * (1 - hair) * np.maximum.accumulate(cv2.erode(hair, np.ones((3, 1), np.uint8)), axis=0)
        beyond = cv2.morphologyEx(beyond, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        count, labels = cv2.connectedComponents(beyond)
        above = np.tile(down < _EARS, 2)
        cells, high = (np.bincount(each.ravel(), minlength=count) for each in (labels, labels[:, above]))
        cloth = (high >= _LEAST) & (high >= _ABOVE * cells)
        cloth[0] = False
        there = np.logical_or(*np.split(cloth[labels], 2, axis=1))
        last = np.minimum(np.arange(len(_RINGS))[:, None], np.maximum(surely.sum(0) - 1, 0))
        there = np.take_along_axis(there, last, axis=0) & (_RINGS[:, None] <= rim)
        return cls(centre, arm, there.astype(float), bool(there[:, down >= _EARS].any()))

    def begins(self) -> np.ndarray:
        """Where each line (36,) comes to cloth, as a multiple of the outline; infinity where it does not."""
        return np.where(self.there.any(0), _RINGS[self.there.argmax(0)], np.inf)

    def at(self, places: np.ndarray) -> np.ndarray:
        """How far places (…, 2), pixels, lie on cloth: (…) 0 to 1."""
        if not self.there.any():
            return np.zeros(places.shape[:-1])
        ways = np.arctan2(*self.arm.T)
        order = np.argsort(ways)
        column, whole = np.append(order, order[0]), np.arange(len(order) + 1)
        away = places - self.centre
        way = np.arctan2(away[..., 0], away[..., 1])
        way = np.where(way < ways[order[0]], way + 2 * np.pi, way)
        number = np.interp(way, np.append(ways[order], ways[order[0]] + 2 * np.pi), whole)
        length = np.interp(number, whole, np.linalg.norm(self.arm, axis=1)[column])
        row = (np.linalg.norm(away, axis=-1) / length - _RINGS[0]) / (_RINGS[1] - _RINGS[0])
        found: np.ndarray = map_coordinates(self.there[:, column], [row, number], order=1)
        return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a frame that is drawn anew: it goes along with the face, and ends softly."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from portrait_shared.landmarks import STABLE

from portrait_server.geometry.ramps import between, smoothstep

# How far it reaches beyond the landmarks, aside, above and below, in sizes of the face (the longer side of their box): as
# far as an expression moves skin; and to the ends of hair and neck, where the head itself moves.
_OF_EXPRESSIONS, _OF_HEADS = np.array([0.4, 0.5, 0.5]), np.array([0.7, 1.0, 0.75])
_HEAD_MOVES = 0.03  # in the same: by how much it does where all of that is needed. In between it grows without a jump.
_SOFT = 0.12  # over which what is drawn passes into the frame, in the same


@dataclass(frozen=True)
class Region:
    """A box of a frame around a face.

    Attributes:
        low, high: (2,) its corners, fractions of pixels included, so that its soft limit glides.
        corner: (x, y) of its first whole pixel; size: (width, height) in pixels. Inside the frame.
        soft: pixels over which it ends.
        frame_size: (width, height) of the frame.
    """

    low: np.ndarray
    high: np.ndarray
    corner: tuple[int, int]
    size: tuple[int, int]
    soft: float
    frame_size: tuple[int, int]

    @classmethod
    def around(cls, found: np.ndarray, target: np.ndarray, frame_size: tuple[int, int]) -> Region | None:
        """What changes where a face is moved from its points (70, 2 or 3) to others; None where that is not in the frame."""
        head = np.linalg.norm((target[..., :2] - found[..., :2])[list(STABLE)], axis=1).max()
        moves = between(head / _face_size(found), 0, _HEAD_MOVES)
        return cls._reaching(found, target, _OF_EXPRESSIONS + moves * (_OF_HEADS - _OF_EXPRESSIONS), frame_size)

    @classmethod
    def of_head(cls, found: np.ndarray, target: np.ndarray, frame_size: tuple[int, int]) -> Region | None:
        """All of the head in both places, hair and neck included; contains `around`."""
        return cls._reaching(found, target, _OF_HEADS, frame_size)

    @classmethod
    def _reaching(
        cls, found: np.ndarray, target: np.ndarray, reach: np.ndarray, frame_size: tuple[int, int]
    ) -> Region | None:
        face = _face_size(found)
        both = np.concatenate([found[:68, :2], target[:68, :2]]).astype(float)
        low = both.min(0) - face * reach[[0, 1]]
        high = both.max(0) + face * reach[[0, 2]]
        first = np.floor(low).clip(0, frame_size).astype(int)
        last = np.ceil(high).clip(0, frame_size).astype(int)
        if (last - first < 2).any():
            return None
        width, height = (last - first).tolist()
        return cls(low, high, (int(first[0]), int(first[1])), (width, height), max(1.0, _SOFT * face), frame_size)

    def part_of(self, wider: Region, seen: np.ndarray) -> np.ndarray:
        """Its part (h, w) of what was seen (H, W) of a wider region, at about that resolution."""
        scale = np.array(seen.shape[::-1]) / wider.size
        width, height = np.maximum(1, np.round(np.array(self.size) * scale)).astype(int).tolist()
        step = scale * self.size / (width, height)
        start = (np.array(self.corner) - wider.corner) * scale + step / 2 - 0.5
        way = np.array([[step[0], 0, start[0]], [0, step[1], start[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(seen, way, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def cut(self, frame: np.ndarray) -> np.ndarray:
        """Its pixels of a frame (H, W, C), a copy."""
        (x, y), (width, height) = self.corner, self.size
        return frame[y : y + height, x : x + width].copy()

    def paste(self, frame: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """The frame with what was drawn (height, width, C) in this place; where that is the frame's own, and outside, not
        a bit differs."""
        (x, y), (width, height) = self.corner, self.size
        result = frame.copy()
        own = result[y : y + height, x : x + width]
        share = self._share()[..., None]
        soft = (share < 1).any(2)
        mixed = own[soft] + share[soft] * (drawn[soft].astype(np.float32) - own[soft])
        drawn = drawn.copy()
        drawn[soft] = np.round(mixed).astype(drawn.dtype)
        own[...] = drawn
        return result

    def _share(self) -> np.ndarray:
        """How far what is drawn shows: (height, width) float32, 1 inside to 0 at the limits that lie in the frame."""
        axes = []
        for axis in (0, 1):
            at = self.corner[axis] + np.arange(self.size[axis]) + 0.5
            from_low = at - self.low[axis] if self.low[axis] > 0 else np.full(len(at), np.inf)
            to_high = self.high[axis] - at if self.high[axis] < self.frame_size[axis] else np.full(len(at), np.inf)
            axes.append(smoothstep(np.minimum(from_low, to_high) / self.soft))
        return (axes[1][:, None] * axes[0][None]).astype(np.float32)


_CHANGED = 0.4  # of the box of a face; measured on speech


def _face_size(points: np.ndarray) -> float:
    """The longer side of the box of landmarks (70, 2 or 3)."""
    return float(np.ptp(points[:68, :2].astype(float), axis=0).max())


def place_of_faces(found: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32, 1 in the box of all that may change of a shot's faces (T, 70, 2 or 3), wherever they are moved from
    where they were found; 0 around it."""
    points = found[:, :68, :2].astype(float)
    face = np.ptp(points, axis=1).max(1)[:, None]
    low = (points.min(1) - face * (1 + _OF_HEADS[[0, 1]])).min(0).clip(0, frame_size)
    high = (points.max(1) + face * (1 + _OF_HEADS[[0, 2]])).max(0).clip(0, frame_size)
    place = np.zeros(frame_size[::-1], np.float32)
    (left, top), (right, bottom) = np.floor(low).astype(int), np.ceil(high).astype(int)
    place[top:bottom, left:right] = 1
    return place


def usual_change(found: np.ndarray) -> float:
    """About how many pixels of a shot's frames change, of faces (T, 70, 2 or 3): the mouth, the chin and what gives way."""
    sides = np.ptp(found[:, :68, :2].astype(float), axis=1)
    return float(_CHANGED * np.median(sides.prod(1)))

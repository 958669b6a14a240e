# SPDX-License-Identifier: GPL-3.0-or-later
"""Which moments of a shot lend their mouth or eyes to one of its frames, told by landmarks alone.

A frame's lenders depend on its own landmarks and on those of the shot, never on what its neighbours are changed to: so
each frame can be drawn by itself. How much each lender counts changes smoothly with the landmarks, and is 0 where another
takes its place: so nothing flickers (after C. Bregler et al., "Video Rewrite", 1997, where lips are looked up likewise).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from portrait_shared.landmarks import STABLE

from portrait_server.geometry.pose import fit_pose
from portrait_server.geometry.ramps import between
from portrait_server.geometry.reference_mesh import has_depth
from portrait_server.shots.facial_parts import PARTS, FacialPart, head_poses

_LENDERS: Final = 3  # more are truer by little, and softer
_MOMENTS: Final = 64  # of a stretch between two cuts, that are ever looked at: each has to be decoded
# What counts beside the mean square of shapes' distances, in eye distances: 10 degrees of turn as 0.055 of them, and
# motion that is faster than the frame's own by a tenth of one as 0.05.
_TURNED, _FASTER = 0.1, 0.25
_NOISE: Final = 1e-4  # below the square of this landmarks are not sure themselves
_GAIN: Final = (0.0005, 0.01)  # how much nearer than the frame's own shape lenders must be to count at all; in full


@dataclass(frozen=True)
class Lending:
    """What is lent to one part of a face.

    Attributes:
        part: of the face.
        rows: of the shot's frames that lend it, the nearest first.
        weights: how much each counts, 1 together.
        share: how far the part is lent, 0 to 1.
    """

    part: FacialPart
    rows: tuple[int, ...]
    weights: tuple[float, ...]
    share: float


class Neighbours:
    """The moments of a shot that may lend.

    Args:
        points: (T, 70, 2 or 3) of the shot, pixels.
        seen: (T,) bool, in which frames the face was seen.
        cuts: (T,) bool, before which frames the film is cut.
    """

    def __init__(self, points: np.ndarray, seen: np.ndarray | None = None, cuts: np.ndarray | None = None) -> None:
        self._points = np.asarray(points, float)
        self._seen = np.ones(len(points), bool) if seen is None else np.asarray(seen, bool)
        starts = np.zeros(len(points), bool) if cuts is None else np.asarray(cuts, bool)
        self._starts = np.unique([0, *np.flatnonzero(starts), len(points)])
        self._kept: dict[int, np.ndarray] = {}

    def of(self, index: int, target: np.ndarray, left_out: Sequence[int] = ()) -> list[Lending]:
        """What other moments lend to the frame of a row, drawn with target points (70, 2 or 3).

        Args:
            left_out: rows that lend nothing, besides its own.
        """
        start, stop = self.stretch_of(index)
        rows = np.setdiff1d(self._moments(start, stop), [index, *left_out])
        if len(rows) == 0:
            return []
        upright, towards = head_poses(target)
        turned = ((self._poses[1][rows] - towards) ** 2).sum(-1)
        faster = np.maximum(self._speeds[rows] - self._speeds[index], 0) ** 2
        beside = _TURNED * turned + _FASTER * faster
        turned_own = _turned_to(target, self._points[index])
        found = []
        for part, shapes in zip(PARTS, self._shapes, strict=True):
            wanted = part.shapes(target, upright)
            away = part.difference(shapes[rows], wanted)
            weights = _weights(away + beside)
            chosen = np.flatnonzero(weights)
            chosen = chosen[np.argsort(-weights[chosen], kind="stable")]
            lent = float(np.sqrt(weights[chosen] @ away[chosen]))
            own = float(np.sqrt(part.difference(part.shapes(turned_own, upright), wanted)))
            share = float(between(own - lent, *_GAIN) * (1 - between(lent, part.near, part.far)))
            if share > 0:
                numbers = tuple(int(row) for row in rows[chosen])
                found.append(Lending(part, numbers, tuple(weights[chosen].tolist()), share))
        return found

    def stretch_of(self, index: int) -> tuple[int, int]:
        """The first row of a row's stretch between two cuts, and the one after its last."""
        after = int(np.searchsorted(self._starts, index, "right"))
        return int(self._starts[after - 1]), int(self._starts[after])

    def motion(self, index: int) -> np.ndarray:
        """How all points (70, 2) move from a frame to the next, pixels."""
        start, stop = self.stretch_of(index)
        before, after = max(index - 1, start), min(index + 1, stop - 1)
        return (self._points[after, :, :2] - self._points[before, :, :2]) / max(after - before, 1)

    @cached_property
    def _poses(self) -> tuple[np.ndarray, np.ndarray]:
        return head_poses(self._points)

    @cached_property
    def _shapes(self) -> list[np.ndarray]:
        return [part.shapes(self._points, self._poses[0]) for part in PARTS]

    @cached_property
    def _speeds(self) -> np.ndarray:
        """How fast the head moves in each frame, eye distances in one: (T,)."""
        motion = np.stack([self.motion(row)[list(PARTS[0].anchor)].mean(0) for row in range(len(self._points))])
        return np.linalg.norm((self._poses[0] @ motion[..., None])[..., 0], axis=-1)

    def _moments(self, start: int, stop: int) -> np.ndarray:
        """The rows of a stretch that may lend: all, or as many as show all that is to be seen in it."""
        if start not in self._kept:
            rows = start + np.flatnonzero(self._seen[start:stop])
            if len(rows) > _MOMENTS:
                parts = [
                    shapes[rows] * np.sqrt(part.weights)[:, None]
                    for part, shapes in zip(PARTS, self._shapes, strict=True)
                ]
                flat = [part.reshape(len(rows), -1) for part in parts]
                looks = [np.sqrt(_TURNED) * self._poses[1][rows], np.sqrt(_FASTER) * self._speeds[rows, None]]
                rows = rows[_apart(np.concatenate([*flat, *looks], 1), _MOMENTS)]
            self._kept[start] = rows
        return self._kept[start]


def _turned_to(target: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (70, 2 or 3) as the head's pose alone brings them to a target: a face that only turns keeps its own mouth."""
    if not has_depth(points):
        return points
    stable = list(STABLE)
    axes = 3 if has_depth(target) else 2
    return fit_pose(points[stable], np.asarray(target, float)[stable, :axes]).apply(points)


def _weights(away: np.ndarray) -> np.ndarray:
    """How much each of moments counts whose squared distances (M,) are these: 0 but for the nearest, 1 together."""
    order = np.argsort(away, kind="stable")
    weights = np.zeros(len(away))
    near = order[:_LENDERS]
    beyond = 1 / (away[order[_LENDERS]] + _NOISE) if len(order) > _LENDERS else 0.0
    weights[near] = 1 / (away[near] + _NOISE) - beyond
    if weights.sum() <= 0:  # all of them equally far
        weights[near] = 1
    return weights / weights.sum()


def _apart(places: np.ndarray, count: int) -> np.ndarray:
    """So many of places (N, F), chosen so that none of all is far from one: rising numbers.

    After T. Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance", 1985.
    """
    middle = np.median(places, axis=0)
    chosen = [int(((places - middle) ** 2).sum(1).argmin())]
    far = ((places - places[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(far.argmax()))
        far = np.minimum(far, ((places - places[chosen[-1]]) ** 2).sum(1))
    return np.unique(chosen)

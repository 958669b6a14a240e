# SPDX-License-Identifier: GPL-3.0-or-later
"""A gap as pieces: each pixel copies one place, and neighbours copy neighbours wherever a seam would be seen."""

from __future__ import annotations

import numpy as np

from portrait_server.drawing.patches import Canvas

_REACHES = (1, 2, 4, 8)  # how far off a pixel looks for a piece that it could belong to
_CUT = 40.0  # squared levels that any seam costs, so that pieces are no smaller than they need be


class Pieces:
    """Where each unknown pixel is copied from, so that what it costs is little.

    Neighbours that copy from different places cost what their copies differ by on both sides of the seam (Kwatra et
    al., "Graphcut Textures", 2003), and a pixel costs what its copy differs by from a guide, both without detail.

    Attributes:
        unknown: (h, w) bool.
    """

    def __init__(
        self, picture: np.ndarray, unknown: np.ndarray, allowed: np.ndarray, smooth: np.ndarray, guide: np.ndarray
    ) -> None:
        """
        Args:
            picture: (h, w, C) float32.
            unknown, allowed: (h, w) bool, both with something in them.
            smooth, guide: (h, w, C) float32, the picture and what is wanted of the unknown, both without detail.
        """
        self.unknown, canvas = unknown, Canvas(picture)
        self._canvas, self._colours, self._stride = canvas, canvas.flat, canvas.stride
        self._smooth, self._guide = Canvas(smooth).flat, Canvas(guide).flat
        self._holes, self._hole = canvas.places(unknown), canvas.marked(unknown)
        self._inside, self._usable = canvas.marked(np.ones_like(unknown)), canvas.marked(allowed)
        self._ways = (1, self._stride, -1, -self._stride)
        rows, columns = canvas.rows_columns(self._holes)
        # Of two pixels side by side only one changes at a time.
        self._halves = [self._holes[(rows + columns) % 2 == half] for half in (0, 1)]
        self._shift = np.zeros(len(canvas.flat), np.int64)

    def start(self, shifts: np.ndarray, rng: np.random.Generator) -> None:
        """Each pixel copies from where shifts (h, w, 2) point to; from anywhere, where that may not be."""
        copied, usable = self._canvas.shifted(self._holes, shifts), np.flatnonzero(self._usable)
        copied = np.where(self._usable[copied], copied, usable[rng.integers(0, len(usable), len(copied))])
        self._shift[self._holes] = copied - self._holes

    @property
    def shifts(self) -> np.ndarray:
        """How far down and right of each unknown pixel lies what it copies: (h, w, 2) int; 0 elsewhere."""
        return self._canvas.shifts(self._holes, self._holes + self._shift[self._holes])

    @property
    def copied(self) -> np.ndarray:
        """The picture with the pieces in it: (h, w, C) float32."""
        return self.copied_from(self._canvas.pixels)

    def copied_from(self, picture: np.ndarray) -> np.ndarray:
        """Another picture (h, w, C) with pieces of its own in it."""
        found = picture.copy()
        rows, columns = self._canvas.rows_columns(self._holes + self._shift[self._holes])
        found[self.unknown] = picture[rows, columns]
        return found

    def join(self, likeness: float) -> None:
        """Each pixel takes the cheapest of its own and its neighbours' shifts.

        Args:
            likeness: how much the guide counts beside seams.
        """
        for reach in _REACHES:
            for way in self._ways:
                for half in self._halves:
                    beside = np.clip(half + reach * way, 0, len(self._shift) - 1)
                    part = self._hole[beside]
                    self._take(half[part], self._shift[beside[part]], likeness)

    def propose(self, shifts: np.ndarray, likeness: float) -> None:
        """Each pixel takes what shifts (h, w, 2) say where that is cheaper than its own."""
        for half in self._halves:
            self._take(half, self._canvas.shifted(half, shifts) - half, likeness)

    def _take(self, places: np.ndarray, shift: np.ndarray, likeness: float) -> None:
        copied = np.clip(places + shift, 0, len(self._shift) - 1)
        part = np.flatnonzero((shift != self._shift[places]) & self._usable[copied])
        places, shift = places[part], shift[part]
        own = self._shift[places]
        better = self._cost(places, shift, shift, likeness) < self._cost(places, own, own, likeness)
        self._shift[places[better]] = shift[better]

    def nudge(self, likeness: float, rng: np.random.Generator) -> None:
        """Pieces as a whole copy from a pixel farther on where that is cheaper; only half of them at a time."""
        own = self._shift[self._holes]
        names, piece = np.unique(own, return_inverse=True)
        cheapest = np.bincount(piece, self._cost(self._holes, own, own, likeness), len(names))
        best = np.zeros(len(names), np.int64)
        for step in (down * self._stride + right for down in (-1, 0, 1) for right in (-1, 0, 1)):
            moved = np.clip(self._holes + own + step, 0, len(self._shift) - 1)
            barred = np.bincount(piece, ~self._usable[moved], len(names)) > 0
            cost = np.bincount(piece, self._cost(self._holes, moved - self._holes, own, likeness), len(names))
            better = ~barred & (cost < cheapest)
            cheapest[better], best[better] = cost[better], step
        best[rng.random(len(names)) < 0.5] = 0
        self._shift[self._holes] += best[piece]

    def _cost(self, places: np.ndarray, shift: np.ndarray, joined: np.ndarray, likeness: float) -> np.ndarray:
        """What it costs (N,) that places copy from a shift; to neighbours whose shift is `joined` there is no seam."""
        copied = places + shift
        difference = self._smooth.take(copied, axis=0) - self._guide.take(places, axis=0)
        total = likeness * np.einsum("nc,nc->n", difference, difference)
        for way in self._ways:
            beside = places + way
            other = self._shift[beside]
            seam = np.flatnonzero((other != joined) & self._inside[beside])
            beside, other, here, there = beside[seam], other[seam], places[seam], copied[seam]
            cost = self._differ(there + way, beside + other)
            # What is known copies itself, and says nothing of its neighbour.
            total[seam] += cost + np.where(self._hole[beside], self._differ(there, here + other), cost) + _CUT
        return total

    def _differ(self, places: np.ndarray, others: np.ndarray) -> np.ndarray:
        difference = self._colours.take(places, axis=0) - self._colours.take(others, axis=0)
        return np.einsum("nc,nc->n", difference, difference)

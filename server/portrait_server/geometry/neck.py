# SPDX-License-Identifier: GPL-3.0-or-later
"""A neck: how wide the photo shows it, and its sides and nape, which jaw and ears hide there and a turn brings into view."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from portrait_server.geometry.face_mesh import CHIN, FOREHEAD, NOSE, SIDES
from portrait_server.geometry.head_outline import solid_at

ROUND: np.ndarray = np.radians((-60, -30, 0, 20, 40, 60, 80))
"""Radians around a neck at which its side has vertices: 0 where it ends in the photo, and backwards."""
DOWN: np.ndarray = np.linspace(-0.2, 1.7, 9)
"""How far below the face's middle it has some, in halves of the face's height. Of either side they come row by row."""
_MEASURED = np.linspace(1.06, 1.5, 12)  # where the photo is asked how wide it is
# Parts of its half width: how far its middle lies behind the ears' fronts, and how deep it is from there. Between what films
# of people prefer, who turn about their spines (0.2), and rendered heads, which turn about an axis farther back (0.7).
_AXIS, _DEPTH = 0.5, 0.9
_USUAL, _LEAST, _WIDEST = 0.7, 0.4, 0.95  # half face widths: where it can't be seen, and what is wider is none
_WIDENS = 1.3  # by how much it may widen downwards
_HAIR = 0.5  # share of hair beside it that covers a side, which then can't be told
_ASIDE = 0.35  # half face widths by which a nose lies beside its middle that looks aside: about 20 degrees
# Parts of its width at which its colours are taken: at its edge, beyond which the matte's own edge lies, and from there
# inwards as its side goes on to the nape.
_LENT, _LENT_NAPE = 0.93, 0.6


@dataclass(frozen=True)
class Neck:
    """An upright tube, pixels of a picture.

    Attributes:
        middle: (2,) of the face; axes: (2, 2) unit vectors, the way to the chin and the one square to it.
        across: how far its middle lies beside that of the face, along the latter.
        half, half_width: of the face's height, and of its width.
        wide: (2, 12) how wide it is on the latter's other side and on its own, at `_MEASURED`.
        shown: (2,) bool, which side it has.
        depth: of its axis; deep: half of it, front to nape.
    """

    middle: np.ndarray
    axes: np.ndarray
    across: float
    half: float
    half_width: float
    wide: np.ndarray
    shown: np.ndarray
    depth: float
    deep: float

    @classmethod
    def of(cls, face: np.ndarray, matte: np.ndarray, axes: np.ndarray, hair: np.ndarray) -> Neck:
        """The neck of a person.

        Args:
            face: (468, 3) the face's vertices, pixels; matte: (H, W) 0 to 1.
            axes: as of `Neck`.
            hair: (2,) 0 to 1, how far hair covers its sides.
        """
        chin, brow = face[CHIN, :2], face[FOREHEAD, :2]
        middle, half = (chin + brow) / 2, float(np.linalg.norm(chin - brow)) / 2
        right, left = face[SIDES[0]], face[SIDES[1]]
        half_width = float(np.linalg.norm(left - right) / 2)
        # Beside a face that looks aside the photo shows neither where its neck ends, nor how high.
        nose = abs((face[NOSE] - (left + right) / 2)[:2] @ axes[1])
        ahead = nose < _ASIDE * np.linalg.norm((left - right)[:2]) / 2
        neck = cls(
            middle, axes, float((chin - middle) @ axes[1]), half, half_width,
            np.full((2, len(_MEASURED)), _USUAL * half_width), np.full(2, ahead),
            float(face[list(SIDES), 2].mean()), 0.0,
        )  # fmt: skip
        for number in np.flatnonzero(neck.shown & (hair < _HAIR)):
            reach = neck._reach(matte, number)
            width = float(reach.min())
            # Between shoulders or in a wide collar the neck itself does not end in the picture.
            if not _LEAST * half_width < width < _WIDEST * half_width:
                width, reach = _USUAL * half_width, np.full_like(reach, _USUAL * half_width)
            widens = np.minimum.accumulate(reach[::-1])[::-1]
            neck.wide[number] = widens.clip(width, _WIDENS * width)
        deep = float(neck.wide[:, 0].mean())
        # Of a head that is turned the chin lies beside it.
        beside = float(neck.wide[1, 0] - neck.wide[0, 0]) / 2
        wide = neck.wide + np.array([[beside], [-beside]])
        return replace(
            neck, across=neck.across + beside, wide=wide, depth=neck.depth + _AXIS * deep, deep=_DEPTH * deep
        )

    def sides(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices (N, 3); where the photo shows what they look like (N, 2); and triangles (T, 3)."""
        depth = np.broadcast_to(self.depth + self.deep * np.sin(ROUND), (len(DOWN), len(ROUND)))
        vertices, places = [], []
        for number in range(2):
            wide = np.interp(DOWN, _MEASURED, self.wide[number])[:, None]
            vertices.append(np.dstack([self._at(DOWN[:, None], number, wide * np.cos(ROUND)), depth]).reshape(-1, 3))
            places.append(self._at(DOWN[:, None], number, wide * lent_at(ROUND)).reshape(-1, 2))
        return np.concatenate(vertices), np.concatenate(places), self._triangles()

    def _triangles(self) -> np.ndarray:
        count = len(ROUND)
        a = (np.arange(len(DOWN) - 1)[:, None] * count + np.arange(count - 1)).ravel()
        strip = np.concatenate(
            [np.column_stack([a, a + count, a + count + 1]), np.column_stack([a, a + count + 1, a + 1])]
        )
        sides = (strip[:, ::-1], strip + len(DOWN) * count)
        return np.concatenate(
            [np.zeros((0, 3), int), *(side for side, shown in zip(sides, self.shown, strict=True) if shown)]
        )

    def _at(self, down: np.ndarray, number: int, beside: np.ndarray | float) -> np.ndarray:
        """Places (…, 2) so far below the face's middle, in halves of its height, and beside the neck's, pixels."""
        across = self.across + (2 * number - 1) * np.asarray(beside)
        return self.middle + self.half * np.asarray(down)[..., None] * self.axes[0] + across[..., None] * self.axes[1]

    def _reach(self, matte: np.ndarray, number: int) -> np.ndarray:
        """How far (12,) the person reaches to a side, pixels; far where the picture ends first."""
        beside = np.linspace(0, 1.5 * self.half_width, 96)
        at = self._at(_MEASURED[:, None], number, np.broadcast_to(beside, (len(_MEASURED), len(beside))))
        person = solid_at(matte, at, outside=True)
        return np.where(person.all(1), beside[-1], beside[(~person).argmax(1)]).clip(1, None)


def grown_from() -> np.ndarray:
    """Of both sides' vertices (N,) the number of the one in the same row that the photo shows; theirs where they lie before."""
    numbers = np.arange(2 * len(DOWN) * len(ROUND)).reshape(-1, len(ROUND))
    shown = int(np.flatnonzero(ROUND == 0)[0]) - 1
    return np.where(ROUND[shown] < ROUND, numbers[:, shown : shown + 1], numbers).ravel()


def lent_at(angle: np.ndarray) -> np.ndarray:
    """At which part of its width a neck takes the colours of such angles (…) around it, radians."""
    behind = _LENT - (_LENT - _LENT_NAPE) * angle / ROUND[-1]
    return np.where(angle > 0, behind, np.minimum(np.cos(angle), _LENT))

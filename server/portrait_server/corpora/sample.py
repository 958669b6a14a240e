# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network learns from: references and a target of one person, and the corpora that draw them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from portrait_shared.landmarks import LANDMARK_COUNT, MIRROR

_PICTURES: Final = (
    "references", "target", "matte", "reference_mattes", "draft", "visibility", "first_visibility", "color_weight",
    "carried",
)  # fmt: skip
_POSITIONS: Final = ("draft_origin", "flow", "first_flow")


@dataclass(frozen=True)
class Sample:
    """K references and one target of the same person, each in its own aligned frame of S pixels a side.

    Attributes:
        references: (K, S, S, 3) uint8 RGB.
        reference_points: (K, 70, 3) float32, pixels of the aligned frame.
        target: (S, S, 3) uint8 RGB.
        target_points: (70, 3) float32.
        identity: the person's or video's number in its corpus, 0 to ``identities - 1``.
        matte: (S, S) uint8, how far each pixel of the target shows the person.
        reference_mattes: (K, S, S) uint8.
        draft: (S, S, 4) uint8, the first reference and its matte moved to the target's landmarks by geometry alone.
        draft_origin: (S, S, 2) float32, for each pixel of the draft the position (x, y) in the first reference that it
            shows, pixels; NaN behind the person.
        carried: (S, S) uint8, 0 where the target shows what no draft carries along: eyeballs, the inside of the mouth,
            and clothes, of which landmarks tell nothing.
        flow: (S, S, 2) float32, for each target pixel the position (x, y) in the last reference, pixels; NaN
            where there is none.
        visibility: (S, S) uint8, 255 where the last reference shows what the target shows there.
        first_flow, first_visibility: the same for the first reference, where it is not the last.
        color_weight: (S, S) uint8, 0 where the target's colour is no example of a real one; None means all is.
    """

    references: np.ndarray
    reference_points: np.ndarray
    target: np.ndarray
    target_points: np.ndarray
    identity: int
    matte: np.ndarray | None = None
    reference_mattes: np.ndarray | None = None
    draft: np.ndarray | None = None
    flow: np.ndarray | None = None
    visibility: np.ndarray | None = None
    color_weight: np.ndarray | None = None
    draft_origin: np.ndarray | None = None
    carried: np.ndarray | None = None
    first_flow: np.ndarray | None = None
    first_visibility: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raises: ValueError where shapes or types do not fit together."""
        count, side = self.references.shape[:2]
        shapes = {
            "references": (np.uint8, (count, side, side, 3)),
            "reference_points": (np.float32, (count, LANDMARK_COUNT, 3)),
            "target": (np.uint8, (side, side, 3)),
            "target_points": (np.float32, (LANDMARK_COUNT, 3)),
            "matte": (np.uint8, (side, side)),
            "reference_mattes": (np.uint8, (count, side, side)),
            "draft": (np.uint8, (side, side, 4)),
            "draft_origin": (np.float32, (side, side, 2)),
            "flow": (np.float32, (side, side, 2)),
            "visibility": (np.uint8, (side, side)),
            "color_weight": (np.uint8, (side, side)),
            "carried": (np.uint8, (side, side)),
            "first_flow": (np.float32, (side, side, 2)),
            "first_visibility": (np.uint8, (side, side)),
        }
        for name, (dtype, shape) in shapes.items():
            value = getattr(self, name)
            if value is not None and (value.dtype != dtype or value.shape != shape):
                raise ValueError(f"{name} is {value.dtype} {value.shape}, not {np.dtype(dtype)} {shape}")
        if count < 1:
            raise ValueError("a sample has at least one reference")
        if self.identity < 0:
            raise ValueError("an identity is a number from 0")

    def halved(self) -> Sample:
        """The same at half the side, which must be even."""
        values: dict[str, Any] = {name: _halved_picture(getattr(self, name)) for name in _PICTURES}
        values |= {name: _halved_positions(getattr(self, name)) for name in _POSITIONS}
        values |= {name: _halved_points(getattr(self, name)) for name in ("reference_points", "target_points")}
        return replace(self, **values)

    def mirrored(self) -> Sample:
        """The same with left and right exchanged, points and flow included."""
        last = self.target.shape[1] - 1
        return Sample(
            references=np.ascontiguousarray(self.references[:, :, ::-1]),
            reference_points=_mirrored_points(self.reference_points, last),
            target=np.ascontiguousarray(self.target[:, ::-1]),
            target_points=_mirrored_points(self.target_points, last),
            identity=self.identity,
            matte=_mirrored_plane(self.matte),
            reference_mattes=_mirrored_plane(self.reference_mattes),
            draft=None if self.draft is None else np.ascontiguousarray(self.draft[:, ::-1]),
            draft_origin=_mirrored_positions(self.draft_origin, last),
            flow=_mirrored_positions(self.flow, last),
            visibility=_mirrored_plane(self.visibility),
            color_weight=_mirrored_plane(self.color_weight),
            carried=_mirrored_plane(self.carried),
            first_flow=_mirrored_positions(self.first_flow, last),
            first_visibility=_mirrored_plane(self.first_visibility),
        )


def _mirrored_plane(plane: np.ndarray | None) -> np.ndarray | None:
    return None if plane is None else np.ascontiguousarray(plane[..., ::-1])


def _mirrored_positions(positions: np.ndarray | None, last: int) -> np.ndarray | None:
    return None if positions is None else np.stack([last - positions[:, ::-1, 0], positions[:, ::-1, 1]], -1)


def _halved_picture(picture: np.ndarray | None) -> np.ndarray | None:
    """(S, S), (S, S, C) or (K, S, S[, C]), averaged over squares of four pixels."""
    if picture is None:
        return None
    if picture.shape[0] != picture.shape[1]:
        return np.stack([_halved(one) for one in picture])
    return _halved(picture)


def _halved(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _halved_positions(positions: np.ndarray | None) -> np.ndarray | None:
    """(S, S, 2); NaN where one of four is."""
    return None if positions is None else (_halved(positions) - 0.5) / 2


def _halved_points(points: np.ndarray) -> np.ndarray:
    """(…, 70, 3) pixels."""
    halved = points / 2
    halved[..., :2] -= 0.25
    return halved


def _mirrored_points(points: np.ndarray, last: int) -> np.ndarray:
    mirrored = points[..., list(MIRROR), :].copy()
    mirrored[..., 0] = last - mirrored[..., 0]
    return mirrored


class Corpus(ABC):
    """A source of samples. Safe to copy into worker processes; a sample depends on the generator alone.

    Attributes:
        identities: how many people or videos there are.
    """

    identities: int

    @abstractmethod
    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        """Draws one sample.

        Args:
            rng: all chance comes from here.
            references: K, at least 1.
            side: S, pixels.

        Raises:
            PortraitError: BAD_IMAGE where what is on disk is damaged.
        """


class Mixture(Corpus):
    """Several corpora, each drawn as often as its weight says; identities are numbered one corpus after another."""

    def __init__(self, corpora: Sequence[Corpus], weights: Sequence[float]) -> None:
        """Raises: ValueError for no corpora, or weights that are not one positive number for each."""
        if not corpora or len(corpora) != len(weights) or min(weights) <= 0:
            raise ValueError("a mixture wants one positive weight for each of its corpora")
        self._corpora = tuple(corpora)
        self._shares = np.asarray(weights, float) / np.sum(weights)
        self._first = np.concatenate([[0], np.cumsum([corpus.identities for corpus in corpora])])
        self.identities = int(self._first[-1])

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        number = int(rng.choice(len(self._corpora), p=self._shares))
        drawn = self._corpora[number].sample(rng, references, side)
        return replace(drawn, identity=drawn.identity + int(self._first[number]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network learns from: references and a target of one person, and the corpora that draw them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, get_type_hints

import numpy as np

from portrait_server.corpora.array_specs import FLOW, MASK, PICTURE, POINTS, ArraySpec


@dataclass(frozen=True)
class Sample:
    """K references and one target of the same person, each in its own aligned frame of S pixels a side.

    This is the one list of what a sample holds: checks and mirroring follow from it (`SPECS`).

    Attributes:
        references, target: RGB.
        reference_points, target_points: pixels of the aligned frame of each.
        identity: the person's or video's number in its corpus, 0 to ``identities - 1``.
        matte, reference_mattes: how far each pixel shows the person.
        draft: the first reference and its matte moved to the target's landmarks by geometry alone.
        flow: for each target pixel the position in the last reference; NaN where there is none.
        visibility: 255 where the last reference shows what the target shows there.
        color_weight: 0 where the target's colour is no example of a real one; None means that all of it is.
        carried: 0 where the target shows what no draft carries along: eyeballs, the inside of the mouth, and clothes,
            of which landmarks tell nothing.
    """

    references: Annotated[np.ndarray, ArraySpec(PICTURE, "K S S 3")]
    reference_points: Annotated[np.ndarray, ArraySpec(POINTS, "K P 3")]
    target: Annotated[np.ndarray, ArraySpec(PICTURE, "S S 3")]
    target_points: Annotated[np.ndarray, ArraySpec(POINTS, "P 3")]
    identity: int
    matte: Annotated[np.ndarray | None, ArraySpec(MASK, "S S", known="has_matte")] = None
    reference_mattes: Annotated[np.ndarray | None, ArraySpec(MASK, "K S S", known="has_matte")] = None
    draft: Annotated[np.ndarray | None, ArraySpec(PICTURE, "S S 4", known="has_draft")] = None
    flow: Annotated[np.ndarray | None, ArraySpec(FLOW, "S S 2", known="has_flow")] = None
    visibility: Annotated[np.ndarray | None, ArraySpec(MASK, "S S", known="has_flow")] = None
    color_weight: Annotated[np.ndarray | None, ArraySpec(MASK, "S S")] = None
    carried: Annotated[np.ndarray | None, ArraySpec(MASK, "S S")] = None

    def __post_init__(self) -> None:
        """Raises: ValueError where shapes or types do not fit together, or only one of two that belong together is there."""
        references, side = self.references.shape[:2]
        if references < 1:
            raise ValueError("a sample has at least one reference")
        if self.identity < 0:
            raise ValueError("an identity is a number from 0")
        known: dict[str, bool] = {}
        for name, spec in SPECS.items():
            value, shape = getattr(self, name), spec.sizes(references, side)
            if value is not None and (value.dtype != spec.kind.dtype or value.shape != shape):
                raise ValueError(f"{name} is {value.dtype} {value.shape}, not {np.dtype(spec.kind.dtype)} {shape}")
            if spec.known and known.setdefault(spec.known, value is not None) != (value is not None):
                raise ValueError(f"{name} and what it comes with are there together or not at all")

    def mirrored(self) -> Sample:
        """The same with left and right exchanged, points and flow included."""
        last = self.target.shape[1] - 1
        return self._changed(lambda spec, value: spec.kind.mirrored(value, last))

    def _changed(self, change: Callable[[ArraySpec, np.ndarray], np.ndarray]) -> Sample:
        values = {name: (spec, getattr(self, name)) for name, spec in SPECS.items()}
        changed: dict[str, Any] = {n: change(spec, value) for n, (spec, value) in values.items() if value is not None}
        return replace(self, **changed)


SPECS: Final[dict[str, ArraySpec]] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Sample, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
"""The arrays of a sample by name."""


class Corpus(ABC):
    """A source of samples; each depends on the generator alone.

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

# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator's way from landmarks to a drawing, recorded once and then run without Python.

On a processor several threads draw side by side. Between two layers Python runs one of them at a time: recorded, two
threads on two cores draw an eighth more frames of 512 x 512. The numbers are the same to the last bit.

torch never lets go of what it has recorded, some 20 MB. So weights are given to a program as its pictures are, and one
serves all generators of one build, tuned to whomever.
"""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable
from typing import Final, TypeAlias

import torch

from portrait_server.networks.output import Output, References
from portrait_server.networks.portrait_generator import Features, PortraitGenerator

_Program: TypeAlias = Callable[..., tuple[torch.Tensor, ...]]

_PROGRAMS: Final[dict[tuple[object, ...], _Program]] = {}
"""By the names of the weights and the shapes of all that is given."""
_LOCK: Final = threading.Lock()


class TracedGenerator:
    """Draws as `PortraitGenerator.draw` does, from several threads, of which each lets torch use one thread.

    The weights are those that the generator has now.
    """

    def __init__(self, generator: PortraitGenerator) -> None:
        self._generator = generator
        weights = generator.state_dict()
        self._names, self._weights = tuple(weights), tuple(weights.values())
        self._build = self._names, tuple(weight.shape for weight in self._weights)

    @torch.inference_mode()
    def draw(self, features: Features, target_points: torch.Tensor, style: torch.Tensor, draft: torch.Tensor) -> Output:
        """As `PortraitGenerator.draw`, without gradients; the first time for a count of references, half a second longer."""
        references = features.references
        parts = (
            references.images, references.points, references.mattes, features.half, features.quarter, features.eighth,
            features.lines, target_points, style, draft,
        )  # fmt: skip
        given = *parts, *self._weights
        kind = self._build, *(part.shape for part in parts)
        with _LOCK:
            if kind not in _PROGRAMS:
                _PROGRAMS[kind] = self._recorded(given)
            program = _PROGRAMS[kind]
        return Output(*program(*given))

    def _recorded(self, given: tuple[torch.Tensor, ...]) -> _Program:
        # A copy: other threads use this one, and what is recorded must take each weight from what it is given.
        generator, names = copy.deepcopy(self._generator), self._names

        def drawn(
            images: torch.Tensor, points: torch.Tensor, mattes: torch.Tensor, half: torch.Tensor,
            quarter: torch.Tensor, eighth: torch.Tensor, lines: torch.Tensor, target_points: torch.Tensor,
            style: torch.Tensor, draft: torch.Tensor, *weights: torch.Tensor,
        ) -> tuple[torch.Tensor | None, ...]:  # fmt: skip
            for name, weight in zip(names, weights, strict=True):
                owner, _, last = name.rpartition(".")
                layer = generator.get_submodule(owner)
                delattr(layer, last)
                setattr(layer, last, weight)
            features = Features(References(images, points, mattes), half, quarter, eighth, lines)
            output = generator.draw(features, target_points, style, draft)
            return output.image, output.warped, output.flow, output.merge

        with warnings.catch_warnings():
            # Of shapes that are taken as constant, as they are meant to be; and that torch has later ways to compile.
            warnings.simplefilter("ignore")
            return torch.jit.trace(drawn, given, check_trace=False)

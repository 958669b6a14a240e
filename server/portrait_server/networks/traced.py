# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator's way from landmarks to a drawing, recorded once and then run without Python.

On a processor several threads draw side by side. Between two layers Python runs one of them at a time: recorded, two
threads on two cores draw an eighth more frames of 512 x 512. The numbers are the same to the last bit.
"""

from __future__ import annotations

import threading
import warnings

import torch
from torch import nn

from portrait_server.networks.output import Output, References
from portrait_server.networks.portrait_generator import Features, PortraitGenerator


class TracedGenerator:
    """Draws as `PortraitGenerator.draw` does, from several threads, of which each lets torch use one thread."""

    def __init__(self, generator: PortraitGenerator) -> None:
        self._calls = _Calls(generator)
        self._programs: dict[tuple[torch.Size, ...], torch.jit.ScriptModule] = {}
        self._lock = threading.Lock()

    @torch.inference_mode()
    def draw(self, features: Features, target_points: torch.Tensor, style: torch.Tensor, draft: torch.Tensor) -> Output:
        """As `PortraitGenerator.draw`, without gradients; the first time for a count of references, half a second longer."""
        given = (*_tensors(features), target_points, style, draft)
        shapes = tuple(tensor.shape for tensor in given)
        with self._lock:
            if shapes not in self._programs:
                self._programs[shapes] = self._recorded(given)
            program = self._programs[shapes]
        return Output(*program(*given))

    def _recorded(self, given: tuple[torch.Tensor, ...]) -> torch.jit.ScriptModule:
        with warnings.catch_warnings():
            # Of shapes that are taken as constant, as they are meant to be; and that torch has later ways to compile.
            warnings.simplefilter("ignore")
            return torch.jit.trace(self._calls, given, check_trace=False)


class _Calls(nn.Module):
    """What is recorded: from tensors to tensors."""

    def __init__(self, generator: PortraitGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(
        self, images: torch.Tensor, points: torch.Tensor, mattes: torch.Tensor, half: torch.Tensor,
        quarter: torch.Tensor, eighth: torch.Tensor, lines: torch.Tensor, target_points: torch.Tensor,
        style: torch.Tensor, draft: torch.Tensor,
    ) -> tuple[torch.Tensor | None, ...]:  # fmt: skip
        features = Features(References(images, points, mattes), half, quarter, eighth, lines)
        drawn = self.generator.draw(features, target_points, style, draft)
        return drawn.image, drawn.warped, drawn.flow, drawn.merge


def _tensors(features: Features) -> tuple[torch.Tensor, ...]:
    references = features.references
    return (
        references.images, references.points, references.mattes, features.half, features.quarter, features.eighth,
        features.lines,
    )  # fmt: skip

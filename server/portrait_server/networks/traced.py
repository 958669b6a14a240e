# SPDX-License-Identifier: GPL-3.0-or-later
"""A painter's way from draft to painting, recorded once and then run without Python.

On a processor several threads draw side by side. Between two layers Python runs one of them at a time; recorded, it
does not. The numbers are the same to the last bit.

torch never lets go of what it has recorded, some megabytes. So weights are given to a program as its pictures are, and
one serves all painters of one build, tuned to whomever.
"""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable
from typing import Final, TypeAlias

import torch
from torch import Tensor

from portrait_server.networks.painter import Painter

_Program: TypeAlias = Callable[..., tuple[Tensor, Tensor]]

_PROGRAMS: Final[dict[tuple[object, ...], _Program]] = {}
"""By the names of the weights and the shapes of all that is given."""
_LOCK: Final = threading.Lock()


class TracedPainter:
    """Mends as `Painter.mended` does, from several threads, of which each lets torch use one thread.

    The weights are those that the painter has now.
    """

    def __init__(self, painter: Painter) -> None:
        self._painter = painter
        weights = painter.state_dict()
        self._names, self._weights = tuple(weights), tuple(weights.values())
        self._build = self._names, tuple(weight.shape for weight in self._weights)

    @torch.inference_mode()
    def mended(self, *pictures: Tensor) -> tuple[Tensor, Tensor]:
        """As `Painter.mended`, without gradients; the first time for pictures of their shapes, half a second longer."""
        kind = self._build, *(picture.shape for picture in pictures)
        with _LOCK:
            if kind not in _PROGRAMS:
                _PROGRAMS[kind] = self._recorded(pictures)
            program = _PROGRAMS[kind]
        return program(*pictures, *self._weights)

    def _recorded(self, pictures: tuple[Tensor, ...]) -> _Program:
        # A copy: other threads use this one, and what is recorded must take each weight from what it is given.
        painter, names, count = copy.deepcopy(self._painter), self._names, len(pictures)

        def mended(*given: Tensor) -> tuple[Tensor, Tensor]:
            for name, weight in zip(names, given[count:], strict=True):
                owner, _, last = name.rpartition(".")
                layer = painter.get_submodule(owner)
                delattr(layer, last)
                setattr(layer, last, weight)
            return painter.mended(*given[:count])

        with warnings.catch_warnings():
            # Of shapes that are taken as constant, as they are meant to be; and that torch has later ways to compile.
            warnings.simplefilter("ignore")
            return torch.jit.trace(mended, (*pictures, *self._weights), check_trace=False)

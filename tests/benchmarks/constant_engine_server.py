# SPDX-License-Identifier: GPL-3.0-or-later
"""The real `portrait` command with an engine that computes nothing, so that only the way of a frame costs time."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from portrait_server.cli import main
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.registry import ENGINES
from portrait_shared.other_faces import OtherFaces


class ConstantEngine(Engine):
    """Always the same frames."""

    name = "constant"
    fingerprint = "constant-1"
    batch_size = 4

    def prepare(
        self, references: Sequence[Reference], others: np.ndarray | None = None
    ) -> dict[tuple[int, ...], np.ndarray]:
        return {}

    def render(
        self, portrait: dict[tuple[int, ...], np.ndarray], points: np.ndarray, size: tuple[int, int], matte: bool,
        body: np.ndarray | None = None, others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        shape = (len(points), size[1], size[0], 4 if matte else 3)
        if shape not in portrait:
            portrait[shape] = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
        return portrait[shape]


ENGINES["constant"] = lambda *_: ConstantEngine()

if __name__ == "__main__":
    sys.exit(main())

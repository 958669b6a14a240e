# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind a person."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

CANVAS: Final = 448  # pixels a side of the made-up photograph


def random_background(rng: np.random.Generator, photograph: np.ndarray | None = None) -> np.ndarray:
    """(CANVAS, CANVAS, 3) uint8: a photograph out of focus if there is one, else a backdrop or shapes."""
    if photograph is not None:
        grown = cv2.resize(photograph, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
        return _blurred(grown, float(np.exp(rng.uniform(1.2, 3.3))))
    first, second = (rng.integers(0, 256, 3) * rng.uniform(0.3, 1) for _ in range(2))
    y, x = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32) / CANVAS
    way = rng.normal(0, 1, 2)
    share = np.clip(0.5 + way[0] * (x - 0.5) + way[1] * (y - 0.5), 0, 1)[..., None]
    picture = (1 - share) * first + share * second
    if rng.random() < 0.6:
        for _ in range(int(rng.integers(3, 25))):
            low = rng.integers(-60, CANVAS, 2)
            high = low + rng.integers(10, 300, 2)
            color = tuple(float(value) for value in rng.integers(0, 256, 3))
            cv2.rectangle(picture, tuple(map(int, low)), tuple(map(int, high)), color, -1)
        picture = _blurred(picture, float(np.exp(rng.uniform(-0.5, 3))))
    cells = int(np.exp(rng.uniform(1, 4)))
    cloud = rng.normal(0, rng.choice([0, 8, 30]) * rng.random(), (cells, cells)).astype(np.float32)
    picture = picture + cv2.resize(cloud, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """A wide blur, done on fewer pixels."""
    step = max(1, int(sigma / 2))
    small = cv2.resize(picture, (CANVAS // step,) * 2, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return cv2.resize(small, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)

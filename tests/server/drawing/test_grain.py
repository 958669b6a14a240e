# SPDX-License-Identifier: GPL-3.0-or-later
"""The grain of a photo: how much there is, and that moving the photo by parts of a pixel keeps it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.drawing.grain import grain_of, looked_up_sharply
from portrait_server.kernels.opencv import OpenCV


def photo(deviation: float) -> np.ndarray:
    """A soft edge, with grain."""
    ramp = np.broadcast_to(100 + 80 * np.tanh((np.arange(128) - 64) / 6)[None, :, None], (128, 128, 3))
    noise = np.random.default_rng(2).normal(0, deviation, (128, 128, 1)) if deviation else 0
    return np.clip(np.round(ramp + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("deviation", "grain"), [(0, 0), (2, 4), (3, 6), (20, 8)])
def test_what_is_kept_follows_the_noise(deviation: float, grain: int) -> None:
    assert grain_of(photo(deviation)) == grain


def test_of_next_to_nothing_there_is_none() -> None:
    assert grain_of(photo(3)[:2]) == 0


def shifted(picture: np.ndarray, by: float, grain: int) -> np.ndarray:
    y, x = np.mgrid[:128, :128].astype(np.float32)
    return looked_up_sharply(OpenCV(), picture[None], x[None] + np.float32(by), y[None], grain)[0]


def energy(picture: np.ndarray) -> float:
    return float(cv2.Laplacian(picture[..., 1].astype(np.float32), cv2.CV_32F)[:, :40].std())


def test_what_moves_keeps_its_grain() -> None:
    picture = photo(3)
    assert energy(shifted(picture, 0.5, 0)) < 0.8 * energy(picture)
    assert energy(shifted(picture, 0.5, grain_of(picture))) > 0.95 * energy(picture)


def test_whole_pixels_stay_what_they_are() -> None:
    picture = photo(3)
    np.testing.assert_array_equal(shifted(picture, 3, 6)[:, :-3], picture[:, 3:])


def test_an_edge_gets_no_steps() -> None:
    edge = np.zeros((128, 128, 3), np.uint8)
    edge[:, 64:] = 200
    off = np.abs(shifted(edge, 0.5, 6).astype(int) - shifted(edge, 0.5, 0))
    assert 0 < off.max() <= 6

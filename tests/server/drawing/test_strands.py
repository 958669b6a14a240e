# SPDX-License-Identifier: GPL-3.0-or-later
"""Made hair lies as the hair beside it does, is as lively, and repeats nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.drawing.strands import strands

SIDE = 256
KNOWN = np.zeros((SIDE, SIDE), np.float32)
KNOWN[:80] = 1


def hair(slope: float) -> np.ndarray:
    """Strands of noise along (1, slope): (SIDE, SIDE, 3) float32."""
    noise = np.random.default_rng(1).normal(0, 60, (3 * SIDE, 3 * SIDE)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 12, sigmaY=0.8)
    turn = cv2.getRotationMatrix2D((1.5 * SIDE, 1.5 * SIDE), -np.degrees(np.arctan(slope)), 1)
    light = cv2.warpAffine(noise, turn, noise.shape)[SIDE : 2 * SIDE, SIDE : 2 * SIDE]
    return 90 + light[..., None] * np.array([1.0, 0.8, 0.6], np.float32)


def direction(light: np.ndarray) -> float:
    """The angle, degrees, along which a picture (h, w) changes the least."""
    y, x = np.gradient(light)
    return float(np.degrees(0.5 * np.arctan2(2 * (x * y).mean(), (x**2 - y**2).mean())) + 90)


@pytest.mark.parametrize("slope", [0.0, 0.6, -1.0])
def test_strands_lie_as_those_that_are_seen(slope: float) -> None:
    made = strands(hair(slope), KNOWN, 10, 20)[120:, ..., 0]
    off = (direction(made) - np.degrees(np.arctan(slope)) + 90) % 180 - 90
    assert abs(off) < 8


def test_they_are_as_strong_and_of_their_hue() -> None:
    seen = hair(0.4)
    made = strands(seen, KNOWN, 10, 20)[120:]
    assert 0.6 < made[..., 0].std() / seen[:80, :, 0].std() < 1.2
    np.testing.assert_allclose(made[..., 2].std() / made[..., 0].std(), 0.6, atol=0.05)
    assert abs(made.mean()) < 3


@pytest.mark.parametrize("lying", [True, False])
def test_detail_is_as_strong_at_each_scale_as_what_is_seen(lying: bool) -> None:
    """Grains of one cell alone would be a dull surface with a glitter."""
    noise = np.random.default_rng(3).standard_normal((3, SIDE, SIDE)).astype(np.float32)
    seen = sum(
        sigma * 8 * cv2.GaussianBlur(each, (0, 0), sigma) for sigma, each in zip((0.6, 1.5, 3), noise, strict=True)
    )
    made = strands(90 + seen[..., None] * np.ones(3, np.float32), KNOWN, 8, 20, lying)[..., 0]
    for sigma in (1, 2, 4):
        of_seen, of_made = (
            np.abs(cv2.GaussianBlur(each, (0, 0), sigma / 2) - cv2.GaussianBlur(each, (0, 0), sigma))
            for each in (seen, made)
        )
        assert 0.5 < of_made[120:].mean() / of_seen[:80].mean() < 1.7, sigma


def test_an_edge_beside_skin_gives_it_no_grain() -> None:
    """As of a brow or of hair."""
    skin = 150 + 2 * np.random.default_rng(4).standard_normal((SIDE, SIDE, 1)).astype(np.float32) * np.ones(
        3, np.float32
    )
    edge = skin.copy()
    edge[:80, 100:130] -= 100
    plain, beside = (strands(seen, KNOWN, 10, 20, lying=False)[:, 90:140, 0] for seen in (skin, edge))
    assert beside.std() < 1.6 * plain.std()


def test_nothing_is_repeated() -> None:
    made = strands(hair(0.4), KNOWN, 10, 20)[..., 0]
    part = made[120:184, 60:124]
    found = cv2.matchTemplate(made, part, cv2.TM_CCOEFF_NORMED)
    found[120 - 16 : 120 + 16, 60 - 16 : 60 + 16] = 0
    assert found.max() < 0.7


def test_without_hair_there_are_none() -> None:
    assert not strands(hair(0.0), np.zeros_like(KNOWN), 10, 20).any()


def test_skin_has_detail_of_no_direction() -> None:
    y, x = np.gradient(strands(hair(0.0), KNOWN, 10, 20, lying=False)[120:, ..., 0])
    assert 0.8 < np.abs(y).mean() / np.abs(x).mean() < 1.25
    y, x = np.gradient(strands(hair(0.0), KNOWN, 10, 20)[120:, ..., 0])
    assert np.abs(y).mean() / np.abs(x).mean() > 2

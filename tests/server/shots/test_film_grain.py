# SPDX-License-Identifier: GPL-3.0-or-later
"""Grain is measured as it was put in, and given to what lacks it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.shots.film_grain import Grain, with_grain

SIZE = (240, 320)
EVERYWHERE = np.ones(SIZE, bool)


def shaded(level: float, softness: float, seed: int = 1) -> np.ndarray:
    """Skin in a soft light, with grain of a level whose grains are blurred by a sigma in pixels: (H, W, 3) float32."""
    x, y = np.meshgrid(np.linspace(0, 3, SIZE[1]), np.linspace(0, 2, SIZE[0]))
    light = (130 + 30 * np.sin(x) + 20 * np.cos(y))[..., None] * np.array([1.0, 0.8, 0.7])
    noise = np.random.default_rng(seed).standard_normal((*SIZE, 1)).astype(np.float32)
    if softness:
        noise = cv2.GaussianBlur(noise, (0, 0), softness)[..., None]
        noise /= noise.std()
    return (light + level * noise).astype(np.float32)


@pytest.mark.parametrize("softness", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("level", [1.5, 5.0])
def test_level_and_softness_are_found(level: float, softness: float) -> None:
    grain = Grain.of(shaded(level, softness), EVERYWHERE)
    assert grain is not None
    fine = shaded(level, softness) - shaded(0, 0)
    fine -= cv2.GaussianBlur(fine, (0, 0), 2)
    assert grain.level == pytest.approx(fine.std(), rel=0.1)
    assert grain.softness == pytest.approx(softness, abs=0.12)


@pytest.mark.parametrize("softness", [0.0, 1.0])
def test_what_lacks_grain_gets_it_and_nothing_else_does(softness: float) -> None:
    own = Grain.of(shaded(4, softness), EVERYWHERE)
    assert own is not None
    share = np.zeros(SIZE, np.float32)
    share[60:180, 80:240] = 1
    bare = shaded(1.5, softness, 2)
    given = with_grain(bare, share, EVERYWHERE, own, 7)
    np.testing.assert_array_equal(given[share == 0], bare[share == 0])
    found = Grain.of(given, share > 0)
    assert found is not None and found.level == pytest.approx(own.level, rel=0.1)
    assert found.softness == pytest.approx(own.softness, abs=0.15)
    # Grey grain, as it was: not a grain of its own in each colour.
    np.testing.assert_allclose(found.covariance, own.covariance, atol=0.15 * own.level**2)


def test_each_frame_has_its_own_grain_and_always_the_same() -> None:
    own, share = Grain.of(shaded(4, 0.6), EVERYWHERE), np.ones(SIZE, np.float32)
    assert own is not None
    first, again, next_one = (with_grain(shaded(0, 0), share, EVERYWHERE, own, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    both = [each - shaded(0, 0) for each in (first, next_one)]
    assert abs(np.corrcoef(both[0].ravel(), both[1].ravel())[0, 1]) < 0.05


def test_what_has_enough_is_left_alone_and_too_little_skin_tells_nothing() -> None:
    weak = Grain.of(shaded(1, 0.6), EVERYWHERE)
    assert weak is not None
    picture = shaded(3, 0.6, 2)
    assert with_grain(picture, np.ones(SIZE, np.float32), EVERYWHERE, weak, 1) is picture
    speck = np.zeros(SIZE, bool)
    speck[:5, :5] = True
    assert Grain.of(picture, speck) is None
    assert with_grain(picture, speck.astype(np.float32), EVERYWHERE, weak, 1) is picture

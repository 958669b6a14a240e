# SPDX-License-Identifier: GPL-3.0-or-later
"""The watermark: what it changes of a frame, and that it is read again."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.disclosure.find_watermark import find_watermark
from portrait_server.disclosure.watermark import Watermark

_SIZE = 384


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rows = np.linspace(90, 200, _SIZE)
    noise = np.random.default_rng(3).normal(0, 4, (_SIZE, _SIZE, 3))
    return np.clip(rows[:, None, None] + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return Watermark((_SIZE, _SIZE), 0x1234ABCD, np.ones((_SIZE, _SIZE), np.float32))


def test_what_was_put_in_is_found(picture: np.ndarray, watermark: Watermark) -> None:
    found = find_watermark(watermark.apply(picture))
    assert found is not None
    assert found.identifier == 0x1234ABCD


def test_a_picture_without_has_none(picture: np.ndarray) -> None:
    assert find_watermark(picture) is None


def test_alpha_stays_and_nothing_transparent_is_marked(picture: np.ndarray, watermark: Watermark) -> None:
    alpha = np.zeros((_SIZE, _SIZE, 1), np.uint8)
    alpha[100:] = 200
    frame = np.concatenate([picture, alpha], axis=2)
    marked = watermark.apply(frame)
    assert np.array_equal(marked[..., 3], frame[..., 3])
    assert np.array_equal(marked[:100], frame[:100])
    assert not np.array_equal(marked[100:], frame[100:])

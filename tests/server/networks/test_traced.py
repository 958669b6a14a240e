# SPDX-License-Identifier: GPL-3.0-or-later
"""A painter recorded: what it mends is what the painter itself does."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from portrait_server.networks.painter import RASTERS, Painter
from portrait_server.networks.traced import TracedPainter
from torch import Tensor

SIDE = 48


@pytest.fixture(scope="module")
def painter() -> Painter:
    return shaken(Painter(6, 4))


def shaken(painter: Painter) -> Painter:
    """With weights that do something."""
    for parameter in painter.parameters():
        parameter.requires_grad_(False).add_(0.05 * torch.randn_like(parameter))
    return painter.eval()


def pictures(painter: Painter, batch: int, side: int = SIDE) -> tuple[Tensor, ...]:
    rasters = torch.rand(2, batch, RASTERS, side, side)
    draft, reference = torch.rand(2, batch, 3, side, side)
    return draft, rasters[0], reference, rasters[1], torch.rand(batch, painter.style.out_features)


def same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_crops_of_any_number_and_side_in_turn(painter: Painter) -> None:
    traced = TracedPainter(painter)
    given = [pictures(painter, *shape) for shape in ((1, 48), (2, 48), (1, 32), (1, 48), (2, 48))]
    with torch.inference_mode():
        expected = [painter.mended(*each) for each in given]
    # By threads of which the first to come records it.
    with ThreadPoolExecutor(3, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        mended = list(threads.map(lambda each: traced.mended(*each), given))
    assert all(map(same, mended, expected))


def test_painters_of_one_build_mend_each_with_its_own_weights(painter: Painter) -> None:
    other = shaken(copy.deepcopy(painter))
    painters, given = [painter, other, painter, other], pictures(painter, 1)
    with torch.inference_mode():
        expected = [one.mended(*given) for one in painters]
    assert not same(expected[0], expected[1])
    with ThreadPoolExecutor(4, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        mended = list(threads.map(lambda one: TracedPainter(one).mended(*given), painters))
    assert all(map(same, mended, expected))

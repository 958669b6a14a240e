# SPDX-License-Identifier: GPL-3.0-or-later
"""Painters: the draft at first, its border always; who is painted is told by any number of references."""

from __future__ import annotations

import pytest
import torch
from portrait_server.networks.painter import RASTERS, Painter, window

SIDE = 48


@pytest.fixture
def painter() -> Painter:
    torch.manual_seed(5)
    return Painter(width=12, embedding=8)


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, SIDE, SIDE, generator=torch.Generator().manual_seed(sum(shape)))


def paint(painter: Painter, references: torch.Tensor | None = None) -> torch.Tensor:
    shown = pictures(2, 1, 3) if references is None else references
    style = painter.styled(shown, pictures(2, shown.shape[1], RASTERS))
    return painter(pictures(2, 3), pictures(2, RASTERS), pictures(2, 3), pictures(2, RASTERS), style).image


def random_end(painter: Painter) -> None:
    torch.nn.init.normal_(painter.end.weight, std=0.5)


def test_at_first_a_painter_draws_the_draft(painter: Painter) -> None:
    torch.testing.assert_close(paint(painter), pictures(2, 3), atol=1e-5, rtol=0)


def test_a_crops_border_stays(painter: Painter) -> None:
    random_end(painter)
    made, draft = paint(painter), pictures(2, 3)
    assert (made - draft).abs().max() > 0.1
    edge = window(SIDE, made.device)[0, 0] == 0
    assert edge.sum() == 4 * (SIDE - 1)
    torch.testing.assert_close(made[..., edge], draft[..., edge], atol=1e-5, rtol=0)


def test_the_style_is_of_all_references_in_any_order(painter: Painter) -> None:
    random_end(painter)
    torch.nn.init.normal_(painter.style.weight, std=0.5)
    shown, rasters = pictures(1, 4, 3), pictures(1, 4, RASTERS)
    order = [2, 0, 3, 1]
    torch.testing.assert_close(painter.styled(shown, rasters), painter.styled(shown[:, order], rasters[:, order]))
    assert not torch.allclose(painter.styled(shown, rasters), painter.styled(shown[:, :1], rasters[:, :1]), atol=1e-3)
    assert not torch.allclose(paint(painter, pictures(2, 1, 3)), paint(painter, 1 - pictures(2, 1, 3)), atol=1e-3)


def test_all_of_a_painter_learns(painter: Painter) -> None:
    random_end(painter)
    paint(painter).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in painter.parameters())

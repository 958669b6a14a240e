# SPDX-License-Identifier: GPL-3.0-or-later
"""Discriminators of mouths and eyes: what they see, that they learn, and what generators learn from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from portrait_server.networks.components import ComponentDiscriminators
from portrait_server.networks.discriminator import Judgement
from portrait_server.networks.landmark_raster import rasterize
from portrait_server.training.configuration import LossWeights
from portrait_server.training.losses import discriminator_hinge
from portrait_server.training.objective import component_terms
from portrait_shared.landmarks import GROUPS

SIDE = 128


@pytest.fixture
def points(face: np.ndarray) -> torch.Tensor:
    """(2, 70, 3) in an aligned frame of SIDE pixels."""
    half = np.array([0.5, 0.5, 0])
    return torch.from_numpy(((face + half) * SIDE / 256 - half).astype(np.float32)).expand(2, -1, -1)


@pytest.fixture
def lines(points: torch.Tensor) -> torch.Tensor:
    return rasterize(points, SIDE)


@pytest.fixture
def judges() -> ComponentDiscriminators:
    torch.manual_seed(3)
    return ComponentDiscriminators().eval()


def middle(points: torch.Tensor, group: str) -> tuple[int, int]:
    x, y = points[0, list(GROUPS[group]), :2].mean(0).round().int().tolist()
    return x, y


def test_each_sees_its_own_part_alone(
    judges: ComponentDiscriminators, points: torch.Tensor, lines: torch.Tensor
) -> None:
    pictures = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        before = judges(pictures, points, lines)
        assert [tuple(judged.scores.shape) for judged in before] == [(2, 5, 5), (4, 3, 3)]
        changed = {}
        for group in ("outer_lip", "right_eye", "left_eye", "jaw"):
            x, y = middle(points, group) if group != "jaw" else (4, 4)
            other = pictures.clone()
            other[0, :, y - 3 : y + 4, x - 3 : x + 4] = 1 - other[0, :, y - 3 : y + 4, x - 3 : x + 4]
            after = judges(other, points, lines)
            moved = torch.cat(
                [(a.scores - b.scores).abs().flatten(1).amax(1) for a, b in zip(before, after, strict=True)]
            )
            changed[group] = (moved > 0).nonzero().flatten().tolist()
    # Mouths of both pictures, then right eyes of both, then left eyes of both.
    assert changed == {"outer_lip": [0], "right_eye": [2], "left_eye": [4], "jaw": []}


def test_they_learn_which_mouths_are_real(
    judges: ComponentDiscriminators, points: torch.Tensor, lines: torch.Tensor
) -> None:
    """Stripes against their mean, which is what a pixel loss makes of teeth."""
    striped = (torch.arange(SIDE) % 8 < 4).float().expand(2, 3, SIDE, SIDE)
    grey = torch.full_like(striped, 0.5)
    optimiser = torch.optim.Adam(judges.train().parameters(), 4e-3)
    for _ in range(15):
        pairs = zip(judges(striped, points, lines), judges(grey, points, lines), strict=True)
        loss = torch.stack([discriminator_hinge(real.scores, fake.scores) for real, fake in pairs]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for real, fake in zip(judges(striped, points, lines), judges(grey, points, lines), strict=True):
        assert real.scores.mean() > 0.5 and fake.scores.mean() < -0.5
    drawn = grey.clone().requires_grad_()
    torch.stack([judged.scores.mean() for judged in judges(drawn, points, lines)]).sum().backward()
    shown = drawn.grad.abs().sum((0, 1)) > 0
    x, y = middle(points, "outer_lip")
    assert shown[y, x] and not shown[:8].any(), "a generator is taught in mouths and eyes alone"


def test_the_terms_by_hand() -> None:
    def judged(score: float, feature: float) -> Judgement:
        return Judgement(torch.full((1, 2, 2), score), [torch.full((1, 3), feature)])

    fakes, reals = [judged(0.5, 1.0), judged(-0.1, 2.0)], [judged(0, 1.5), judged(0, 2.1)]
    weights = LossWeights(component_adversarial=0.1, component_matching=2.0)
    terms = component_terms(fakes, reals, weights)
    assert terms["component_adversarial"].item() == pytest.approx(0.1 * -0.2)
    assert terms["component_matching"].item() == pytest.approx(2 * (0.5 + 0.1) / 2)
    assert component_terms(fakes, reals, dataclasses.replace(weights, component_matching=0.0)).keys() == {
        "component_adversarial"
    }

# SPDX-License-Identifier: GPL-3.0-or-later
"""Each loss against a value worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from portrait_server.training import losses

FULL = torch.ones(1, 1, 4, 4)


def flat(value: float, channels: int = 3, side: int = 4) -> torch.Tensor:
    return torch.full((1, channels, side, side), value)


def test_discriminator_hinge_counts_what_is_inside_the_margin() -> None:
    # real: max(0, 1 − 2) = 0 and max(0, 1 − 0.5) = 0.5; fake: max(0, 1 − 3) = 0 and max(0, 1 + 0.2) = 1.2
    loss = losses.discriminator_hinge(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.2]))
    assert loss.item() == pytest.approx(0.25 + 0.6)


def test_generator_hinge_is_the_negative_score() -> None:
    assert losses.generator_hinge(torch.tensor([2.0, -1.0])).item() == pytest.approx(-0.5)


def test_feature_matching_is_the_mean_of_the_layers() -> None:
    real = [torch.tensor([1.0, 3.0]), torch.tensor([0.0])]
    fake = [torch.tensor([2.0, 5.0]), torch.tensor([4.0])]
    assert losses.feature_matching(real, fake).item() == pytest.approx((1.5 + 4) / 2)


def test_feature_matching_teaches_the_generator_alone() -> None:
    real, fake = torch.tensor([1.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)
    losses.feature_matching([real], [fake]).backward()
    assert fake.grad is not None and real.grad is None


def test_embedding_match_moves_the_embedding_and_not_the_column() -> None:
    column = torch.tensor([[1.0, 2.0]], requires_grad=True)
    embedding = torch.tensor([[1.5, 0.0]], requires_grad=True)
    loss = losses.embedding_match(column, embedding)
    loss.backward()
    assert loss.item() == pytest.approx((0.5 + 2) / 2)
    assert embedding.grad is not None and column.grad is None


def test_pixel_weighs_pixels() -> None:
    image, target, weight = flat(0.5), flat(0.5), torch.zeros(1, 1, 4, 4)
    image[0, :, 0, 0] = 0.8  # off by 0.3, weight 3
    image[0, :, 1, 1] = 0.6  # off by 0.1, weight 1
    weight[0, 0, 0, 0], weight[0, 0, 1, 1] = 3, 1
    assert losses.pixel(image, target, weight).item() == pytest.approx((3 * 0.3 + 0.1) / 4)


def test_no_weight_at_all_is_no_loss() -> None:
    assert losses.pixel(flat(1.0), flat(0.0), 0 * FULL).item() == 0


def test_gradient_sees_slopes_and_not_levels() -> None:
    ramp = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 3, 4, 4) * 0.1
    assert losses.gradient(ramp, flat(0), FULL).item() == pytest.approx(0.1)
    assert losses.gradient(flat(0.7), flat(0.2), FULL).item() == pytest.approx(0)


def test_pyramid_of_a_level_is_in_its_last_band_alone() -> None:
    loss = losses.pyramid(flat(0.9, side=16), flat(0.3, side=16), torch.ones(1, 1, 16, 16), levels=2)
    assert loss.item() == pytest.approx(0.6 / 3, abs=1e-6)


def test_pyramid_of_the_finest_checks_is_in_its_first_band_alone() -> None:
    row = torch.arange(32)
    checks = ((row[:, None] + row[None]) % 2 * 2.0 - 1).expand(1, 1, 32, 32)  # −1 and 1 in turn: the blur leaves 0 …
    weight = torch.zeros(1, 1, 32, 32)
    weight[..., 12:20, 12:20] = 1  # … away from the border
    assert losses.pyramid(checks, torch.zeros(1, 1, 32, 32), weight, levels=2).item() == pytest.approx(1 / 3, abs=1e-6)


def test_matte() -> None:
    weight = FULL.clone()
    weight[..., :2, :] = 0
    exact = flat(1.0, 1)
    exact[..., :2, :] = 0.5
    assert losses.matte(flat(0.75, 1), exact, weight).item() == pytest.approx(0.25)


def test_flow_is_a_fraction_of_the_side_where_it_is_known() -> None:
    made, exact = torch.zeros(1, 4, 4, 2), torch.full((1, 4, 4, 2), torch.nan)
    exact[0, 0, 0] = torch.tensor([3.0, -1.0])
    exact[0, 1, 1] = torch.tensor([0.0, 2.0])
    made.requires_grad_(True)
    loss = losses.flow(made, exact)
    loss.backward()
    assert loss.item() == pytest.approx((4 + 2) / 2 / 4)
    assert made.grad is not None and torch.isfinite(made.grad).all()


def test_flow_of_samples_that_have_none_is_no_loss() -> None:
    assert losses.flow(torch.ones(2, 4, 4, 2), torch.full((2, 4, 4, 2), torch.nan)).item() == 0


def test_visibility_is_cross_entropy() -> None:
    exact = torch.tensor([[[[1.0, 0.0]]]])
    made = torch.tensor([[[[math.log(4), math.log(1.5)]]]])  # probabilities 0.8 and 0.6
    expected = -(math.log(0.8) + math.log(0.4)) / 2
    assert losses.visibility(made, exact, torch.ones_like(made)).item() == pytest.approx(expected, rel=1e-5)


def test_visibility_that_is_sure_and_wrong_stays_finite() -> None:
    assert math.isfinite(losses.visibility(flat(-1e4, 1), flat(1.0, 1), FULL).item())


def test_region_weights_rise_at_the_mouth_and_the_eyes() -> None:
    points = torch.zeros(1, 70, 3)
    points[0, 48:60, 0], points[0, 48:60, 1] = torch.linspace(24, 40, 12), torch.linspace(44, 52, 12)  # about (32, 48)
    points[0, 36:42, :2], points[0, 42:48, :2] = torch.tensor([20.0, 20.0]), torch.tensor([44.0, 20.0])
    weight = losses.region_weights(points, 64, mouth=4, eyes=2)
    assert weight.shape == (1, 1, 64, 64)
    assert weight[0, 0, 48, 32].item() == pytest.approx(5, abs=1e-4)
    assert weight[0, 0, 20, 20].item() == pytest.approx(3, abs=1e-4)
    assert weight[0, 0, 48, 44].item() == pytest.approx(1 + 4 / math.e, abs=1e-3)  # 12 px: 1.5 half-widths
    assert weight[0, 0, 2, 60].item() == pytest.approx(1, abs=1e-3)


def test_draft_flow_compares_what_is_looked_up_with_what_is_looked_for() -> None:
    at = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="xy"), -1)[None]
    origin = at + torch.tensor([1.0, 0.0])  # the draft has moved by one pixel already
    visible = torch.ones(1, 1, 4, 4)
    exact = at + torch.tensor([1.5, 0.0])
    exact[0, 0] = float("nan")  # nothing is known in the first row
    # Left as it is, every known pixel is off by half a pixel of 4; moved by that half, by none (the border excepted).
    assert losses.draft_flow(at, origin, exact, visible).item() == pytest.approx(0.5 / 4)
    made = (at + torch.tensor([0.5, 0.0])).requires_grad_()
    visible[..., 3] = 0
    loss = losses.draft_flow(made, origin, exact, visible)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6) and torch.isfinite(made.grad).all()


def test_draft_flow_leaves_alone_what_the_draft_drew_otherwise() -> None:
    at = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="xy"), -1)[None]
    origin = at.clone()
    origin[0, 1:, 1:] = float("nan")
    made = at.clone().requires_grad_()
    loss = losses.draft_flow(made, origin, at + 1, torch.ones(1, 1, 4, 4))
    loss.backward()
    assert loss.item() == pytest.approx(2 / 4) and torch.isfinite(made.grad).all()
    assert not made.grad[0, 2:, 2:].any()


def grid(side: int) -> torch.Tensor:
    return torch.stack(torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="xy"), -1)[None]


def test_unseen_flow_counts_shifts_where_nothing_can_be_found() -> None:
    made = grid(4) + torch.tensor([1.0, -2.0])
    unseen = torch.zeros(1, 1, 4, 4)
    assert losses.unseen_flow(made, unseen).item() == 0
    unseen[..., 1] = 1
    assert losses.unseen_flow(made, unseen).item() == pytest.approx(3 / 4)
    made[:, :, 1] = grid(4)[:, :, 1]  # still where it is unseen, however the rest moves
    assert losses.unseen_flow(made, unseen).item() == 0


def test_stretch_counts_what_changes_from_a_pixel_to_the_next_beyond_a_limit() -> None:
    assert losses.stretch(grid(4) + 3).item() == 0
    assert losses.stretch(grid(4) * torch.tensor([1.2, 1.0])).item() == pytest.approx(0, abs=1e-6)
    # Across, every x changes by a half more than it should: 0.25 beyond the limit, in one of two components.
    assert losses.stretch(grid(4) * torch.tensor([1.5, 1.0])).item() == pytest.approx(0.125)


def test_paint_costs_nothing_in_the_mouth() -> None:
    points = torch.zeros(1, 70, 3)
    points[0, :, :2] = 16.0
    points[0, 48:60, 0] = torch.linspace(12, 20, 12)  # a mouth 8 pixels wide around the middle
    painted = torch.zeros(1, 3, 32, 32)
    painted[0, :, 16, 16] = 0.6
    assert losses.paint(painted, points).item() == 0
    painted[0, :, 1, 1] = 0.6
    assert losses.paint(painted, points).item() == pytest.approx(0.6 / 1000, rel=0.1)

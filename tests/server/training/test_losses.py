# SPDX-License-Identifier: GPL-3.0-or-later
"""Each loss against a value worked out by hand."""

from __future__ import annotations

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


def test_stretch_counts_what_changes_from_a_pixel_to_the_next_beyond_a_limit() -> None:
    slope = torch.arange(4.0).expand(1, 1, 4, 4)
    shift = torch.cat([slope, torch.zeros(1, 1, 4, 4)], 1)
    assert losses.stretch(shift * 0 + 3).item() == 0
    assert losses.stretch(shift * 0.2).item() == pytest.approx(0, abs=1e-6)
    # Across, every x changes by a half: 0.25 beyond the limit, in one of two components.
    assert losses.stretch(shift * 0.5).item() == pytest.approx(0.125)


def test_texture_sees_how_rough_a_place_is_and_not_where_its_hairs_lie() -> None:
    rows = torch.arange(32)[:, None].expand(32, 32)
    hairs, others = ((rows + first) % 4 < 2 for first in (0, 1))
    hairs, others = (lines.float().expand(1, 3, 32, 32) for lines in (hairs, others))
    everywhere, smooth = torch.ones(1, 1, 32, 32), torch.full((1, 3, 32, 32), 0.5)
    assert losses.texture(hairs, others, everywhere).item() == pytest.approx(0, abs=1e-6)
    assert losses.texture(smooth, others, everywhere).item() > 0.4
    assert losses.pixel(smooth, others, everywhere) <= losses.pixel(hairs, others, everywhere), (
        "L1 likes what is blurred"
    )
    nowhere = everywhere.clone()
    nowhere[..., :16, :] = 0
    half = torch.cat([smooth[..., :16, :], others[..., 16:, :]], 2)
    assert losses.texture(half, others, nowhere).item() == pytest.approx(0, abs=0.05)

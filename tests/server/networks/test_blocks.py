# SPDX-License-Identifier: GPL-3.0-or-later
"""What painters are built from."""

from __future__ import annotations

import pytest
import torch
from portrait_server.networks.blocks import normalized


@pytest.mark.parametrize("count", [1, 3])
def test_normalised_pictures_have_the_mean_and_deviation_asked_for(count: int) -> None:
    """However they are computed: one picture on a processor is a case of its own."""
    x = 3 + 2 * torch.randn(count, 5, 16, 12, generator=torch.Generator().manual_seed(2))
    scale, shift = (torch.linspace(0.5, 2, 5).add(more).view(1, 5, 1, 1) for more in (0, 1))
    variance, mean = torch.var_mean(normalized(x, scale, shift), dim=(2, 3), correction=0)
    assert torch.allclose(mean, shift[..., 0, 0].expand(count, -1), atol=1e-4)
    assert torch.allclose(variance.sqrt(), scale[..., 0, 0].expand(count, -1), atol=1e-4)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample sheet: held-out people, a row each, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from portrait_server.networks.landmark_raster import rasterize
from portrait_server.training.batch import Batch

_ROWS = 6


def sample_sheet(batch: Batch, made: Sequence[Tensor]) -> np.ndarray:
    """First reference, landmarks, then what was made, then the real target; a sample a row.

    Args:
        batch: B samples; at most six are shown.
        made: (B, 1 or 3, S, S) pictures, masks among them, from 0 to 1.

    Returns:
        (rows · S, columns · S, 3) uint8 RGB.
    """
    columns = [batch.references[:, 0], rasterize(batch.target_points, batch.side), *made, batch.target]
    with torch.no_grad():
        shown = [c[:_ROWS].float().clamp(0, 1).expand(-1, 3, -1, -1).cpu() for c in columns]
    rows = torch.cat([torch.cat(list(row), dim=2) for row in zip(*shown, strict=True)], dim=1)
    return (rows * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()

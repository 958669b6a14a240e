# SPDX-License-Identifier: GPL-3.0-or-later
"""Smooth ways from 0 to 1, for numbers and arrays; for tensors there is `networks.regions.smoothstep`."""

from __future__ import annotations

import numpy as np


def smoothstep(x: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def between(x: np.ndarray | float, first: np.ndarray | float, last: np.ndarray | float) -> np.ndarray:
    """0 up to `first`, 1 from `last` on, smooth between."""
    return smoothstep((x - first) / (last - first))

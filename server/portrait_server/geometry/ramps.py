# SPDX-License-Identifier: GPL-3.0-or-later
"""Smooth ways from 0 to 1, for numbers, NumPy's arrays and torch's tensors."""

from __future__ import annotations

from typing import Any


def smoothstep(x: Any) -> Any:
    """0 below 0, 1 above 1, smooth between."""
    x = min(max(x, 0.0), 1.0) if isinstance(x, (int, float)) else x.clip(0, 1)
    return x * x * (3 - 2 * x)


def between(x: Any, first: Any, last: Any) -> Any:
    """0 up to `first`, 1 from `last` on, smooth between."""
    return smoothstep((x - first) / (last - first))

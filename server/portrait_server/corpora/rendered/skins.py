# SPDX-License-Identifier: GPL-3.0-or-later
"""A photographed face laid on the head model: its shape fitted, and where in the picture each vertex shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Skin:
    """A photograph as skin.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        places: (V, 2) float32, 0 to 1, of the head model's vertices in the picture.
        trust: (V,) float32, how well the picture shows each.
        identity: (I,) coefficients of the fitted shape.
        color: (3,) the skin's mean, linear.
    """

    image: np.ndarray
    places: np.ndarray
    trust: np.ndarray
    identity: np.ndarray
    color: np.ndarray

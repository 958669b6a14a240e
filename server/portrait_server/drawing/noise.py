# SPDX-License-Identifier: GPL-3.0-or-later
"""What landmarks do beside the head's pose, less of it the less it stands out of a detector's noise.

Under noses, chins and cheeks lies bone that does not move by itself, yet their landmarks stray when a head turns or speaks.
On people filmed, an optical flow from frames drawn by them to the real ones takes back half of what bridges and nostrils
did by themselves, and a third of what jaws did sideways; lips as a whole, a fifth sideways, and nothing of their shape.
"""

from __future__ import annotations

import numpy as np
from portrait_shared.landmarks import GROUPS

_BRIDGE = 0.015  # in face sizes, as all here: own motion that is believed by half
_NOSTRILS = 0.0075
_JAW_SIDEWAYS = 0.0075
_LIPS_SIDEWAYS = 0.0075  # of the mouth as a whole

_NOSE_BRIDGE, _NOSE_BASE = list(GROUPS["nose_bridge"]), list(GROUPS["nose_base"])
_JAW = list(GROUPS["jaw"])
_LIPS = [*GROUPS["outer_lip"], *GROUPS["inner_lip"]]


def without_noise(motion: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Motion (N, P, K), less of it the less it stands out of noise (N,), in the same unit."""
    size = np.linalg.norm(motion, axis=-1, keepdims=True) / noise[:, None, None]
    return motion * (size**2 / (size**2 + 1))


def steadied(own: np.ndarray, across: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Own motion as far as it is believed.

    Args:
        own: (N, 70, 2) what the landmarks do beside the head's pose, pixels.
        across: (N, 2) from the face's left in the picture to its right, of any length.
        size: (N,) the face's, pixels.

    Returns:
        (N, 70, 2) pixels.
    """
    steady = own.copy()
    steady[:, _NOSE_BRIDGE] = without_noise(own[:, _NOSE_BRIDGE], _BRIDGE * size)
    steady[:, _NOSE_BASE] = without_noise(own[:, _NOSE_BASE], _NOSTRILS * size)
    sideways = (across / (np.linalg.norm(across, axis=-1, keepdims=True) + 1e-6))[:, None]
    jaw = (own[:, _JAW] * sideways).sum(-1, keepdims=True)
    steady[:, _JAW] += (without_noise(jaw, _JAW_SIDEWAYS * size) - jaw) * sideways
    lips = (own[:, _LIPS].mean(1, keepdims=True) * sideways).sum(-1, keepdims=True)
    steady[:, _LIPS] += (without_noise(lips, _LIPS_SIDEWAYS * size) - lips) * sideways
    return steady

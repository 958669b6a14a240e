# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the edges of lids are: the lower one as the photo shows it, the upper one as far over it as a shut lid lies."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from portrait_server.geometry.ramps import between

# All in eye widths. Where, around a lower lid's landmarks, its edge is looked for, and where its skin is for sure.
_LOOKED_AT, _SKIN = (-0.08, 0.06), (0.09, 0.14)
_COLUMNS = np.linspace(0.2, 0.8, 25)
_STANDS_OUT = 1.12  # of its skin, how much brighter white is, if its end tells the edge
_ENDS = 0.3  # how much of that is left where a soft edge is over
_FEWEST = 4  # columns that tell it
MEETS: Final = (0.88, 1.0)
"""Of closing: an upper lid comes to lie over the other, and what is below its landmarks."""


def below_landmarks(photo: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> float:
    """How far below its landmarks a lower lid's edge is, in eye widths; 0 where a photo (H, W, 3) does not tell.

    A detector places a lower lid up to a twentieth of the eye's width too high: on the white, which then stays on
    the lid's skin as a pale line when the iris moves, or the eye is shut.
    """
    across = upper[-1] - upper[0]
    wide = max(float(np.linalg.norm(across)), 1.0)
    right = across / wide
    down = np.array([-right[1], right[0]])
    offsets = np.arange(_LOOKED_AT[0], _SKIN[1], 0.005)
    found = (lower - upper[0]) @ np.stack([right, down], -1) / wide
    order = np.argsort(found[:, 0])
    depth = np.interp(_COLUMNS, found[order, 0], found[order, 1])[:, None] + offsets
    x, y = np.moveaxis(upper[0] + wide * (_COLUMNS[:, None, None] * right + depth[..., None] * down), -1, 0)
    # Of skin it is blue that is darkest, of white no colour is.
    level = cv2.remap(photo, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).astype(np.float32).min(2)
    near = offsets <= _LOOKED_AT[1]
    white, skin = level[:, near].max(1), np.median(level[:, offsets >= _SKIN[0]], axis=1)
    ends = (level[:, near] < (white + (1 - _ENDS) * (skin - white))[:, None]) & (
        offsets[near] > offsets[level[:, near].argmax(1)][:, None]
    )
    tells = ends.any(1) & (white > _STANDS_OUT * skin)
    if tells.sum() < _FEWEST:
        return 0.0
    return float(np.clip(np.median(offsets[near][ends[tells].argmax(1)]), 0, _LOOKED_AT[1]))


def edges(upper: np.ndarray, lower: np.ndarray, closed: np.ndarray, below: float) -> tuple[np.ndarray, np.ndarray]:
    """Lids' rims (N, P, 2 or 3) in frames, from landmarks to where their edges are.

    Args:
        closed: (N,) how far the upper lid is closed, 0 to 1.
        below: as `below_landmarks` tells it.
    """
    if below == 0:
        return upper, lower
    across = upper[:, -1, :2] - upper[:, 0, :2]
    down = below * np.stack([-across[:, 1], across[:, 0]], -1)
    arch = 1 - np.linspace(-1, 1, upper.shape[1]) ** 4
    lift = arch[:, None] * down[:, None]
    upper, lower = np.array(upper, float), np.array(lower, float)
    upper[..., :2] += between(closed, *MEETS)[:, None, None] * lift
    lower[..., :2] += lift
    return upper, lower

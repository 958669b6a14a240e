# SPDX-License-Identifier: GPL-3.0-or-later
"""Background that a matte takes for a part of the person beside its edge: told by its colour, which is that of the wall.

A rough matte is wrong by some pixels where hair ends over a neck, and its edge is drawn after the picture's own only near
by. What is left is a half-transparent halo of background, which a moved head would carry along and draw out.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from portrait_server.geometry.ramps import between

_AROUND: Final = 0.02  # of the longest side, how far around a pixel person and background are looked at
_SURELY: Final = 0.95  # of the matte, the person; one less that, the background
_UNSURE: Final = (0.8, 0.98)  # of the matte: what it takes for more is no halo, whatever its colour
_SOME: Final = 0.02  # of what lies around, of which either must be
_LEAST: Final = 4.0  # levels squared: a wall has at least this variance
# Squared distance between person and background, in the variance of either, from which on they are told apart.
_FROM_WALL, _FROM_PERSON = (9.0, 25.0), (0.25, 1.0)
_WALL: Final = (4.0, 8.0)  # deviations of the background within which a colour is its own
_GRAIN: Final = 0.001  # of the longest side: what is finer is noise
_LIKELY: Final = 0.5
_NARROW: Final = 0.004  # of the longest side, half of the width of a halo that is one
_WAY: Final = (0.1, 0.5)  # parts of the way from the background's colour to the person's, over which it is the person


def surely_wall(image: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """How far pixels are background by their colour, whatever the matte says: (H, W) float32, 0 where that tells nothing.

    Args:
        image: (H, W, 3) uint8 RGB.
        matte: (H, W) float32, 0 to 1.
    """
    colours = image.astype(np.float32)
    person, person_varies, person_there = _around(colours, (matte > _SURELY).astype(np.float32))
    wall, wall_varies, wall_there = _around(colours, (matte < 1 - _SURELY).astype(np.float32))
    way = person - wall
    off = cv2.GaussianBlur(colours, (0, 0), max(0.5, _GRAIN * max(matte.shape))) - wall
    apart = (way * way).sum(-1)
    along = (off * way).sum(-1) / np.maximum(apart, 1)
    told = between(apart / wall_varies, *_FROM_WALL) * between(apart / person_varies, *_FROM_PERSON)
    told *= ((person_there > _SOME) & (wall_there > _SOME)) * (1 - between(matte, *_UNSURE))
    of_wall = 1 - between(np.sqrt((off * off).sum(-1) / wall_varies), *_WALL)
    found: np.ndarray = told * of_wall * (1 - between(along, *_WAY))
    # A narrow one is an edge out of focus, of which a plate made by example knows no better.
    reach = 2 * max(2, round(_NARROW * max(matte.shape))) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    halo = ((found > _LIKELY) & (matte > 1 - _SURELY)).astype(np.uint8)
    return found * cv2.dilate(cv2.morphologyEx(halo, cv2.MORPH_OPEN, around), around)


def _around(colours: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (H, W, 3), variance (H, W) and share (H, W) of some pixels (H, W) 0 or 1 around each."""
    reach = 2 * max(1, round(_AROUND * max(there.shape))) + 1
    share = cv2.blur(there, (reach, reach))
    some = np.maximum(share, 1e-4)
    mean = cv2.blur(colours * there[..., None], (reach, reach)) / some[..., None]
    varies = cv2.blur((colours * colours).sum(-1) * there, (reach, reach)) / some - (mean * mean).sum(-1)
    return mean, np.maximum(varies, _LEAST), share

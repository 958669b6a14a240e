# SPDX-License-Identifier: GPL-3.0-or-later
"""What the networks paint, held to the light of the picture and to the flesh of an open mouth."""

from __future__ import annotations

import numpy as np

from portrait_server.drawing.mouth import Place, openness
from portrait_server.drawing.opening import LEAST_WIDTH, patches_around
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.opencv import OpenCV

_REPAINTED = (10.0, 30.0)  # of 255: a change after which a colour counts as painted anew
_FAINT = 80.0  # of 255: below it a colour's hue tells little of the light
_NOISE = 40.0  # of 255: how much of the usual hue a black pixel is taken to have
# Between these depths behind the lips (`depth_behind_lips`) paint, which may show teeth, gives way to flesh. In a wide
# open mouth that begins at the lips: there the draft shows the teeth.
_DEEP, _DEEP_WIDE = np.array([0.05, 0.1]), np.array([0.0, 0.04])
_WIDE = (0.2, 0.5)  # height of the opening over its width
_GLEAM = (2.0, 12.0)  # of 255: paint lighter than the draft by less is left alone, by more is changed wholly
_LIT = 0.5  # of what paint is lighter by: as a tongue is lit, not teeth


def in_its_light(color: np.ndarray, before: np.ndarray, teeth: np.ndarray) -> np.ndarray:
    """Painted colours (h, w, 3), 0 to 255, none cooler than what was there before or than this picture's teeth (3,).

    The networks learnt teeth and the whites of eyes in the light of photographs; under the yellow varnish of a painting
    their white is blue. What is hardly changed stays as it is.
    """
    changed = np.abs(color - before).max(-1, keepdims=True)
    share = between(changed, *_REPAINTED)
    usual = teeth / max(float(teeth[0]), 1.0)
    faint = _NOISE * (1 - smoothstep(before.max(-1, keepdims=True) / _FAINT)) + 1
    coolest = np.maximum((before + faint * usual) / (before[..., :1] + faint), usual)
    return color + share * (np.minimum(color, color[..., :1] * coolest) - color)


def in_flesh(color: np.ndarray, before: np.ndarray, upper: np.ndarray, lower: np.ndarray, lip: np.ndarray) -> None:
    """Gives paint deep behind the lips the lips' hue, and half of the light that it adds to the draft; in place.

    Where teeth, a tongue or darkness may be, networks paint the mean of them, a grey that no mouth shows.

    Args:
        color, before: (h, w, 3) float32, 0 to 255, a part of the frame after painting and before.
        upper, lower: (11, 2) the inner rims of the lips, pixels of that part.
        lip: (3,) the lips' colour.
    """
    kernels = OpenCV()
    patch = patches_around(np.concatenate([upper, lower])[None], 1, (color.shape[1], color.shape[0]))
    if not patch.there[0] or np.linalg.norm(upper[-1] - upper[0]) < LEAST_WIDTH:
        return
    wide = between(openness(upper[None], lower[None])[0], *_WIDE)
    first, last = _DEEP + wide * (_DEEP_WIDE - _DEEP)
    depth = Place(kernels, upper[None], lower[None], *kernels.grid(patch)).depth
    share = between(depth, first, last)[..., None]
    painted, dark = kernels.taken(color[None], patch), kernels.taken(before[None], patch)
    lighter = painted.max(-1, keepdims=True) - dark.max(-1, keepdims=True)
    share = share * between(lighter, *_GLEAM)
    flesh = dark + _LIT * np.maximum(lighter, 0) * (lip / max(float(lip.max()), 1.0))
    painted += share * (flesh - painted)

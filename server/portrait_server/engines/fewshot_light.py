# SPDX-License-Identifier: GPL-3.0-or-later
"""What the networks paint, held to the light of the picture and to the flesh of an open mouth."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from portrait_server.drawing.mouth import Place, openness
from portrait_server.drawing.opening import LEAST_WIDTH, patches_around, planes
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.base import Array, Kernels
from portrait_server.kernels.levels import strongest

_REPAINTED = (10.0, 30.0)  # of 255: a change after which a colour counts as painted anew
_FAINT = 80.0  # of 255: below it a colour's hue tells little of the light
_NOISE = 40.0  # of 255: how much of the usual hue a black pixel is taken to have
# Between these depths behind the lips (`Place.depth`) paint, which may show teeth, gives way to flesh. In a wide open
# mouth that begins at the lips: there the draft shows the teeth.
_DEEP, _DEEP_WIDE = np.array([0.05, 0.1]), np.array([0.0, 0.04])
_WIDE = (0.2, 0.5)  # height of the opening over its width
_GLEAM = (2.0, 12.0)  # of 255: paint lighter than the draft by less is left alone, by more is changed wholly
_LIT = 0.5  # of what paint is lighter by: as a tongue is lit, not teeth


def in_its_light(kernels: Kernels, color: Array, before: Array, teeth: np.ndarray) -> None:
    """Makes painted colours (N, h, w, 3), 0 to 255, none cooler than what was there `before` or than this picture's
    teeth (3,); in place.

    The networks learnt teeth and the whites of eyes in the light of photographs; under the yellow varnish of a painting
    their white is blue. What is hardly changed stays as it is.
    """
    xp = array_namespace(color)
    share = between(strongest(xp.abs(color - before)), *_REPAINTED)
    patches = kernels.touched(share[..., 0])
    if not patches.there.any():
        return
    painted, was, share = (kernels.taken(values, patches) for values in (color, before, share))
    usual = kernels.put(teeth / max(float(teeth[0]), 1.0))
    faint = _NOISE * (1 - smoothstep(strongest(was) / _FAINT)) + 1
    coolest = xp.maximum((was + faint * usual) / (was[..., :1] + faint), usual)
    kernels.laid(color, patches, painted + share * (xp.minimum(painted, painted[..., :1] * coolest) - painted))


def in_flesh(
    kernels: Kernels, color: Array, before: Array, upper: np.ndarray, lower: np.ndarray, lip: np.ndarray
) -> None:
    """Gives paint deep behind the lips the lips' hue, and half of the light that it adds to the draft; in place.

    Where teeth, a tongue or darkness may be, networks paint the mean of them, a grey that no mouth shows.

    Args:
        color, before: (N, h, w, 3) float32, 0 to 255, a part of each frame after painting and before.
        upper, lower: (N, 11, 2) the inner rims of the lips, pixels of that part.
        lip: (3,) the lips' colour.
    """
    patches = patches_around(np.concatenate([upper, lower], 1), 1, (color.shape[2], color.shape[1]))
    patches = patches.only(np.linalg.norm(upper[:, -1] - upper[:, 0], axis=1) >= LEAST_WIDTH)
    if not patches.there.any():
        return
    wide = between(openness(upper, lower), *_WIDE)
    first, last = planes(kernels, *(_DEEP + wide[:, None] * (_DEEP_WIDE - _DEEP)).T)
    share = between(Place(kernels, upper, lower, *kernels.grid(patches)).depth, first, last)[..., None]
    painted, dark = kernels.taken(color, patches), kernels.taken(before, patches)
    lighter = strongest(painted) - strongest(dark)
    share = share * between(lighter, *_GLEAM)
    flesh = dark + _LIT * lighter.clip(0, None) * kernels.put(lip / max(float(lip.max()), 1.0))
    kernels.laid(color, patches, painted + share * (flesh - painted))

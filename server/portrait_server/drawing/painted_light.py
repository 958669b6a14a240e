# SPDX-License-Identifier: GPL-3.0-or-later
"""What painters may add to a draft: white in the picture's own light, and in a mouth no light where no teeth can be.

Painters learnt teeth and the whites of eyes in the light of photographs; under the yellow varnish of a painting their
white is blue. Of a mouth whose inside they never saw they paint the mean of teeth, tongue and dark: a grey bar.
"""

from __future__ import annotations

import numpy as np

from portrait_server.drawing.frame import Moved
from portrait_server.drawing.inside import Place, rows_of_teeth
from portrait_server.drawing.mouth import CLOSED, OPEN, TALL, openness
from portrait_server.drawing.opening import of_half, planes
from portrait_server.drawing.scene import Scene
from portrait_server.geometry import face_mesh
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.base import Array, Kernels, Patches
from portrait_server.kernels.levels import strongest

# Between these depths behind the lips, in mouth widths, there are no teeth; in a wide open mouth those that there are show
# in the draft.
_DEEP, _DEEP_WIDE = np.array([0.14, 0.2]), np.array([0.0, 0.04])
_WIDE = (0.36, 0.52)  # height of the opening over its width
_TONGUE_SEEN = (0.27, 0.37)  # from then on the draft shows a tongue, which is neither teeth nor their mean
_FLESH_LIGHT = 0.35  # how much light is left where no teeth are
# How far the jaw is down, in mouth widths, from which on the two rows of teeth leave something between them. Nobody's smile
# of those measured needed more than the first.
_PARTED = (0.06, 0.14)
_BRIGHTEST = 1.8  # how much brighter than in a draft lower teeth may become
_REPAINTED = (10.0, 30.0)  # of 255: added light after which a colour counts as painted anew
_FAINT = 80.0  # of 255: below it a colour's hue tells little of the light
_NOISE = 40.0  # of 255: how much of the usual hue a black pixel is taken to have
_FLESH = 0.6  # how much of the lips' hue light in the depth of a mouth takes on, which comes by way of flesh


def whitened(drawn: Array, colour: Array, usual: Array) -> Array:
    """A draft (N, h, w, 3), 0 to 255, and the colour that is added to it, 1 being white, but no light cooler than what
    was drawn or than usual here (…, 3), red being 1.

    What becomes hardly lighter stays as it is painted.
    """
    xp = array_namespace(drawn)
    painted = drawn + 255 * colour
    share = between(255 * strongest(colour), *_REPAINTED)
    faint = _NOISE * (1 - smoothstep(strongest(drawn) / _FAINT)) + 1
    coolest = xp.maximum((drawn + faint * usual) / (drawn[..., :1] + faint), usual)
    return painted + share * (xp.minimum(painted, painted[..., :1] * coolest) - painted)


def white_of(kernels: Kernels, scene: Scene) -> Array:
    """The hue (3,) of white things in a scene's light, red being 1."""
    return kernels.put(_hue(scene.mouth.teeth))


def in_the_mouth(kernels: Kernels, scene: Scene, moved: Moved, patches: Patches, drawn: Array, colour: Array) -> Array:
    """As `whitened`, for a mouth: less light beside teeth, none deep in a wide opening, and what is dim is warm."""
    xp = array_namespace(drawn)
    motion, mouth = moved.motion, scene.mouth
    upper, lower = (of_half(motion.vertices[:, list(rim), :2], mouth.half) for rim in face_mesh.MOUTH)
    place = Place(kernels, upper, lower, *kernels.grid(patches))
    height = openness(upper, lower)
    wide = between(height, *_WIDE)
    bones = mouth.bones(motion.turn, motion.skull, motion.jaw, motion.lips)
    parted = between(bones.dropped(place.along) * bones.down / place.wide, *_PARTED)
    first, last, parted = planes(kernels, *(_DEEP + wide[:, None] * (_DEEP_WIDE - _DEEP)).T, parted)
    above, below = rows_of_teeth(kernels, place, bones)
    beside = 1 - xp.maximum(above.bare, below.bare)
    inside = smoothstep(place.depth / 0.03)
    light = colour.clip(0, None)
    colour = colour - between(place.depth, first, last)[..., None] * light
    lips, level = kernels.put(_hue(mouth.lip)), max(float(mouth.teeth[0]), 1.0)
    open_wide = between(height, *_TONGUE_SEEN)
    (flesh_light,) = planes(kernels, _FLESH_LIGHT * (1 - open_wide))
    flesh = (flesh_light * strongest(light)[..., 0])[..., None] * lips
    beside = (parted * beside * inside)[..., None]
    colour = colour + beside * (xp.minimum(colour, flesh) - colour)
    made_above, made_below = (1 - between(mouth.shown, *heights) for heights in ((CLOSED, OPEN), TALL))
    # Lower teeth lie in the shade of the upper ones. What is between two teeth stays as dark as it was against them, but
    # for the photo's own, which are elsewhere.
    most = _BRIGHTEST * below.light[..., None] * kernels.put(mouth.teeth.astype(np.float32))
    room = xp.maximum(most - drawn, 0 * drawn) / 255
    colour = colour + (inside * below.bare * (1 - above.bare))[..., None] * (xp.minimum(colour, room) - colour)
    colour = colour - (made_above * inside * above.bare * (1 - above.lit))[..., None] * colour.clip(0, None)
    gaps = made_below * below.gaps * below.bare
    gaps = gaps + above.bare * (made_above * above.gaps - gaps)
    colour = colour - (inside * gaps)[..., None] * colour.clip(0, None)
    white = white_of(kernels, scene)
    dim = _FLESH * (1 - (drawn[..., :1] + 255 * colour[..., :1]) / level).clip(0, 1) * inside[..., None]
    return whitened(drawn, colour, white + dim * (lips - white))


def _hue(colour: np.ndarray) -> np.ndarray:
    return np.asarray(colour / max(float(colour[0]), 1.0), np.float32)

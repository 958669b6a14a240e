# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a person's head reaches along lines from the face's outline, and over what: hair, or bare skin."""

from __future__ import annotations

import numpy as np

from portrait_server.geometry.cloth import Cloth
from portrait_server.geometry.face_mesh import CHEEKS
from portrait_server.geometry.hair import HairColour, colours_at
from portrait_server.geometry.ramps import between, smoothstep

SOLID: float = 0.85
"""Of the matte, where a head ends."""
STILL: float = 3.1
"""Multiple of the outline where nothing follows the head."""
# Where the head's pose stops carrying what lies outwards: hair, and the neck.
_CARRIED_HAIR = (1.6, STILL)
_CARRIED_NECK = (1.05, 1.9)
_RIMS = (1.02, 2.2)  # nearest and farthest rim, as multiples of the outline
_STANDS_OUT = 0.2  # multiples of the outline by which a line may leave its neighbours': an ear does, a stray lock more
# Multiples of the outline: cloth that begins as far out and goes on farther than any head hangs beside it; and how much
# before that the head ends.
_BAND, _BESIDE = 1.9, 0.12
_FARTHEST = _RIMS[1] - 0.01  # the person goes on beyond it
_MIXED = 0.06  # multiples of the outline before a rim where colours mix with what lies behind
_EAR_LINES = 4  # as many lines as an ear is high
_CROWN = -0.6  # cosine with the way to the chin above which (towards -1) a line goes over the hair


def rim_of(centre: np.ndarray, arm: np.ndarray, matte: np.ndarray, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """How far (36,) the person reaches along lines, as multiples of the face's outline; and without ears and locks that
    stand out.

    Args:
        centre: (2,) where the lines begin, pixels; arm: (36, 2) from there to the outline.
        matte: (H, W) 0 to 1, how far each pixel is the person.
        gap: pixels of background between two locks that do not end the hair.
    """
    rings = np.linspace(1, _RIMS[1], 121)
    person = solid_at(matte, centre + rings[:, None, None] * arm, outside=False)
    # Where a gap begins that is too wide, the hair has ended.
    steps = np.maximum(1, np.round(gap / (np.linalg.norm(arm, axis=1) * (rings[1] - rings[0]) + 1e-6))).astype(int)
    found = np.empty(len(arm))
    for line, step in enumerate(steps):
        # The outline itself counts as the person: where a line begins beside it, a shoulder farther out is no head.
        inside = np.append(0, np.flatnonzero(person[:, line]))
        found[line] = rings[inside[np.argmax(np.append(np.diff(inside), 1 << 30) > step)]]
    found = np.clip(found, *_RIMS)
    smooth = _smoothed_round(found)
    rim = smooth + np.clip(found - smooth, -_STANDS_OUT, _STANDS_OUT)
    near = range(-_EAR_LINES // 2, _EAR_LINES // 2 + 1)
    without = np.min([np.roll(rim, shift) for shift in near], axis=0)
    return rim, np.max([np.roll(without, shift) for shift in near], axis=0)


def without_tails(rim: np.ndarray, cloth: Cloth) -> np.ndarray:
    """Rims (36,) before cloth that hangs beside a head, as a turban's end: a head would turn but half of it."""
    begins = cloth.begins()
    hangs = (rim > _FARTHEST) & (begins > _BAND) & (begins < rim)
    return np.where(hangs, begins - _BESIDE, rim)


def solid_at(matte: np.ndarray, places: np.ndarray, *, outside: bool) -> np.ndarray:
    """Where (…) bool a matte (H, W) surely shows the person at places (…, 2), pixels; `outside` the picture."""
    height, width = matte.shape
    x, y = (np.round(places[..., axis]).astype(int) for axis in (0, 1))
    there = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return np.where(there, matte[y.clip(0, height - 1), x.clip(0, width - 1)] > SOLID, outside)


def _smoothed_round(values: np.ndarray) -> np.ndarray:
    """Values around a circle, without single ones that stand out."""
    median = np.median(np.stack([np.roll(values, shift) for shift in (-1, 0, 1)]), axis=0)
    return (np.roll(median, 1) + 2 * median + np.roll(median, -1)) / 4


def kinds_along(
    image: np.ndarray, face: np.ndarray, centre: np.ndarray, arm: np.ndarray, rim: np.ndarray, down: np.ndarray
) -> tuple[HairColour, Cloth, np.ndarray, np.ndarray]:
    """Colours of skin and hair; cloth beyond that; how far lines lie over bare skin (36,), and over hair or cloth down to
    their rim (36,).

    Args:
        image: (H, W, 3 or 4) levels from 0 to 255; face: (468, 3) the face's vertices, pixels.
        centre, arm, rim: the lines, as of `rim_of`; down: (36,) cosine between each and the way to the chin.
    """
    parts = np.linspace(0.25, 0.9, 12)[:, None]
    places = centre + arm * (1 + parts * (rim - 1))[..., None]
    colours = colours_at(image, places)
    colour = HairColour.of(image, face[list(CHEEKS), :2], places[:, down < _CROWN].reshape(-1, 2))
    cloth = Cloth.of(image, colour, centre, arm, rim, np.where(rim < _FARTHEST, rim - _MIXED, rim), down)
    covered = cloth.at(places)
    bare = (colour.skin_share(colours) * (1 - covered)).mean(0)
    hairy = 0 * bare if colour.bald else np.maximum(colour.hair_share(colours), covered)[4:].mean(0) * (1 - bare)
    # Hair hangs down: below a line without there is none, or shaded skin of its colour would count as such.
    hairy = np.where(down < 0, 1, smoothstep((hairy - 0.3) / 0.4))
    half = len(hairy) // 2
    right, left = np.minimum.accumulate(hairy[: half + 1]), np.minimum.accumulate(np.roll(hairy[::-1], 1)[:half])
    hairy = np.concatenate([right, left[:0:-1]])
    return colour, cloth, smoothstep((bare - 0.25) / 0.4), hairy * (1 - colour.bald)


def carried_along(ring: np.ndarray, down: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """How far (N,) the head's pose carries points at so many times the face's outline: hair far out, the neck hardly.

    Args:
        down: (N,) cosine between the way from the face's middle to each point and the way to the chin.
        rim: (N,) where the head ends on that way.
    """
    neck = smoothstep((down + 0.15) / 0.75)
    hair = np.maximum(_CARRIED_HAIR[0], rim)
    starts = hair + neck * (_CARRIED_NECK[0] - hair)
    ends = _CARRIED_HAIR[1] + neck * (_CARRIED_NECK[1] - _CARRIED_HAIR[1])
    return 1 - between(ring, starts, ends)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The head around and behind the face as a closed body, hair included, and the surroundings that its turns draw along.

Lines run from the face's outline outwards. Each passes over the front of the head to its rim, where the matte ends, and
on over the back; the depth along it is an ellipse's, so front and back meet at the rim in one round surface. Towards
the neck the line runs down over it instead. Beyond the rim lies a backdrop, which is behind everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np

from portrait_server.geometry.cloth import Cloth
from portrait_server.geometry.face_mesh import OVAL, VERTEX_COUNT
from portrait_server.geometry.hair import HairColour, colours_at
from portrait_server.geometry.head_lines import HeadLines
from portrait_server.geometry.head_outline import SOLID, STILL, carried_along
from portrait_server.geometry.ramps import between

# Rings of the front, as parts of the way from the outline to the rim; of the back, as degrees past the rim.
FRONT: Final = (0.15, 0.35, 0.55, 0.72, 0.86, 0.95, 1.0)
_BACK = (14, 28, 42, 58, 78)
# Of the backdrop, as parts of the way from the rim to where nothing follows the head; then multiples of the outline, out
# to where a picture of a torso ends: what lies outside of it is brought to its edge.
_AROUND = (0.0, 0.1, 0.28, 0.55, 1.0)
_TORSO = (3.7, 4.4, 5.4, 7.0, 9.5, 15.0)
FRONT_RINGS, BACK_RINGS, AROUND_RINGS = len(FRONT), len(_BACK), len(_AROUND)
"""How many rings of vertices there are of each, one after the other; then come those of the torso."""

_EDGE = 0.04  # softness of a matte's edge, in half face widths
_EXPRESSION_ENDS = 1.6
_SHORT = (1.04, 1.12)  # multiples of the outline: a line that ends before lies over the face's own skin
_FLAT = 1e-6  # pixels, twice the area of a triangle that is none
_BACKDROP = 4.0  # half face widths by which the backdrop counts as farther


@dataclass(frozen=True)
class HeadBody:
    """Vertices around a face, pixels of its picture: of the front, the back, the backdrop.

    Attributes:
        vertices: (R, 3).
        places: (R, 2) where the photo shows each; of the back what lies beside the rim.
        order: (R,) depth by which they hide each other.
        carried, expressive: (R,) 0 to 1, how far the head's pose and the face's expression move each.
        triangles: (T, 3) of numbers that count the face's vertices, too; of them the first `closed` are head, not
            backdrop.
        textures: (R, 2) where a picture of the whole head, unrolled, would show what a turn brings into view there: the
            photo's own place where that shows the surface well, and beyond its end ever farther outwards.
        bare, solid: (R,) how far each lies over skin that shows in the photo, and over the person at all.
        skin: (36,) how far lines from the face's outline outwards lie over bare skin, whether the photo shows it well or not.
        colour: the person's, by which that was told; cloth: what covers the head beyond its hair.
        hair: (36, 2) the outline within which the photo shows the head's front well.
        rings: how many of the vertices lie on rings around the face; the others are the neck's.
        neck: (T, 3) triangles of the sides of the neck, which lie behind all that the photo shows; numbers as above.
    """

    vertices: np.ndarray
    places: np.ndarray
    order: np.ndarray
    carried: np.ndarray
    expressive: np.ndarray
    triangles: np.ndarray
    closed: int
    textures: np.ndarray
    bare: np.ndarray
    solid: np.ndarray
    skin: np.ndarray
    colour: HairColour
    cloth: Cloth
    hair: np.ndarray
    rings: int
    neck: np.ndarray


def build_head_body(face: np.ndarray, image: np.ndarray, matte: np.ndarray, hidden: np.ndarray) -> HeadBody:
    """The body of a head.

    Args:
        face: (468, 3) the face's vertices, pixels.
        image: (H, W, 3 or 4) levels from 0 to 255.
        matte: (H, W) 0 to 1, how far each pixel is the person.
        hidden: (36,) 0 to 1, how far the photo hides the face's outline, as it does not on the other side.
    """
    lines = HeadLines.of(face, image, matte, hidden)
    front = [lines.front(1 + part * (lines.rim - 1)) for part in FRONT]
    back = [lines.back(np.radians(angle)) for angle in _BACK]
    beside = [lines.front(lines.rim + np.sin(np.radians(angle)) * 0.12) for angle in _BACK]
    around = [lines.front(lines.rim + part * (STILL - lines.rim)) for part in _AROUND]
    torso = [lines.front(np.full(len(OVAL), ring)) for ring in _TORSO]
    sheet = np.concatenate([*front, *back, *around, *torso])
    backdrop = (len(front) + len(back)) * len(OVAL)
    sheet[backdrop:, :2] = sheet[backdrop:, :2].clip(0, np.array(matte.shape[::-1]) - 1)
    rings = np.concatenate(
        [*(1 + part * (lines.rim - 1) for part in FRONT), *[lines.rim] * len(_BACK)]
        + [lines.rim + part * (STILL - lines.rim) for part in _AROUND]
        + [np.full(len(OVAL), ring) for ring in _TORSO]
    )
    count = len(OVAL)
    behind = np.zeros(len(sheet))
    behind[backdrop:] = _BACKDROP * lines.half_width
    free = lines.free(sheet, matte.shape)
    free[len(front) * count : (len(front) + len(back)) * count] = np.tile(
        free[(len(front) - 1) * count :][:count], len(back)
    )
    down = np.tile(lines.down, len(rings) // count)
    rows = [np.array(OVAL)] + [VERTEX_COUNT + i * count + np.arange(count) for i in range(len(sheet) // count)]
    bare, solid = (_padded(found, len(sheet)) for found in _shown(lines, front, image, matte))
    closed = np.concatenate(
        [_strips(rows[: 1 + len(front)]), _turned_away(_strips(rows[len(front) : 1 + len(front) + len(back)]), sheet)]
    )
    neck, neck_places, neck_triangles = lines.tube.sides()
    none = np.zeros(len(neck))
    carried = free * carried_along(rings, down, np.tile(lines.rim, len(rings) // count))
    return HeadBody(
        vertices=np.concatenate([sheet, neck]),
        places=np.concatenate([*(row[:, :2] for row in (*front, *beside)), sheet[backdrop:, :2], neck_places]),
        order=np.concatenate([sheet[:, 2] + behind, neck[:, 2]]),
        carried=np.concatenate([carried, lines.free(neck, matte.shape) * lines.carried_at(neck[:, :2])]),
        expressive=np.concatenate([free * (1 - between(rings, 1, _EXPRESSION_ENDS)), none]),
        triangles=np.concatenate([closed, _strips(rows[1 + len(front) + len(back) :])]),
        closed=len(closed),
        textures=np.concatenate([lines.textures(sheet[: (len(front) + len(back)) * count], len(sheet)), neck_places]),
        bare=np.concatenate([bare, none]),
        solid=np.concatenate([solid, none]),
        skin=np.maximum(lines.bare, 1 - between(lines.rim, *_SHORT)),
        colour=lines.colour,
        cloth=lines.cloth,
        hair=lines.centre + lines.arm * lines.well_shown[:, None],
        rings=len(sheet),
        neck=neck_triangles + VERTEX_COUNT + len(sheet),
    )


def _shown(
    lines: HeadLines, front: list[np.ndarray], image: np.ndarray, matte: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far vertices of the front's rings lie over skin that the picture shows, and over the person at all."""
    places = np.stack(front)[..., :2]
    seen = lines.colour.skin_share(colours_at(image, places)) * (1 - lines.cloth.at(places))
    seen = np.maximum(seen, np.roll(seen, 1, axis=0) * (np.arange(len(front)) > 0)[:, None])
    # A little inside the matte's edge, for there the picture mixes with what lies behind.
    reach = 2 * max(1, round(_EDGE * lines.half_width)) + 1
    inside = cv2.erode(matte, np.ones((reach, reach), np.uint8))
    solid = between(colours_at(inside[..., None], places)[..., 0], 0.5, SOLID)
    return np.maximum(seen, lines.bare) * solid, solid


def _turned_away(triangles: np.ndarray, sheet: np.ndarray) -> np.ndarray:
    """Those of the back's triangles (T, 3) that the photo does not show: one that faced the viewer there would show what
    lies beside the rim. Their numbers count the face's vertices, too, and then those of a sheet (R, 3).
    """
    a, b, c = np.moveaxis(sheet[triangles - VERTEX_COUNT, :2], 1, 0)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return triangles[area < _FLAT]


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    found = np.zeros(count)
    found[: values.size] = values.ravel()
    return found


def _strips(rows: list[np.ndarray]) -> np.ndarray:
    """The triangles between closed rows of vertices, each around the one before."""
    triangles = []
    for inner, outer in pairwise(rows):
        a, b = inner, np.roll(inner, -1)
        c, d = outer, np.roll(outer, -1)
        triangles += [np.column_stack([a, c, d]), np.column_stack([a, d, b])]
    return np.concatenate(triangles)

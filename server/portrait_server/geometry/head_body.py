# SPDX-License-Identifier: GPL-3.0-or-later
"""The head around and behind the face as a closed body, hair included, and the surroundings that its turns draw along.

Lines run from the face's outline outwards. Each passes over the front of the head to its rim, where the matte ends, and
on over the back; the depth along it is an ellipse's, so front and back meet at the rim in one round surface. Towards
the neck the line runs down over it instead. Beyond the rim lies a backdrop, which is behind everything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from portrait_server.geometry.face_mesh import CHIN, FOREHEAD, OVAL, SIDES, VERTEX_COUNT
from portrait_server.geometry.hair import HairColour, colours_at
from portrait_server.geometry.head_outline import SOLID, STILL, carried_along, kinds_along, rim_of
from portrait_server.geometry.ramps import between, smoothstep

# Rings of the front, as parts of the way from the outline to the rim; of the back, as degrees past the rim.
_FRONT = (0.15, 0.35, 0.55, 0.72, 0.86, 0.95, 1.0)
_BACK = (14, 28, 42, 58, 78)
# Of the backdrop, as parts of the way from the rim to where nothing follows the head; then multiples of the outline, out
# to where a picture of a torso ends: what lies outside of it is brought to its edge.
_AROUND = (0.0, 0.1, 0.28, 0.55, 1.0)
_TORSO = (3.7, 4.4, 5.4, 7.0, 9.5, 15.0)
FRONT_RINGS, BACK_RINGS, AROUND_RINGS = len(_FRONT), len(_BACK), len(_AROUND)
"""How many rings of vertices there are of each, one after the other; then come those of the torso."""

# In half face widths, behind the ears' fronts: where a head's rim lies, above and at its sides, and where it ends. These,
# and the exponents of the dome's depth above and at its sides, are those of rendered heads with hair, short and long.
_RIM_DEPTH, _END_DEPTH = (0.4, 0.8), 1.4
# Cosines with the way to the chin between which a bare nape comes nearer, and by how much.
_NAPE, _NAPE_DEPTH = (0.05, 0.55), 1.25
_EARS = (-0.5, -0.2)  # cosines with the way to the chin, of the hair above ears and of theirs
_LEVEL = 0.4  # cosine with the way to the chin: lines to the sides
_HAIR_WIDTH = 1.25  # half face widths: a head wider than this has as much more hair behind, too
_DOME, _HAIR_DOME = (0.2, 1.6), 0.4
_BACK_ROUND = 0.5  # exponent of the superellipse that the back is: 1 an ellipse, less is fuller
_LEAST_DOME = 0.15  # by how much the rim lies at least behind the outline, in half face widths
_EDGE = 0.04  # softness of a matte's edge, in half face widths
_GAP = 0.1  # half face widths of background between two locks that do not end the hair
# Cosines with the way to the chin: from the first on a line goes ever less over hair, more over the neck.
_NECK = (0.3, 0.85)
_BELOW = (0.75, 0.95)  # and from there on whatever they end at
_NECK_RIMS = (1.25, 1.5)  # multiples of the outline: lines that end before the first end beside a neck
_NECK_RIM = 1.6  # multiple of the outline down to which a neck is seen as round
_NECK_DEPTH, _NECK_REACH = 0.9, 0.12  # how far behind the chin a neck lies, in half face widths; in how many multiples
_EXPRESSION_ENDS = 1.6
_PINNED = 0.25  # a strip along the picture's edge, in half face widths, that keeps its place
_BACKDROP = 4.0  # half face widths by which the backdrop counts as farther
_STEEP = 0.35  # cosine between surface and line of sight below which a photo shows too little of it to be turned


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
        colour: the person's, by which that was told.
        hair: (36, 2) the outline within which the photo shows the head's front well.
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
    colour: HairColour
    hair: np.ndarray


def build_head_body(face: np.ndarray, image: np.ndarray, matte: np.ndarray) -> HeadBody:
    """The body of a head.

    Args:
        face: (468, 3) the face's vertices, pixels.
        image: (H, W, 3 or 4) levels from 0 to 255.
        matte: (H, W) 0 to 1, how far each pixel is the person.
    """
    lines = _Lines.of(face, image, matte)
    front = [lines.front(1 + part * (lines.rim - 1)) for part in _FRONT]
    back = [lines.back(np.radians(angle)) for angle in _BACK]
    beside = [lines.front(lines.rim + np.sin(np.radians(angle)) * 0.12) for angle in _BACK]
    around = [lines.front(lines.rim + part * (STILL - lines.rim)) for part in _AROUND]
    torso = [lines.front(np.full(len(OVAL), ring)) for ring in _TORSO]
    sheet = np.concatenate([*front, *back, *around, *torso])
    backdrop = (len(front) + len(back)) * len(OVAL)
    sheet[backdrop:, :2] = sheet[backdrop:, :2].clip(0, np.array(matte.shape[::-1]) - 1)
    rings = np.concatenate(
        [*(1 + part * (lines.rim - 1) for part in _FRONT), *[lines.rim] * len(_BACK)]
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
    closed = _strips(rows[: 1 + len(front) + len(back)])
    return HeadBody(
        vertices=sheet,
        places=np.concatenate([*(row[:, :2] for row in (*front, *beside)), sheet[backdrop:, :2]]),
        order=sheet[:, 2] + behind,
        carried=free * carried_along(rings, down, np.tile(lines.rim, len(rings) // count)),
        expressive=free * (1 - between(rings, 1, _EXPRESSION_ENDS)),
        triangles=np.concatenate([closed, _strips(rows[1 + len(front) + len(back) :])]),
        closed=len(closed),
        textures=lines.textures(sheet[: (len(front) + len(back)) * count], len(sheet)),
        bare=bare,
        solid=solid,
        colour=lines.colour,
        hair=lines.centre + lines.arm * lines.well_shown[:, None],
    )


@dataclass(frozen=True)
class _Lines:
    """36 lines from the face's outline outwards.

    Attributes:
        centre: (2,) of the outline; arm: (36, 2) from there to each of its vertices; depth: (36,) theirs.
        down, aside: (36,) cosines between each line and the way to the chin, and square to it; both: (2, 2) unit vectors.
        neck: (36,) 0 over hair to 1 over the neck.
        rim: (36,) where the head ends, as a multiple of the outline; skull: (36,) and where its back begins, behind ears.
        half_width: of the face, pixels.
        widest: (36,) depth of the rim; end: (36,) of the back's end.
        well_shown: (36,) multiple of the outline from which on the surface is too steep.
        bare: (36,) how far it lies over skin beside the face: an ear, the neck, a bald head; colour: what tells that.
    """

    centre: np.ndarray
    arm: np.ndarray
    depth: np.ndarray
    down: np.ndarray
    aside: np.ndarray
    axes: np.ndarray
    neck: np.ndarray
    rim: np.ndarray
    skull: np.ndarray
    half_width: float
    widest: np.ndarray
    end: np.ndarray
    well_shown: np.ndarray
    bare: np.ndarray
    colour: HairColour

    @classmethod
    def of(cls, face: np.ndarray, image: np.ndarray, matte: np.ndarray) -> _Lines:
        oval = face[list(OVAL)]
        centre = (oval[:, :2].min(0) + oval[:, :2].max(0)) / 2
        arm = oval[:, :2] - centre
        half_width = float(np.linalg.norm(face[SIDES[1]] - face[SIDES[0]]) / 2 + 1e-6)
        chin = face[CHIN, :2] - face[FOREHEAD, :2]
        chin = chin / (np.linalg.norm(chin) + 1e-6)
        axes = np.array([chin, [-chin[1], chin[0]]])
        down, aside = axes @ (arm / (np.linalg.norm(arm, axis=1, keepdims=True) + 1e-6)).T
        rim, skull = rim_of(centre, arm, matte, _GAP * half_width)
        colour, bare, hairy = kinds_along(image, face, centre, arm, rim, down)
        skull = rim + between(down, *_EARS) * (skull - rim)
        # A line that soon ends below the jaw ends at the side of the neck, one that goes on runs down it.
        neck = between(down, *_NECK) * between(rim, *_NECK_RIMS) * (1 - hairy)
        neck = np.maximum(neck, between(down, *_BELOW))
        rim = rim + neck * (np.minimum(rim, _NECK_RIM) - rim)
        sides = face[list(SIDES), 2].mean()
        behind = _RIM_DEPTH[0] + np.abs(aside) * (_RIM_DEPTH[1] - _RIM_DEPTH[0])
        widest = np.maximum(sides + behind * half_width, oval[:, 2] + _LEAST_DOME * half_width)
        wide = (rim * np.linalg.norm(arm, axis=1))[np.abs(down) < _LEVEL].mean() / half_width
        nape = (1 - hairy) * between(down, *_NAPE) * _NAPE_DEPTH
        end = sides + (_END_DEPTH + max(0.0, wide - _HAIR_WIDTH) - nape) * half_width
        lines = cls(
            centre=centre, arm=arm, depth=oval[:, 2], down=down, aside=aside, axes=axes, neck=neck,
            rim=rim, skull=np.minimum(skull, rim), half_width=half_width, widest=widest, end=end,
            well_shown=rim, bare=bare, colour=colour,
        )  # fmt: skip
        return replace(lines, well_shown=lines._well_shown())

    def front(self, ring: np.ndarray) -> np.ndarray:
        """Vertices (36, 3) at multiples (36,) of the outline, on the front and beyond the rim."""
        inside = np.clip((1 - (ring / self.rim) ** 2) / (1 - 1 / self.rim**2), 0, 1)
        beside = _HAIR_DOME + self.bare * (_DOME[1] - _HAIR_DOME)
        bulge = inside ** (_DOME[0] + np.abs(self.aside) * (beside - _DOME[0]))
        dome = self.widest + (self.depth - self.widest) * bulge
        neck = self.depth + _NECK_DEPTH * self.half_width * (1 - np.exp((1 - ring) / _NECK_REACH))
        return np.column_stack([self.centre + ring[:, None] * self.arm, dome + self.neck * (neck - dome)])

    def back(self, angle: float) -> np.ndarray:
        """Vertices (36, 3) of the back, by how far behind the rim they lie, radians: at a right angle at its end."""
        edge = self.front(self.rim)
        down, aside = self.axes @ (self.skull[:, None] * self.arm).T
        shrink = 1 - (1 - self.neck) * (1 - np.cos(angle) ** _BACK_ROUND)
        # Above the face's middle the back is round, below it goes straight down.
        places = self.centre + np.column_stack([np.where(down < 0, down * shrink, down), aside * shrink]) @ self.axes
        deeper = (1 - self.neck) * np.sin(angle) ** _BACK_ROUND * np.maximum(self.end - edge[:, 2], 0)
        return np.column_stack([places, edge[:, 2] + deeper])

    def free(self, vertices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """How far (N,) vertices may leave their place: not at all at the picture's edge."""
        x, y = vertices[:, 0], vertices[:, 1]
        inside = np.minimum.reduce([x, y, shape[1] - 1 - x, shape[0] - 1 - y])
        return smoothstep(inside / (_PINNED * self.half_width))

    def _well_shown(self) -> np.ndarray:
        parts = np.linspace(0, 1, 64)
        along = np.stack([self.front(1 + part * (self.rim - 1)) for part in parts])
        run = np.linalg.norm(np.diff(along[..., :2], axis=0), axis=2)
        rise = np.diff(along[..., 2], axis=0)
        steep = run < _STEEP * np.hypot(run, rise)
        first = np.where(steep.any(0), steep.argmax(0), len(parts) - 1)
        return 1 + np.maximum(parts[first], 0.5) * (self.rim - 1)

    def textures(self, sheet: np.ndarray, count: int) -> np.ndarray:
        """Where (count, 2) the photo shows what a turn brings into view at vertices, the first those of a sheet."""
        rings = sheet.reshape(-1, len(OVAL), 3)
        from_outline = np.concatenate([self.front(np.ones(len(OVAL)))[None], rings])
        travelled = np.cumsum(np.linalg.norm(np.diff(from_outline, axis=0), axis=2), axis=0)
        length = np.linalg.norm(self.arm, axis=1)
        turning = (self.well_shown - 1) * length
        end = self.front(self.well_shown)
        reach = np.linalg.norm(end - from_outline[0], axis=1)  # straight: the surface up to there is nearly flat
        ahead = np.linalg.norm(rings[..., :2] - self.centre, axis=2) - length
        outwards = self.arm - np.maximum(self.down * length, 0)[:, None] * self.axes[0]
        outwards /= np.linalg.norm(outwards, axis=1, keepdims=True) + 1e-6
        beyond = np.maximum(travelled - reach, 0)
        ahead = np.where(beyond > 0, turning, np.minimum(ahead, turning))
        places = self.centre + self.arm * (1 + ahead / length)[..., None] + outwards * beyond[..., None]
        found = np.zeros((count, 2))
        found[: len(sheet)] = places.reshape(-1, 2)
        return found


def _shown(
    lines: _Lines, front: list[np.ndarray], image: np.ndarray, matte: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far vertices of the front's rings lie over skin that the picture shows, and over the person at all."""
    places = np.stack(front)[..., :2]
    seen = lines.colour.skin_share(colours_at(image, places))
    seen = np.maximum(seen, np.roll(seen, 1, axis=0) * (np.arange(len(front)) > 0)[:, None])
    # A little inside the matte's edge, for there the picture mixes with what lies behind.
    reach = 2 * max(1, round(_EDGE * lines.half_width)) + 1
    inside = cv2.erode(matte, np.ones((reach, reach), np.uint8))
    solid = between(colours_at(inside[..., None], places)[..., 0], 0.5, SOLID)
    return np.maximum(seen, lines.bare) * solid, solid


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

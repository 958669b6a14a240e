# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines from the face's outline outwards, over the front of the head to its rim and on over its back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from portrait_server.geometry.cloth import Cloth
from portrait_server.geometry.face_mesh import CHIN, FOREHEAD, OVAL, SIDES
from portrait_server.geometry.hair import HairColour
from portrait_server.geometry.head_outline import carried_along, kinds_along, rim_of, without_tails
from portrait_server.geometry.neck import Neck
from portrait_server.geometry.ramps import between, smoothstep

# In half face widths, behind the ears' fronts: where a head's rim lies, above and at its sides, and where it ends. These,
# and the exponents of the dome's depth above and at its sides, are those of rendered heads with hair, short and long. From
# above to the sides they change smoothly: what had a ridge along its middle would come to a point when it is thrown back.
_RIM_DEPTH, _END_DEPTH = (0.4, 0.8), 1.4
# Cosines with the way to the chin between which a bare nape comes nearer, and by how much.
_NAPE, _NAPE_DEPTH = (0.05, 0.55), 1.25
# The same beside a cheek that the photo hides: no ear is seen there, and the head ends in a round line.
_OCCIPUT = (-0.4, 0.4)
_EARS = (-0.5, -0.2)  # cosines with the way to the chin, of the hair above ears and of theirs
# Multiples of the outline by which an ear stands out from the skull, and how deep it reaches, in half face widths.
_STANDS_OUT, _EAR_DEPTH = (0.02, 0.1), 0.65
_LEVEL = 0.4  # cosine with the way to the chin: lines to the sides
_HAIR_WIDTH = 1.25  # half face widths: a head wider than this has as much more hair behind, too
_DOME, _HAIR_DOME = (0.2, 1.6), 0.4
_BACK_ROUND = 0.5  # exponent of the superellipse that the back is: 1 an ellipse, less is fuller
_LEAST_DOME = 0.15  # by how much the rim lies at least behind the outline, in half face widths
_GAP = 0.1  # half face widths of background between two locks that do not end the hair
# Cosines with the way to the chin: from the first on a line goes ever less over hair, more over the neck.
_NECK = (0.3, 0.85)
_BELOW = (0.75, 0.95)  # and from there on whatever they end at
_NECK_RIMS = (1.25, 1.5)  # multiples of the outline: lines that end before the first end beside a neck
_NECK_RIM = 1.6  # multiple of the outline down to which a neck is seen as round
_NECK_DEPTH, _NECK_REACH = 0.9, 0.12  # how far behind the chin a neck lies, in half face widths; in how many multiples
_PINNED = 0.25  # a strip along the picture's edge, in half face widths, that keeps its place
# Cosines with the way to the chin: bare lines of the jaw, from the first on ever more; how far behind the outline it ends,
# in half face widths; and which part of its width it loses below, where the neck takes its place.
_JAW, _JAW_DEPTH, _JAW_ROUND = (0.25, 0.55), 0.3, 0.8
_NOTHING = (1.06, 1.15)  # multiples of the outline: a line that ends before the first has nothing beside the face
_UNDER_HAIR = 0.5  # how much less a jaw ends there where hair hangs above it
_BESIDE_NECK = (0.1, 0.7)  # cosines with the way to the chin, of lines that pass beside the neck where hair covers it
_STEEP = 0.35  # cosine between surface and line of sight below which a photo shows too little of it to be turned


@dataclass(frozen=True)
class HeadLines:
    """36 lines from the face's outline outwards.

    Attributes:
        centre: (2,) of the outline; arm: (36, 2) from there to each of its vertices; depth: (36,) theirs.
        down, aside: (36,) cosines between each line and the way to the chin, and square to it; both: (2, 2) unit vectors.
        neck: (36,) 0 over hair to 1 over the neck; jaw: (36,) 1 where a bare jaw ends it; tube: the neck behind that.
        rim: (36,) where the head ends, as a multiple of the outline; skull: (36,) and where its back begins, behind ears.
        half_width: of the face, pixels.
        widest: (36,) depth of the rim; end: (36,) of the back's end.
        well_shown: (36,) multiple of the outline from which on the surface is too steep.
        bare: (36,) how far it lies over skin beside the face: an ear, the neck, a bald head; colour: what tells that.
        cloth: what covers it beyond its hair.
    """

    centre: np.ndarray
    arm: np.ndarray
    depth: np.ndarray
    down: np.ndarray
    aside: np.ndarray
    axes: np.ndarray
    neck: np.ndarray
    jaw: np.ndarray
    tube: Neck
    rim: np.ndarray
    skull: np.ndarray
    half_width: float
    widest: np.ndarray
    end: np.ndarray
    well_shown: np.ndarray
    bare: np.ndarray
    colour: HairColour
    cloth: Cloth

    @classmethod
    def of(cls, face: np.ndarray, image: np.ndarray, matte: np.ndarray, hidden: np.ndarray | float = 0.0) -> HeadLines:
        """Lines of a face (468, 3), arguments as of `build_head_body`."""
        oval = face[list(OVAL)]
        centre = (oval[:, :2].min(0) + oval[:, :2].max(0)) / 2
        arm = oval[:, :2] - centre
        half_width = float(np.linalg.norm(face[SIDES[1]] - face[SIDES[0]]) / 2 + 1e-6)
        chin = face[CHIN, :2] - face[FOREHEAD, :2]
        chin = chin / (np.linalg.norm(chin) + 1e-6)
        axes = np.array([chin, [-chin[1], chin[0]]])
        down, aside = axes @ (arm / (np.linalg.norm(arm, axis=1, keepdims=True) + 1e-6)).T
        rim, skull = rim_of(centre, arm, matte, _GAP * half_width)
        colour, cloth, bare, hairy = kinds_along(image, face, centre, arm, rim, down)
        rim = without_tails(rim, cloth)
        skull = rim + between(down, *_EARS) * (skull - rim)
        # A line that soon ends below the jaw ends at the side of the neck, one that goes on runs down it.
        neck = between(down, *_NECK) * between(rim, *_NECK_RIMS) * (1 - hairy)
        neck = np.maximum(neck, between(down, *_BELOW))
        rim = rim + neck * (np.minimum(rim, _NECK_RIM) - rim)
        sides = face[list(SIDES), 2].mean()
        behind = _RIM_DEPTH[0] + smoothstep(np.abs(aside)) * (_RIM_DEPTH[1] - _RIM_DEPTH[0])
        widest = np.maximum(sides + behind * half_width, oval[:, 2] + _LEAST_DOME * half_width)
        stands_out = between(rim - skull, *_STANDS_OUT)
        ears = bare * np.max([np.roll(stands_out, shift) for shift in (-1, 0, 1)], axis=0)
        widest = widest + ears * np.minimum(sides + _EAR_DEPTH * half_width - widest, 0)
        beside = (down > _BESIDE_NECK[0]) & (down < _BESIDE_NECK[1])
        covered = np.array([hairy[beside & side].mean() for side in (aside < 0, aside > 0)])
        tube = Neck.of(face, matte, axes, covered)
        # Whatever hair hangs above: where nothing is seen beside the jaw, nothing goes on from it to the ears' depth.
        unseen = np.maximum(1 - hairy, 1 - between(rim, *_NOTHING))
        jaw = between(down, *_JAW) * unseen * (1 - neck)
        ends = jaw * (1 - _UNDER_HAIR * hairy)
        widest = widest + ends * np.minimum(oval[:, 2] + _JAW_DEPTH * (1 - hidden) * half_width - widest, 0)
        wide = (rim * np.linalg.norm(arm, axis=1))[np.abs(down) < _LEVEL].mean() / half_width
        rounds = between(down, *_NAPE) + hidden * (between(down, *_OCCIPUT) - between(down, *_NAPE))
        nape = unseen * rounds * _NAPE_DEPTH
        end = sides + (_END_DEPTH + max(0.0, wide - _HAIR_WIDTH) - nape) * half_width
        lines = cls(
            centre=centre, arm=arm, depth=oval[:, 2], down=down, aside=aside, axes=axes, neck=neck, jaw=jaw, tube=tube,
            rim=rim, skull=np.minimum(skull, rim), half_width=half_width, widest=widest, end=end,
            well_shown=rim, bare=bare, colour=colour, cloth=cloth,
        )  # fmt: skip
        return replace(lines, well_shown=lines._end_of_well_shown())

    def front(self, ring: np.ndarray) -> np.ndarray:
        """Vertices (36, 3) at multiples (36,) of the outline, on the front and beyond the rim."""
        inside = np.clip((1 - (ring / self.rim) ** 2) / (1 - 1 / self.rim**2), 0, 1)
        # Ears lie behind cheeks; above them skull and hair are of one shape.
        beside = _HAIR_DOME + self.bare * between(self.down, *_EARS) * (_DOME[1] - _HAIR_DOME)
        bulge = inside ** (_DOME[0] + smoothstep(np.abs(self.aside)) * (beside - _DOME[0]))
        dome = self.widest + (self.depth - self.widest) * bulge
        places = self.centre + ring[:, None] * self.arm
        # Beneath a chin that ends before what lies behind the person there is no neck.
        deep = _NECK_DEPTH * self.half_width * between(self.rim, *_NOTHING)
        neck = self.depth + deep * (1 - np.exp((1 - ring) / _NECK_REACH))
        return np.column_stack([places, dome + self.neck * (neck - dome)])

    def back(self, angle: float) -> np.ndarray:
        """Vertices (36, 3) of the back, by how far behind the rim they lie, radians: at a right angle at its end."""
        edge = self.front(self.rim)
        down, aside = self.axes @ (self.skull[:, None] * self.arm).T
        shrink = 1 - (1 - self.neck) * (1 - np.cos(angle) ** _BACK_ROUND)
        aside = aside * (1 - self.jaw * _JAW_ROUND * np.sin(angle))
        # Above the face's middle the back is round, below it goes straight down.
        places = self.centre + np.column_stack([np.where(down < 0, down * shrink, down), aside * shrink]) @ self.axes
        deeper = (1 - self.neck) * np.sin(angle) ** _BACK_ROUND * np.maximum(self.end - edge[:, 2], 0)
        return np.column_stack([places, edge[:, 2] + deeper])

    def carried_at(self, places: np.ndarray) -> np.ndarray:
        """How far (N,) the head's pose carries places (N, 2), as `carried_along`."""
        down, aside = self.axes @ (places - self.centre).T
        way, ways = np.arctan2(aside, down), np.arctan2(self.aside, self.down)
        known = np.linalg.norm(self.arm, axis=1), self.rim
        length, rim = (np.interp(way, ways, values, period=2 * np.pi) for values in known)
        return carried_along(np.hypot(down, aside) / length, np.cos(way), rim)

    def free(self, vertices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """How far (N,) vertices may leave their place: not at all at the picture's edge."""
        x, y = vertices[:, 0], vertices[:, 1]
        inside = np.minimum.reduce([x, y, shape[1] - 1 - x, shape[0] - 1 - y])
        return smoothstep(inside / (_PINNED * self.half_width))

    def _end_of_well_shown(self) -> np.ndarray:
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

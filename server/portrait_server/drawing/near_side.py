# SPDX-License-Identifier: GPL-3.0-or-later
"""The sides of a face, which a photo from in front shows in a few pixels: skin that a turn draws out, made whole.

Once for a scene its head is turned to each side. There the pixels that lie along the line of sight in the photo are bars;
they become as blunt across as they are drawn out, count by how well the photo shows them, and get the detail that the skin
beside them has. What shows anything behind the person counts for nothing. Turned frames take such skin from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portrait_server.drawing.lending import Lender
from portrait_server.drawing.offsets import Raster, sharpness
from portrait_server.drawing.strands import spread, strands
from portrait_server.geometry.face_mesh import OVAL, VERTEX_COUNT, outline
from portrait_server.geometry.head_body import FRONT
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.pose import Pose, rotation_of
from portrait_server.geometry.ramps import between
from portrait_server.geometry.raster import Window
from portrait_server.kernels.base import Look, Patches
from portrait_server.kernels.levels import held
from portrait_server.kernels.opencv import OpenCV

_TURN = np.radians(45)  # of the views
_CELLS = 512  # of a frame's longest side, as the motion's
_MARGIN = 8  # pixels around a view
# How far pixels are drawn out (1 not at all) when they begin to be blunted, and when they are the most.
_DRAWN_OUT = (1.7, 5.5)
_LACKING = (1.4, 2.2)  # and between which vertices show the view
_BLUNT = 0.024  # in face sizes, the sigma of the latter
_SHADE = (0.3, 1.2)  # least and most of its strength that detail keeps
_FULL = 4.0  # times that bluntness with which detail is whole
_HIDDEN = 0.05  # in face sizes, how far behind what a view shows there a vertex is hidden
_SOME = 0.05  # of skin beside the face: what is less is none
_SOFT = 0.008  # in face sizes, sigma over which triangles of different sharpness are made one
_LEAST = 0.05  # of sharpness: what is drawn out more is as what is so far
_SHOWN = (0.1, 0.3)  # cosines between surface and line of sight, over which a view shows it
# And how far surface faces to a side: in the middle the views of both meet, and neither is needed.
_ASIDE = (0.2, 0.45)
_LEVELS = 4  # of bluntness, each half of the next
_SURE = 0.6  # sharpness of what tells how detailed skin is
_CHEEKS = (0.93, 0.72)  # of the face's outline, between which it does
_ALIKE = 0.06  # in face sizes, sigma of the neighbourhood in which that is alike
_FEATURES = (0.55, 0.7)  # of the outline: eyes, nose and mouth lie within
_SOLID = 0.95  # of the matte: what shows less of the person shows what lies behind
_NOSE_ENDS = 33  # the landmark: what is no skin of a cheek above it is hair of the head, below it beard
_SKIN = 0.5  # share of skin above which it is
_ENDS = (0.72, 0.95)  # parts of the way to the rim: the outline is the photo's own
_EDGE = 0.01  # in face sizes, beside a matte's edge, where colours are mixed


@dataclass(frozen=True)
class _Photo:
    """A scene's person, in pixels of the frame, but for the mesh.

    Attributes:
        colours: (H, W, 3 or 4); kinds: (H, W, 2) float32, 0 or 1: what surely shows the person, and what shows its cheeks.
        mesh, scale: as `Scene` keeps them; triangles: (T, 3) the head's.
        face: its size.
    """

    colours: np.ndarray
    kinds: np.ndarray
    mesh: HeadMesh
    scale: np.ndarray
    triangles: np.ndarray
    face: float


def build_near_side(
    person: np.ndarray, matte: np.ndarray, mesh: HeadMesh, scale: np.ndarray, lender: Lender, normals: np.ndarray
) -> tuple[Lender, np.ndarray]:
    """What lends drawn out skin, and how far (V,) the photo draws out what each vertex shows, 0 to 1.

    Args:
        person: (H, W, 3 or 4), matte: (H, W), as of a scene.
        mesh, scale: as `Scene` keeps them.
        lender: another one to the same triangles.
        normals: (V, 3) of the surface in the photo.
    """
    face = mesh.size * float(scale.min())
    photo = _Photo(person, _kinds(matte, mesh.vertices[:, :2] * scale, face), mesh, scale, lender.triangles, face)
    centre = mesh.vertices[:VERTEX_COUNT].mean(0)
    poses = [Pose(rotation_of(np.array([0, turn, 0])), np.ones(()), centre, np.zeros(3)) for turn in (-_TURN, _TURN)]
    (one, places, lack), (other, other_places, other_lack) = (_view(photo, pose) for pose in poses)
    colours = np.zeros((max(len(one), len(other)), one.shape[1] + other.shape[1], one.shape[2]), one.dtype)
    colours[: len(one), : one.shape[1]], colours[: len(other), one.shape[1] :] = one, other
    towards = np.stack([normals @ pose.rotation[2] for pose in poses])
    better = towards[1] > towards[0]
    places = np.where(better[:, None], other_places + np.array([one.shape[1], 0]), places)
    lack = (
        np.where(better, other_lack, lack) * between(towards.max(0), *_SHOWN) * between(np.abs(normals[:, 0]), *_ASIDE)
    )
    lack[:VERTEX_COUNT] *= _beside_features(mesh)
    around = _around_face(mesh)
    lack[VERTEX_COUNT:] *= around
    of_other = better[photo.triangles]
    lack[np.unique(photo.triangles[of_other.any(1) & ~of_other.all(1)])] = 0
    # Beside hair the skin ends at the face's outline, between which and the next vertices it would fade out.
    skin = np.append(np.ones(VERTEX_COUNT, bool), around > 0)[lender.triangles].all(1)
    among = np.array(lender.among)
    among[among] = skin
    lender = replace(lender, triangles=lender.triangles[skin], among=among)
    return replace(lender, colours=colours, start=np.zeros(2), places=places), lack


def _kinds(matte: np.ndarray, vertices: np.ndarray, face: float) -> np.ndarray:
    """As of `_Photo`, of vertices (V, 2), pixels of the frame."""
    reach = 2 * max(1, round(_EDGE * face)) + 1
    solid = cv2.erode((matte > _SOLID * 255).astype(np.uint8), np.ones((reach, reach), np.uint8))
    cheeks = np.zeros_like(solid)
    for times, level in zip(_CHEEKS, (1, 0), strict=True):
        cv2.fillPoly(cheeks, [np.round(outline(vertices, times)).astype(np.int32)], level)
    return np.dstack([solid, solid * cheeks]).astype(np.float32)


def _around_face(mesh: HeadMesh) -> np.ndarray:
    """How far vertices around the face (R,) lie over skin, as of ears, and not at its end."""
    rows = (1 - between(np.array(FRONT), *_ENDS))[:, None] * mesh.body.skin
    return np.append(np.where(rows > _SOME, rows, 0), np.zeros(len(mesh.body.vertices) - rows.size))


def _beside_features(mesh: HeadMesh) -> np.ndarray:
    """1 where the face's vertices (468,) lie beside its features, 0 where at them: what a turn draws out there is no skin."""
    oval, face = mesh.vertices[list(OVAL), :2], mesh.vertices[:VERTEX_COUNT, :2]
    middle = (oval.min(0) + oval.max(0)) / 2
    way, ways = (np.arctan2(*(each - middle).T) for each in (face, oval))
    length = np.interp(way, np.sort(ways), np.linalg.norm(oval - middle, axis=1)[np.argsort(ways)], period=2 * np.pi)
    return between(np.linalg.norm(face - middle, axis=1) / length, *_FEATURES)


def _view(photo: _Photo, pose: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The head in a pose: colours (h, w, 3 or 4); where vertices (V, 2) lie in them; and how far (V,) they lack something."""
    mesh, kernels = photo.mesh, OpenCV()
    vertices = mesh.moved(pose, np.zeros((len(mesh.points), 2)))[None] * [*photo.scale, 1]
    used = vertices[0, np.unique(photo.triangles[(photo.triangles < VERTEX_COUNT).any(1)]), :2]
    low = np.floor(used.min(0)).astype(int) - _MARGIN
    width, height = (np.ceil(used.max(0)).astype(int) + _MARGIN - low).tolist()
    patch = Patches(low[:1], low[1:], width, height, np.ones(1, bool))
    step = max(1.0, max(photo.colours.shape[:2]) / _CELLS)
    raster = Raster.drawn(
        kernels,
        Window.over(patch.x, patch.y, width, height, step),
        vertices[..., :2],
        vertices[..., 2],
        photo.triangles,
    )
    places = mesh.places * photo.scale
    offsets = raster.offsets(np.column_stack([places, np.ones(len(places)), vertices[0, :, 2]]))
    sharp = sharpness(offsets[:, :2], step)[0] * (offsets[0, 2] > 0.5)
    sharp = cv2.GaussianBlur(sharp, (0, 0), max(0.8, _SOFT * photo.face / step))
    sharp = cv2.resize(sharp, (width, height), interpolation=cv2.INTER_LINEAR)
    x, y = (kernels.resized(offsets[:, axis], (width, height)) + at for axis, at in enumerate(kernels.grid(patch)))
    colours = kernels.looked_up(photo.colours[None], x, y)[0].copy()
    shown, cheeks = np.moveaxis(kernels.looked_up(photo.kinds[None], x, y, Look.LINEAR)[0], -1, 0)
    seen = colours[..., :3].astype(np.float32)
    told = (cheeks > 0.999) & (sharp > _SURE)
    above = told & (y[0] < mesh.points[_NOSE_ENDS, 1] * photo.scale[1])
    told[above] = mesh.body.colour.skin_share(seen[above]) > _SKIN
    colours[..., :3] = held(without_bars(seen, sharp, shown, told, photo.face), colours.dtype)
    places = vertices[0, :, :2] - low
    column, row = np.round(places).astype(int).clip(0, (width - 1, height - 1)).T
    cell = np.floor(places / step).astype(int).clip(0, np.array(offsets.shape[:1:-1]) - 1)
    hidden = vertices[0, :, 2] - offsets[0, 3, cell[:, 1], cell[:, 0]] > _HIDDEN * mesh.size
    around = np.ones((5, 5), np.uint8)
    lack = between(1 / np.maximum(cv2.erode(sharp, around), _LEAST), *_LACKING)
    lack = np.maximum(lack, 1 - cv2.erode(shown, around))[row, column]
    outside = ((places < 0) | (places > [width - 1, height - 1])).any(1)
    return colours, places, np.where(outside | hidden, 0, lack)


def without_bars(seen: np.ndarray, sharp: np.ndarray, shown: np.ndarray, told: np.ndarray, face: float) -> np.ndarray:
    """A view (h, w, 3) float32 without bars.

    Args:
        seen: (h, w, 3) float32 as the photo's pixels are drawn out; sharp: (h, w) how little.
        shown: (h, w) 0 to 1, whether they show the person; told: (h, w) bool, where they tell what detail its skin has.
        face: its size, pixels.
    """
    first, last = _DRAWN_OUT
    blunt = ((1 / np.maximum(sharp, _LEAST) - first) / (last - first)).clip(0, 1)
    blunt = np.maximum(blunt, 1 - shown)
    level = np.log2(np.maximum(blunt, 1e-3)) + _LEVELS  # 0 at the seen itself, then ever blunter
    made = seen
    for number in range(1, _LEVELS + 1):
        soft = spread(seen, sharp * shown, _BLUNT * face * 2.0 ** (number - _LEVELS))
        made = made + (level - number + 1).clip(0, 1)[..., None] * (soft - made)
    detail = strands(seen, told.astype(np.float32), _BLUNT * face, _ALIKE * face, lying=False)
    if told.any():  # in the shade it is as much weaker as that is darker
        detail *= (made.mean(-1) / max(float(seen[told].mean()), 1.0)).clip(*_SHADE)[..., None]
    found: np.ndarray = made + (_FULL * blunt).clip(0, 1)[..., None] * detail
    return found

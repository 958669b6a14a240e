# SPDX-License-Identifier: GPL-3.0-or-later
"""The hair around a photographed face, continued over face, ears and background: what a turn shows of its back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_server.drawing.fill import smoothly_continued
from portrait_server.drawing.strands import spread, strands
from portrait_server.drawing.unrolled import Unrolled, laid
from portrait_server.geometry.face_mesh import CHEEKS, CHIN, MOUTH, OVAL, VERTEX_COUNT, outline
from portrait_server.geometry.head_body import FRONT_RINGS
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.head_outline import kinds_along
from portrait_server.geometry.ramps import between
from portrait_server.kernels.levels import held

_BESIDE_FACE = 1.05  # of the face's outline, beyond which hair may begin
_TEMPLES = 0.85  # and of a bald head's, beyond which skin is that of its skull
_SOLID = 0.95  # of the matte: what shows less of the person shows what lies behind
_CLOTH = 0.5  # share of cloth, as of a veil, from which on it is as good as hair
_SURELY_SKIN = 0.7  # and beyond which it is skin
_FEW = 0.01  # of the face: where less skin of jaw and neck is seen, the neck is as the cheeks
_WITHIN_JAW = 0.85  # of the face's outline, within which chin and lips are no example of a neck
_ENOUGH, _BELOW_JAW = 0.1, 1.03  # of the face, from which on the neck alone tells, outside of so many outlines
_CHEEK = 0.04  # in face sizes, how far around a cheek's middle is skin for certain
_OWN, _OWN_SOFT = 0.06, 0.01  # in face sizes, over which below a chin the picture's own neck is seen; and at its sides
_SHADOW = 0.18  # of the light that hair beside a neck keeps from its back
# Of the sides of the head, how far hair covers them: from where on it ends lower than ears, and falls on where it is long.
_HANGS, _COVERED = (0.5, 0.9), (0.7, 0.85)
_LONG = (0.0, 0.15)  # in face sizes, how far below the chin hair is long
_SHADE = 0.08  # of its light that hair loses towards the back
# In face sizes:
_SHADED = (0.0, 0.6)  # beyond the end of what is well shown, over which it does
_EDGE = 0.012  # how far hair mixes with what lies beside it
_BESIDE = 0.08  # how far from that end hair tells what lies behind it
_LOCAL, _WIDE = 0.02, 0.1  # sigmas of light: at that end, and farther off
_GOES_OVER = (0.03, 0.3)  # where the one becomes the other
_LOCK, _STUBBLE = 0.1, 0.02  # sigmas of the coarsest detail of hair, and of cloth and bald heads
_ALIKE = 0.06  # sigma of the neighbourhood in which hair lies alike
_SOFT = 1.0  # pixels, sigma between what is seen and what is made
_NAPE = 0.1  # over which hair ends at a neck
_ENDED = (0.4, 0.7)  # parts of the way there, over which it ends before what lies behind
# Of the hair at a side of the face, percent that end above where it ends; in squared face sizes, how much at least is some.
_LOWEST, _SOME_HAIR = 97, 0.005
_EARS = [27, 33]  # landmarks as high as ears begin and end: the root and the base of the nose


@dataclass(frozen=True)
class Hair:
    """A picture of hair, and below it of the neck's skin, without face and ears.

    Attributes:
        colours: (h, w, 3 or 4), see `kernels.levels`.
        start: (2,) where its first pixel lies in the reference, pixels of that.
        ended: (h, w) of the colours' type, 0 to 255, how far hair has ended there, that hung down so far: as deep as hair
            lies over a head, there is no neck.
    """

    colours: np.ndarray
    start: np.ndarray
    ended: np.ndarray


def hair_by_example(image: np.ndarray, matte: np.ndarray, mesh: HeadMesh) -> Hair:
    """The hair of a reference, its strands like those that are seen; takes about half a second.

    Args:
        image: (H, W, 3 or 4) uint8 or float32, see `kernels.levels`.
        matte: (H, W) float32, 0 to 1.
        mesh: in pixels of the image.
    """
    return _unrolled(image, matte, mesh, True)


def smooth_hair(image: np.ndarray, matte: np.ndarray, mesh: HeadMesh) -> Hair:
    """The same without detail, and quickly, for lessons whose targets tell better; arguments as of `hair_by_example`."""
    return _unrolled(image, matte, mesh, False)


def _unrolled(image: np.ndarray, matte: np.ndarray, mesh: HeadMesh, detailed: bool) -> Hair:
    shown = np.concatenate([mesh.body.textures[mesh.body.textures.any(1)], mesh.body.hair])
    low = np.floor(shown.min(0) - 2).astype(int)
    high = np.ceil(shown.max(0) + 3).astype(int)
    colours, alpha = _part(image, low, high), _part(matte, low, high)
    seen, head = np.ascontiguousarray(colours[..., :3]), Unrolled.of(mesh)
    cells = head.cells_of(low, (seen.shape[1], seen.shape[0]))
    hair, below, ended, hangs = _told_apart(image, seen, alpha, mesh, head, cells, low)
    reach = 2 * max(1, round(_EDGE * mesh.size)) + 1
    hair = cv2.erode(hair.astype(np.uint8), np.ones((reach, reach), np.uint8))
    hair = cv2.morphologyEx(hair, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.float32)
    smooth = mesh.body.colour.bald or mesh.body.cloth.hangs
    coarsest = (_STUBBLE if smooth else _LOCK) if detailed else 0.0
    made = laid(_strip(head, seen.astype(np.float32), hair, low, mesh.size, coarsest), cells)
    made += (hair * cv2.GaussianBlur(hair, (0, 0), _SOFT))[..., None] * (seen - made)
    made += below[..., None] * (_neck(seen, alpha > _SOLID, mesh, hangs, low) - made)
    colours[..., :3] = held(made, colours.dtype)
    if colours.shape[2] == 4:
        colours[..., 3] = 255
    return Hair(colours, low, held(255 * ended, colours.dtype))


def _told_apart(
    image: np.ndarray, seen: np.ndarray, alpha: np.ndarray, mesh: HeadMesh, head: Unrolled, cells: np.ndarray,
    start: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:  # fmt: skip
    """Where (h, w) hair is seen, bool; how far (h, w) float32 the back shows a neck, and how far it ends there with its hair;
    and how far hair hangs over a neck.

    Args:
        seen, alpha: (h, w, 3), (h, w) what the picture that begins at `start` (2,) shows of the photo, and its matte.
        cells: (h, w, 2) of the unrolled head.
    """
    colour, rows = mesh.body.colour, np.arange(len(alpha))[:, None] + start[1]
    ears, mouth = mesh.points[_EARS, 1], mesh.vertices[list(MOUTH[0]), 1].mean()
    if colour.bald:
        # Temples are skull, ears and beards are not.
        hair = _around_face(alpha, mesh, start, _TEMPLES) & (rows < ears.min())
        covered, long, hangs = np.zeros(alpha.shape), 0.0, 0.0
    else:
        hair = _around_face(alpha, mesh, start, _BESIDE_FACE)
        hair[hair] = colour.is_hair(seen[hair]) | (mesh.body.cloth.at(np.argwhere(hair)[:, ::-1] + start) > _CLOTH)
        hangs = _hair_hangs(mesh, ears.min(), mouth)
        lowest = np.percentile(np.nonzero(hair)[0], 99) + start[1] if hair.any() else 0.0
        long = between((lowest - mesh.vertices[CHIN, 1]) / mesh.size, *_LONG) * between(hangs, *_COVERED)
        covered = np.interp(cells[..., 0], *_falls(image, mesh, head))
    # Hair covers the back down to the nape, ears and what skin shows beside the face included. Where it is short that is no
    # lower than ears end, as low as the nose; where it covers them as low as the mouth, and long hair falls on.
    nape = ears.max() + between(hangs, *_HANGS) * (mouth - ears.max())
    nape = np.maximum(nape, _ends(hair, mesh, start))
    below = (between(rows, nape, nape + _NAPE * mesh.size) * (1 - long * covered)).astype(np.float32)
    return hair & (below < 0.5), below, between(below, *_ENDED) * covered, hangs


def _ends(hair: np.ndarray, mesh: HeadMesh, start: np.ndarray) -> np.ndarray:
    """Down to which row (w,) hair hangs beside the face, of the photo: at each of its sides, and between them in between.

    Args:
        hair: (h, w) bool, where the part of the photo that begins at `start` (2,) shows some.
    """
    beside = outline(mesh.vertices[:, :2], _BESIDE_FACE) - start
    rows, columns = np.nonzero(hair[: max(0, int(mesh.vertices[CHIN, 1] - start[1]))])
    sides = beside[:, 0].min(), beside[:, 0].max()
    lowest = [
        np.percentile(rows[there], _LOWEST) + start[1] if there.sum() > _SOME_HAIR * mesh.size**2 else 0.0
        for there in (columns < sides[0], columns > sides[1])
    ]
    return np.interp(np.arange(hair.shape[1]), sides, lowest)


def _part(picture: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A part of a picture (H, W, …) from pixel `low` (2,) up to `high`; 0 beside it."""
    found = np.zeros((*(high - low)[::-1], *picture.shape[2:]), picture.dtype)
    first, last = np.maximum(low, 0), np.minimum(high, picture.shape[1::-1])
    if (first < last).all():
        (x, y), (right, down) = first - low, last - low
        found[y:down, x:right] = picture[first[1] : last[1], first[0] : last[0]]
    return found


def _falls(image: np.ndarray, mesh: HeadMesh, head: Unrolled) -> tuple[np.ndarray, np.ndarray]:
    """Columns (36,) of the unrolled head from first to last, and how far (36,) hair falls down to each from the crown."""
    arm = mesh.vertices[list(OVAL), :2] - head.middle
    rims = mesh.body.vertices[(FRONT_RINGS - 1) * len(OVAL) : FRONT_RINGS * len(OVAL), :2] - head.middle
    length, far = (np.linalg.norm(each, axis=1) + 1e-6 for each in (arm, rims))
    face, down = mesh.vertices[:VERTEX_COUNT], arm @ head.axes[0] / length
    hairy = kinds_along(image, face, head.middle, arm, far / length, down)[3]
    columns = head.cells(mesh.body.hair)[:, 0]
    order = np.argsort(columns)
    return columns[order], hairy[order]


def _strip(
    head: Unrolled, seen: np.ndarray, hair: np.ndarray, start: np.ndarray, face: float, coarsest: float
) -> np.ndarray:
    """Hair all over the unrolled head: (rows, columns, 3) float32.

    Args:
        seen, hair: (h, w, 3), (h, w) float32 a picture that begins at `start` (2,), and where it surely shows hair.
        face: its size, pixels.
        coarsest: in face sizes, up to which detail is drawn; 0 for none.
    """
    unit = face / head.step
    there, colours = (head.taken(hair, start) > 0.999).astype(np.float32), head.taken(seen, start)
    if not there.any():
        there[:] = 1
    far = (np.arange(head.shape[0]) - head.first)[:, None] / unit
    # Near what is seen its own light goes on, farther off that of all hair beside.
    near = np.exp(-np.abs(far) / _BESIDE).astype(np.float32) * there
    total = near.sum(0)
    beside = (colours * near[..., None]).sum(0) / np.maximum(total, 1e-3)[:, None]
    beside, some = (np.repeat(each[None], len(far), 0) for each in (beside, (total > 0.5).astype(np.float32)))
    light = spread(colours, there, _LOCAL * unit)
    light += between(far, *_GOES_OVER)[..., None] * (spread(beside, some, _WIDE * unit) - light)
    if coarsest > 0:
        light += strands(colours, there, coarsest * unit, _ALIKE * unit)
    shaded: np.ndarray = light * (1 - _SHADE * between(far, *_SHADED)[..., None]).astype(np.float32)
    return shaded


def _neck(seen: np.ndarray, solid: np.ndarray, mesh: HeadMesh, covered: float, start: np.ndarray) -> np.ndarray:
    """The neck's skin (h, w, 3) continued from what is seen of it and of the jaw, without collars and strands of hair.

    Args:
        solid: (h, w) bool, where a part of the picture that begins at `start` (2,) surely shows the person.
        covered: 0 where ears and neck show, to 1 where hair hangs over them, in whose shadow the neck lies.
    """
    face, last = mesh.vertices[:, :2] - start, np.array(solid.shape[::-1]) - 1
    inside = np.zeros(solid.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(outline(face, _WITHIN_JAW)).astype(np.int32)], 1)
    below = np.arange(len(solid))[:, None] > face[list(MOUTH[0]), 1].mean()
    columns, wide = np.arange(solid.shape[1]), outline(face, _BESIDE_FACE)[:, 0]
    near = (columns > wide.min()) & (columns < wide.max())
    asked = solid & below & (inside == 0) & near
    told, colour = seen[asked], mesh.body.colour
    asked[asked] = np.minimum(colour.skin_share(told), colour.skin_likeness(told)) > _SURELY_SKIN
    skin = cv2.erode(asked.astype(np.uint8), np.ones((3, 3), np.uint8))
    # Enough of the neck itself tells its light better than the jaw, in whose shadow it lies.
    jaw = np.zeros_like(inside)
    cv2.fillPoly(jaw, [np.round(outline(face, _BELOW_JAW)).astype(np.int32)], 1)
    reach = 2 * max(1, round(_EDGE * mesh.size)) + 1
    own_skin = cv2.erode((asked & (jaw == 0)).astype(np.uint8), np.ones((reach, reach), np.uint8))
    if own_skin.sum() >= _ENOUGH * inside.sum():
        skin = own_skin
    elif skin.sum() < _FEW * inside.sum():
        for cheek in np.round(face[list(CHEEKS)]).clip(0, last).astype(int).tolist():
            cv2.circle(skin, cheek, max(1, round(_CHEEK * mesh.size)), 1, -1)
    neck = smoothly_continued(seen, skin > 0).astype(np.float32) * (1 - covered * _SHADOW)
    # Below the chin the picture shows neck and collar itself.
    chin = face[CHIN, 1]
    inner = cv2.erode(solid.astype(np.uint8), np.ones((reach, reach), np.uint8))
    own = between(np.arange(len(solid)), chin, chin + _OWN * mesh.size)[:, None] * inner
    own = cv2.GaussianBlur(own.astype(np.float32), (0, 0), max(1.0, _OWN_SOFT * mesh.size)) * own
    return neck + own[..., None].astype(np.float32) * (seen - neck)


def _hair_hangs(mesh: HeadMesh, low: float, high: float) -> float:
    """1 where hair covers the sides of a head between two heights, to 0 where skin shows there, as of ears."""
    body = mesh.body
    beside = body.solid * ((body.vertices[:, 1] > low) & (body.vertices[:, 1] < high))
    return 1 - float((body.bare * beside).sum() / max(beside.sum(), 1e-3))


def _around_face(alpha: np.ndarray, mesh: HeadMesh, start: np.ndarray, times: float) -> np.ndarray:
    """Where (h, w) the head is well shown around so many times the face, in a part of the picture with such a matte."""
    beside = outline(mesh.vertices[:, :2], times)
    known = np.zeros(alpha.shape, np.uint8)
    cv2.fillPoly(known, [np.round(mesh.body.hair - start).astype(np.int32)], 1)
    cv2.fillPoly(known, [np.round(beside - start).astype(np.int32)], 0)
    return (known > 0) & (alpha > _SOLID)

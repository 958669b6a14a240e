# SPDX-License-Identifier: GPL-3.0-or-later
"""The hair around a photographed face, continued over face, ears and background: what a turn shows of its back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from portrait_server.drawing.by_example import continued
from portrait_server.drawing.fill import smoothly_continued
from portrait_server.geometry.face_mesh import CHEEKS, MOUTH, outline
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import between
from portrait_server.kernels.levels import held

_BESIDE_FACE = 1.05  # of the face's outline, beyond which hair may begin
_SOLID = 0.95  # of the matte: what shows less of the person shows what lies behind
_SKIN = 0.4  # share of skin beyond which a pixel is none of hair
_SURELY_SKIN = 0.7  # and beyond which it is skin
_FEW = 0.01  # of the face: where less skin of jaw and neck is seen, the neck is as the cheeks
_WITHIN_JAW = 0.85  # of the face's outline, within which chin and lips are no example of a neck
_CHEEK = 0.04  # in face sizes, how far around a cheek's middle is skin for certain
_SHADOW = 0.18  # of the light that hair beside a neck keeps from its back
_USUAL = (25, 75)  # percentiles of the hair's light
_LIGHT_SOFT = 0.05  # in face sizes, sigma of light in large
_NAPE = 0.1  # in face sizes, over which hair ends at a neck
_EARS = [27, 33]  # landmarks as high as ears begin and end: the root and the base of the nose


@dataclass(frozen=True)
class Hair:
    """A picture of hair, and below it of the neck's skin, without face and ears.

    Attributes:
        colours: (h, w, 3 or 4), see `kernels.levels`.
        start: (2,) where its first pixel lies in the reference, pixels of that.
    """

    colours: np.ndarray
    start: np.ndarray


def hair_by_example(image: np.ndarray, matte: np.ndarray, mesh: HeadMesh) -> Hair:
    """The hair of a reference, made of pieces of itself; takes about half a second.

    Args:
        image: (H, W, 3 or 4) uint8 or float32, see `kernels.levels`.
        matte: (H, W) float32, 0 to 1.
        mesh: in pixels of the image.
    """
    return _continued(image, matte, mesh, lambda colours, known: continued(colours, known, known))


def smooth_hair(image: np.ndarray, matte: np.ndarray, mesh: HeadMesh) -> Hair:
    """The same without detail, and quickly, for lessons whose targets tell better; arguments as of `hair_by_example`."""
    return _continued(image, matte, mesh, smoothly_continued)


def _continued(
    image: np.ndarray, matte: np.ndarray, mesh: HeadMesh, fill: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Hair:
    last = np.array(image.shape[1::-1]) - 1
    low = np.floor(mesh.body.hair.min(0) - 2).clip(0, last).astype(int)
    high = np.maximum(np.ceil(mesh.body.hair.max(0) + 3).astype(int), low + 1)  # all of it may lie outside the picture
    part = np.s_[low[1] : high[1], low[0] : high[0]]
    colours, known = image[part].copy(), _around_face(matte[part], mesh, low)
    seen = np.ascontiguousarray(colours[..., :3])
    if mesh.body.colour.bald:
        colours[..., :3] = fill(seen, known)
    else:
        ears = mesh.points[_EARS, 1]
        mouth = mesh.vertices[list(MOUTH[0]), 1].mean()
        hangs = _hair_hangs(mesh, ears.min(), mouth)
        # Short hair ends no lower than ears do, as low as the nose.
        nape = ears.max() + hangs * (mouth - ears.max()) - low[1]
        above = np.arange(len(known))[:, None] < nape
        hair = (known & above & (mesh.body.colour.skin_share(seen) < _SKIN)).astype(np.uint8)
        hair = cv2.morphologyEx(cv2.erode(hair, np.ones((3, 3), np.uint8)), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        covered = _as_light_as_known(fill(seen, hair > 0), hair > 0, _LIGHT_SOFT * mesh.size)
        # Hair covers the back down to the nape, ears and what skin shows beside the face included.
        below = between(np.arange(len(known)), nape, nape + _NAPE * mesh.size)[:, None, None]
        mixed = covered + below * (_neck(seen, matte[part] > _SOLID, mesh, hangs, low) - covered)
        colours[..., :3] = held(mixed.astype(np.float32), colours.dtype)
    if colours.shape[2] == 4:
        colours[..., 3] = 255
    return Hair(colours, low)


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
    skin = (solid & below & (inside == 0) & (mesh.body.colour.skin_share(seen) > _SURELY_SKIN)).astype(np.uint8)
    skin = cv2.erode(skin, np.ones((3, 3), np.uint8))
    if skin.sum() < _FEW * inside.sum():
        for cheek in np.round(face[list(CHEEKS)]).clip(0, last).astype(int).tolist():
            cv2.circle(skin, cheek, max(1, round(_CHEEK * mesh.size)), 1, -1)
    neck = smoothly_continued(seen, skin > 0)
    return neck.astype(np.float32) * (1 - covered * _SHADOW)


def _hair_hangs(mesh: HeadMesh, low: float, high: float) -> float:
    """1 where hair covers the sides of a head between two heights, to 0 where skin shows there, as of ears."""
    body = mesh.body
    beside = body.solid * ((body.vertices[:, 1] > low) & (body.vertices[:, 1] < high))
    return 1 - float((body.bare * beside).sum() / max(beside.sum(), 1e-3))


def _around_face(alpha: np.ndarray, mesh: HeadMesh, start: np.ndarray) -> np.ndarray:
    """Where (h, w) the head around the face is well shown, in a part of the picture with such a matte."""
    beside = outline(mesh.vertices[:, :2], _BESIDE_FACE)
    known = np.zeros(alpha.shape, np.uint8)
    cv2.fillPoly(known, [np.round(mesh.body.hair - start).astype(np.int32)], 1)
    cv2.fillPoly(known, [np.round(beside - start).astype(np.int32)], 0)
    return (known > 0) & (alpha > _SOLID)


def _as_light_as_known(picture: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """The picture (h, w, 3), what is made up neither darker nor lighter than most of what is known, in large."""
    if not known.any():
        return picture
    darkest, lightest = np.percentile(picture[known], _USUAL, axis=0)
    large = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma)
    change = large.clip(darkest, lightest) - large
    return held(np.where(known[..., None], picture, picture + change).astype(np.float32), picture.dtype)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What colour teeth have in a picture's own light: by the whites of its eyes and by its skin, which the same light shows."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_server.drawing.opening import patches_around
from portrait_server.geometry import hair
from portrait_server.geometry.face_mesh import CHEEKS, EYES
from portrait_server.geometry.head_mesh import HeadMesh

# Green and blue of 1 red, medians of 17 people in one studio's light: their skin, the whites of their eyes, their teeth.
_SKIN, _WHITES, _TEETH = np.array([1, 0.81, 0.72]), np.array([1, 0.925, 0.91]), np.array([1, 0.945, 0.895])
# How much of what skin and eyes differ from that by is the light: some of it is their own colour. So teeth were right within
# a twentieth on those people, dark and pale, and are ivory under a yellow varnish.
_LIGHT = 0.6
_MOST_TINGED = 0.8  # how much of the skin's colour teeth have at most
_LEVEL = 0.975  # how bright they are, against the skin
_IRIS, _CORNER = 0.25, 0.1  # in eye widths: what lies as near to the pupil, or to a corner, is no white
_LEAST = 12  # pixels of white that tell its colour
_BRIGHTEST = 60  # percentile from which on what is between lids, or lips, is neither lash nor gap
_OPEN, _WHITE = 0.12, 0.9  # height over width of a mouth that shows teeth; share of their green that they have at least


def teeth_in(photo: np.ndarray, mesh: HeadMesh, scale: np.ndarray, inside: np.ndarray, openness: float) -> np.ndarray:
    """The colour (3,) of lit teeth: the photo's own, where an open mouth shows them, or what they would be.

    Args:
        photo: (H, W, 3 or 4); mesh: of the head, whose points lie there if multiplied by scale (2,).
        inside: (P, 3) colours between the lips.
        openness: height of the opening over its width.
    """
    skin = np.median(colours_at(photo, mesh.vertices[list(CHEEKS), :2] * scale), axis=0)
    own = skin / max(skin[0], 1)
    hue, level = np.maximum(own / _SKIN, 0.05), _LEVEL * skin.max()
    whites = _whites(photo, mesh, scale)
    if whites is not None:
        hue = np.sqrt(hue * np.maximum(whites / max(whites[0], 1) / _WHITES, 0.05))
    # Between white and the skin's own colour, so that they are never greener than it: as yellow as their light says.
    tinged = np.clip((1 - _TEETH[2] * hue[2] ** _LIGHT) / max(1 - own[2], 0.05), 0, _MOST_TINGED)
    teeth = level * (1 + tinged * (own - 1))
    if openness >= _OPEN and len(inside) >= _LEAST:
        seen = np.median(inside[inside[:, 1] >= np.percentile(inside[:, 1], _BRIGHTEST)], axis=0)
        if seen[1] / max(seen[0], 1) >= _WHITE * teeth[1] / max(teeth[0], 1):
            return np.asarray(seen)
    return np.asarray(teeth)


def _whites(photo: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> np.ndarray | None:
    """The colour (3,) of the whites of both eyes; None where too little shows of them."""
    found = []
    for (upper, lower), pupil in zip(EYES, (68, 69), strict=True):
        above, below = (mesh.vertices[list(rim), :2] * scale for rim in (upper, lower))
        wide = float(np.linalg.norm(above[-1] - above[0]))
        patch = patches_around(np.concatenate([above, below])[None], 1.0, (photo.shape[1], photo.shape[0]))
        rows, columns = patch.slices
        start = np.array([patch.x[0], patch.y[0]])
        lids = np.zeros((patch.height, patch.width), np.uint8)
        cv2.fillPoly(lids, [np.round(np.concatenate([above, below[::-1]]) - start).astype(np.int32)], 1)
        there = cv2.erode(lids, np.ones((3, 3), np.uint8)) > 0
        y, x = np.mgrid[: patch.height, : patch.width]
        for at, reach in ((mesh.points[pupil, :2] * scale, _IRIS), (above[0], _CORNER), (above[-1], _CORNER)):
            there &= np.hypot(x + start[0] - at[0], y + start[1] - at[1]) > reach * wide
        colours = photo[rows, columns, :3][there].astype(np.float32)
        if len(colours) >= _LEAST:
            darkest = colours.min(1)
            found.append(colours[darkest >= np.percentile(darkest, _BRIGHTEST)])
    return np.median(np.concatenate(found), axis=0) if found else None


def colours_at(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A photo's colours at points (P, 2), without its alpha: (P, 3) float32."""
    return hair.colours_at(photo, points)[:, :3].astype(np.float32)

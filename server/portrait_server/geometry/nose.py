# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a nose's wings end in a photo: the creases beside them, and a mesh moved onto those.

A mesh as it is found lies up to 0.03 face widths beside a crease, and rises from there as a wall. A turn draws out the few
pixels that lie on it: they have to be the wing's, not the cheek's, and many rather than few.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from portrait_server.geometry.face_mesh import SIDES, mirrored_vertices
from portrait_server.geometry.ramps import between
from portrait_server.geometry.reference_mesh import facing

_CREASE: Final = (209, 49, 129, 64, 98)  # of the wing at the picture's left, from above
_ON_WING: Final = (131, 115)
_ALONG, _ROUND = 32, 4.0  # places along a crease; sigma, in those, of its direction
# Lengths are in face widths from here on.
# By how much vertices beside that crease lie farther back than a mesh has them: what it lacks of the depths of rendered
# heads, once its wings are fitted to their pictures.
_BEHIND = {129: -0.018, 98: -0.014, 48: 0.025, 64: 0.028, 102: 0.02, 49: 0.026, 131: 0.014, 115: 0.007}
_REACH, _STEP = 0.036, 0.0015  # beside the mesh's line, in which a crease is looked for, and between what is tried
_SOFT = 0.004  # sigma: pores and hairs are no creases
_SIDES = (-0.007, 0.007)  # what is compared: a crease and the cheek beside it
_LIKELY = 0.12  # distance from the mesh at which light that grows e times speaks for a place no more
_SMOOTH = 0.009  # change from one place to the next at which the same is so
_CLEAR = 0.3  # logarithm of light: what grows by more, as beside a nostril, tells no more of a crease
_DARKEST = 12.0  # levels, added: what is darker says little
_CARRIED, _ALONGSIDE = 0.045, 0.015  # reach of what goes along with a crease; of the places along it that tell how far
_SHOWN = (0.18, 0.36)  # cosine between the wing and the line of sight: a wing that looks aside shows no crease
_NO_WALL = (0.55, 0.75)  # the same: beside a wing that looks at the viewer nothing is steep
_SMALLEST = 48.0  # pixels: of a smaller face no crease can be told


def fitted_wings(face: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A face's vertices (468, 3), pixels, those of its nose's wings moved to where the picture shows them, and less steep.

    Args:
        image: (H, W, 3 or 4) levels from 0 to 255.
    """
    width, seen = float(np.linalg.norm(face[SIDES[1]] - face[SIDES[0]])), facing(face)
    if width < _SMALLEST:
        return face
    moved = face.copy()
    for wing in (np.arange(len(face)), mirrored_vertices()):
        crease = face[wing[list(_CREASE)], :2]
        light, corner = _light_around(image, crease, width)
        if not light.size:
            continue
        line, out = _line(crease, face[wing[list(_ON_WING)], :2].mean(0))
        towards = seen[wing[list(_ON_WING)]].mean()
        shown = between(towards, *_SHOWN)
        offsets = shown * _crease(light, line - corner, out, width)
        moved[:, :2] += _carried(face[:, :2], line, offsets[:, None] * out, width)
        steep = shown * (1 - between(towards, *_NO_WALL))
        moved[wing[list(_BEHIND)], 2] += steep * width * np.array(list(_BEHIND.values()))
    return moved


def _light_around(image: np.ndarray, places: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of light (h, w) of a picture around places (N, 2), and its pixel (2,) that is the first of those."""
    margin = 2 * (_REACH + _SOFT) * width
    ends = np.stack([places.min(0) - margin, places.max(0) + margin]).round()
    (left, top), (right, bottom) = ends.clip(0, np.array(image.shape[1::-1])).astype(int)
    levels = image[top:bottom, left:right, :3].astype(np.float32).mean(2)
    if levels.size:
        levels = cv2.GaussianBlur(levels, (0, 0), max(0.5, _SOFT * width))
    return np.log(levels + _DARKEST), np.array([left, top])


def _line(crease: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 2) at even distances along a crease's vertices (5, 2), and the ways (N, 2) from inside (2,) outwards."""
    travelled = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(crease, axis=0), axis=1))])
    at = np.linspace(0, travelled[-1], _ALONG)
    line = np.column_stack([np.interp(at, travelled, crease[:, axis]) for axis in (0, 1)])
    along = gaussian_filter1d(np.gradient(line, axis=0), _ROUND, axis=0, mode="nearest")
    out = np.column_stack([along[:, 1], -along[:, 0]])
    out *= np.sign((out * (crease.mean(0) - inside)).sum())
    return line, out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)


def _crease(light: np.ndarray, line: np.ndarray, out: np.ndarray, width: float) -> np.ndarray:
    """How far outwards (N,) of places (N, 2) along a line in a picture the crease lies, pixels.

    It is the smooth line beyond which it becomes lighter: a wing turns away from light, and the cheek beside it does not.
    """
    tried = _STEP * np.arange(-round(_REACH / _STEP), round(_REACH / _STEP) + 1)
    inner, outer = (
        _looked_up(light, line[:, None] + ((tried + side) * width)[:, None] * out[:, None]) for side in _SIDES
    )
    gain = np.clip(outer - inner, 0, _CLEAR) - (tried / _LIKELY) ** 2
    bend = ((tried[:, None] - tried) / _SMOOTH) ** 2
    best, ways = gain[0], []
    for here in gain[1:]:
        reached = best - bend
        ways.append(reached.argmax(1))
        best = reached.max(1) + here
    found = [int(best.argmax())]
    for way in reversed(ways):
        found.append(int(way[found[-1]]))
    return tried[found[::-1]] * width


def _looked_up(light: np.ndarray, places: np.ndarray) -> np.ndarray:
    x, y = np.moveaxis(places.astype(np.float32), -1, 0)
    return cv2.remap(light, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _carried(vertices: np.ndarray, line: np.ndarray, moves: np.ndarray, width: float) -> np.ndarray:
    """How far (V, 2) vertices (V, 2) go along with places (N, 2) of a line that move (N, 2)."""
    squared = ((vertices[:, None] - line) ** 2).sum(-1) / width**2
    nearest = squared.min(1, keepdims=True)
    shares = np.exp((nearest - squared) / _ALONGSIDE**2)
    return np.exp(-nearest / _CARRIED**2) * (shares @ moves) / shares.sum(1, keepdims=True)

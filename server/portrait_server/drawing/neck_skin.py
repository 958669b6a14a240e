# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin of a neck's sides, which jaw and ears hide in the photo: that of its seen front, in the light that falls on its sides."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_server.drawing.hair import Hair
from portrait_server.geometry.face_light import FaceLight
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.neck import DOWN, ROUND, lent_at
from portrait_server.geometry.ramps import between
from portrait_server.kernels.levels import held

_EDGE = int(np.flatnonzero(ROUND == 0)[0])  # of a side's vertices in a row, the one where the neck ends in the photo
_ACROSS = 64  # pixels of a side's picture from its front to the nape
_MOST = 1024  # and from above to below
_SHADOW, _SHADOWED = 0.18, (0.1, 1.0)  # of its light that jaw and ears take from it, so far below the face's middle
_LEAST, _MOST_LIGHT = 0.5, 1.05  # of the levels that the photo shows
_TURNS_DARK = 0.35  # of its light that a side loses towards the nape where the light cannot be told


def neck_skin(hair: Hair, mesh: HeadMesh, scale: np.ndarray, light: FaceLight | None) -> tuple[np.ndarray, np.ndarray]:
    """A picture (h, w, 3 or 4) of both sides beside each other, and where (N, 2) each of the neck's vertices lies in it.

    Args:
        hair: in pixels of the frame; it shows skin wherever a neck takes some.
        mesh, scale: as `Scene` keeps them.
        light: on the face.
    """
    rows, columns = len(DOWN), len(ROUND)
    places = (mesh.body.textures[mesh.body.rings :] * scale - hair.start).reshape(2, rows, columns, 2)
    high = float(np.linalg.norm(places[0, -1, 0] - places[0, 0, 0]))
    high = int(np.clip(np.ceil(high), 2, _MOST))
    column, row = np.meshgrid(
        np.linspace(0, columns - 1, _ACROSS, dtype=np.float32), np.linspace(0, rows - 1, high, dtype=np.float32)
    )
    angle = np.interp(column[0], np.arange(columns), ROUND)
    down = np.interp(row[:, 0], np.arange(rows), DOWN)
    sides = []
    for number in range(2):
        at = cv2.remap(places[number].astype(np.float32), column, row, cv2.INTER_LINEAR)
        seen = cv2.remap(hair.colours, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        outwards = places[number, -1, _EDGE] - places[1 - number, -1, _EDGE]
        seen[..., :3] *= _shade(outwards, angle, down, light)[..., None]
        sides.append(held(seen, hair.colours.dtype))
    x, y = np.meshgrid(np.linspace(0, _ACROSS - 1, columns), np.linspace(0, high - 1, rows))
    found = np.concatenate([np.stack([x + number * _ACROSS, y], -1).reshape(-1, 2) for number in range(2)])
    return np.concatenate(sides, 1), found


def _shade(outwards: np.ndarray, angle: np.ndarray, down: np.ndarray, light: FaceLight | None) -> np.ndarray:
    """What light a side has (h, w) of that in which the photo shows the skin that it takes.

    Args:
        outwards: (2,) the way on which it lies beside the neck's middle.
        angle: (w,) radians around the neck; down: (h,) below the face's middle, as of `Neck`.
    """
    if light is None:
        turned = 1 - _TURNS_DARK * between(angle, 0, ROUND[-1])
    else:
        outwards = outwards / (np.linalg.norm(outwards) + 1e-6)
        own, shown = (
            light.levels(np.column_stack([np.cos(at)[:, None] * outwards, -np.sin(at)]))
            for at in (angle, -np.arccos(lent_at(angle)))
        )
        turned = np.clip(own / shown, _LEAST, _MOST_LIGHT)
    return (turned * (1 - _SHADOW * (1 - between(down, *_SHADOWED)))[:, None]).astype(np.float32)

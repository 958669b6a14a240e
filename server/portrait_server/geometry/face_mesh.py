# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's dense face mesh: which of its vertices lie where, its triangles, and a mean face in its form.

What vertices the 70 points lie on is in `portrait_shared.landmarks`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

import numpy as np

VERTEX_COUNT: Final = 468  # without the irises

# fmt: off
OVAL: Final[tuple[int, ...]] = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
"""The face's outline, clockwise in the picture from the middle of the forehead."""

EYES: Final[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
"""Upper and lower lid of the eye at the picture's left, then of the other, corner to corner, left to right."""

BROWS: Final[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = (
    ((70, 63, 105, 66, 107), (46, 53, 52, 65, 55)),
    ((336, 296, 334, 293, 300), (285, 295, 282, 283, 276)),
)
"""Upper and lower edge of the brow at the picture's left, then of the other, left to right."""

UPPER_LIP: Final[tuple[tuple[int, ...], ...]] = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
)
LOWER_LIP: Final[tuple[tuple[int, ...], ...]] = (
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
)
"""The lips as four lines each, from the outer rim to the inner, left to right."""
# fmt: on

MOUTH: Final = (UPPER_LIP[-1], LOWER_LIP[-1])
"""Upper and lower rim of the mouth's opening, corner to corner, left to right."""

FOREHEAD, CHIN = 10, 152
"""The highest and the lowest vertex of the outline."""
SIDES: Final = (234, 454)
"""The outline's vertices beside the ears, at the picture's left and right: as far apart as the face is wide."""
NOSE: Final = 4
"""The tip of the nose."""
CHEEKS: Final = (50, 101, 205, 280, 330, 425)
UPPER_LID_MIDDLES: Final = (159, 386)


def outline(vertices: np.ndarray, times: float) -> np.ndarray:
    """The face's outline (36, 2) of vertices (V, 2), so many times as large about its middle."""
    oval = vertices[list(OVAL)]
    larger: np.ndarray = oval.mean(0) + times * (oval - oval.mean(0))
    return larger


@cache
def skin_triangles() -> np.ndarray:
    """The triangles (T, 3) between the mesh's vertices, without eyes and mouth, all turning the same way.

    The file has those that MediaPipe's list of edges makes, but two loops around the nostrils' wings.
    """
    return _turned_alike(_kept("skin_triangles.npy").astype(np.int64))


@cache
def opening_triangles() -> np.ndarray:
    """The triangles (T, 3) that close eyes and mouth."""
    return _turned_alike(np.concatenate([_strip(upper, lower) for upper, lower in (*EYES, MOUTH)]))


@cache
def mirrored_vertices() -> np.ndarray:
    """For each vertex (468,) the one at the same place of the face's other side."""
    face = neutral_mesh()[:VERTEX_COUNT]
    other = face * (-1, 1, 1) + (2 * face[FOREHEAD, 0], 0, 0)
    return np.linalg.norm(other[:, None] - face, axis=2).argmin(1)


@cache
def skin_across() -> tuple[np.ndarray, np.ndarray]:
    """For each eye the skin (T, 3) beyond its inner corner: the nose and the other half of the face."""
    x, triangles = neutral_mesh()[:, 0], skin_triangles()
    (left, _), (right, _) = EYES
    return triangles[(x[triangles] > x[left[-1]]).all(1)], triangles[(x[triangles] < x[right[0]]).all(1)]


@cache
def neutral_mesh() -> np.ndarray:
    """A mean face (478, 3), in units of its own size; not to be written to."""
    mesh = _kept("neutral_mesh.npy").astype(float)
    mesh.setflags(write=False)
    return mesh


@cache
def too_near() -> np.ndarray:
    """By how much a mesh that was found has vertices (468,) too near, in face widths; not to be written to.

    What was found in pictures from in front of 30 rendered heads lies so far before their own depth; at cheeks that differs
    by 0.003 to 0.016 from head to head. It is nothing at landmarks, whose depth frames are given by, at the outline and
    around nostrils, whose depth pictures do not tell.
    """
    values = _kept("too_near.npy").astype(float)
    values.setflags(write=False)
    return values


def _kept(name: str) -> np.ndarray:
    with resources.files("portrait_server.geometry").joinpath(name).open("rb") as file:
        values: np.ndarray = np.load(file, allow_pickle=False)
    return values


def _strip(upper: tuple[int, ...], lower: tuple[int, ...]) -> np.ndarray:
    triangles = []
    for i in range(len(upper) - 1):
        for triangle in ((upper[i], upper[i + 1], lower[i + 1]), (upper[i], lower[i + 1], lower[i])):
            if len(set(triangle)) == 3:
                triangles.append(triangle)
    return np.array(triangles)


def _turned_alike(triangles: np.ndarray) -> np.ndarray:
    x, y = neutral_mesh()[:, :2].T
    a, b, c = triangles.T
    area = (x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a])
    return np.where((area < 0)[:, None], triangles[:, [0, 2, 1]], triangles)

# SPDX-License-Identifier: GPL-3.0-or-later
"""How the 70 points' own motion (what the head's pose does not explain) moves the skin between them."""

from __future__ import annotations

import numpy as np
from portrait_shared.landmarks import GROUPS, LANDMARK_COUNT, MESH_VERTICES
from scipy.interpolate import CubicSpline

from portrait_server.geometry.face_mesh import BROWS, EYES, LOWER_LIP, UPPER_LIP

_LIDS = ((36, 37, 38, 39), (36, 41, 40, 39)), ((42, 43, 44, 45), (42, 47, 46, 45))
_UPPER_OUTER, _UPPER_INNER = (48, 49, 50, 51, 52, 53, 54), (60, 61, 62, 63, 64)
_LOWER_OUTER, _LOWER_INNER = (48, 59, 58, 57, 56, 55, 54), (60, 67, 66, 65, 64)
_SMOOTH = 0.004  # in face sizes: without it two points in one place would make the system singular


def spread_weights(mesh: np.ndarray) -> np.ndarray:
    """Linear weights W: skin motion (V, 2 or 3) = W @ landmark motion (70, 2 or 3).

    Skin follows by a linear radial basis in 3-D; the rims of lids and lips follow the points of their own
    rim alone, along it, so that the lower lid, a pixel away, does not move the upper one.

    Args:
        mesh: (V, 3) the face mesh's 468 vertices, then any others around it, pixels.
    """
    weights = _radial(mesh)
    for rims, knots in zip(EYES, _LIDS, strict=True):
        for rim, points in zip(rims, knots, strict=True):
            weights[list(rim)] = _along(mesh, rim, points)
    for lip, outer, inner in ((UPPER_LIP, _UPPER_OUTER, _UPPER_INNER), (LOWER_LIP, _LOWER_OUTER, _LOWER_INNER)):
        first, last = _along(mesh, lip[0], outer), _along(mesh, lip[-1], inner)
        for depth, rim in enumerate(lip):
            weights[list(rim)] = first + (last - first) * depth / (len(lip) - 1)
    return weights


def _radial(mesh: np.ndarray) -> np.ndarray:
    pupils = (*GROUPS["right_pupil"], *GROUPS["left_pupil"])
    # The inner lips move their own rims only: they all but touch across a closed mouth.
    used = [i for i in range(LANDMARK_COUNT) if i not in GROUPS["inner_lip"] and i not in pupils]
    # A brow is a band: its lower edge goes with the landmarks on its upper one, or the hair would be drawn out.
    brows = (*GROUPS["right_brow"], *GROUPS["left_brow"])
    lower_edges = [vertex for _, lower in BROWS for vertex in lower]
    centres = mesh[[*(MESH_VERTICES[i] for i in used), *lower_edges]]
    count = len(centres)
    size = np.ptp(centres[:, :2], axis=0).max()
    system = np.ones((count + 1, count + 1))
    system[:count, :count] = -_distances(centres, centres) + _SMOOTH * size * np.eye(count)
    system[count, count] = 0
    at = np.column_stack([-_distances(mesh, centres), np.ones(len(mesh))])
    weights = np.zeros((len(mesh), LANDMARK_COUNT))
    by_centre = (at @ np.linalg.inv(system))[:, :count]
    weights[:, used] = by_centre[:, : len(used)]
    weights[:, brows] += by_centre[:, len(used) :]
    return weights


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))


def _along(mesh: np.ndarray, rim: tuple[int, ...], points: tuple[int, ...]) -> np.ndarray:
    """Weights (len(rim), 70) of a smooth curve through the points that lie on the rim."""
    line = mesh[list(rim), :2]
    travelled = np.concatenate([[0], np.cumsum(np.maximum(np.linalg.norm(np.diff(line, axis=0), axis=1), 1e-6))])
    at_point = [travelled[rim.index(MESH_VERTICES[i])] for i in points]
    weights = np.zeros((len(rim), LANDMARK_COUNT))
    weights[:, list(points)] = CubicSpline(at_point, np.eye(len(points)), bc_type="natural")(travelled)
    return weights

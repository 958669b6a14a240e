# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense mesh of one photographed face: MediaPipe's, or the mean face laid on its 70 points."""

from __future__ import annotations

from functools import cache

import numpy as np
from portrait_shared.landmarks import MESH_VERTICES, STABLE

from portrait_server.geometry.face_mesh import VERTEX_COUNT, neutral_mesh, skin_triangles
from portrait_server.geometry.pose import fit_pose
from portrait_server.geometry.ramps import between
from portrait_server.geometry.spread import spread_weights

_SAME_FACE = 0.25  # mean distance of landmarks, in face sizes
# Within which nine in ten landmarks that are not of the jaw lie, in face sizes; two detectors of photographs differ by
# 0.05 at the most. Points placed by hand on a drawing may mark eyes and a mouth that no mesh of a person has.
_SAME_FEATURES = 0.08
# Cosine between skin and line of sight below which the photo shows too little of the skin to stretch it.
_HARDLY_SEEN, _WELL_SEEN = -0.15, 0.05
_INNER = np.arange(17, 68)  # landmarks that are not of the jaw


def mesh_near(points: np.ndarray, found: np.ndarray | None) -> np.ndarray:
    """The dense mesh of the face that the points mark.

    Args:
        points: (70, 3) pixels; depth may be all zero (unknown).
        found: (478, 3) what MediaPipe found there, or None.

    Returns:
        (478, 3) pixels; its depth agrees with the points' where they have one.
    """
    mesh = _stretched_neutral(points) if found is None else np.array(found, float)
    if has_depth(points):
        landmarks = np.array(MESH_VERTICES)[:68]
        mesh[:, 2] += np.median((points[:68, 2] - mesh[landmarks, 2])[list(STABLE)])
        # Else a head that turns would carry lips and nose by another depth than their landmarks have. Jaws are
        # left as they were found: where on a cheek their landmarks lie differs from detector to detector.
        gap = np.zeros((len(points), 1))
        gap[_INNER, 0] = points[_INNER, 2] - mesh[landmarks[_INNER], 2]
        mesh[:VERTEX_COUNT] += spread_weights(mesh[:VERTEX_COUNT]) @ (gap * [0, 0, 1])
    return mesh


def visible_depth(mesh: np.ndarray) -> np.ndarray:
    """The depth (468,) of a mesh (478, 3), flattened where the photo does not show the skin.

    Skin that faces sideways or away has no pixels of its own: turned into view it would show a second eye or
    a smear. With the depth of the seen skin around it, it stays where it was, hidden or thin.
    """
    face = mesh[:VERTEX_COUNT]
    towards = facing(face)
    seen = towards > _WELL_SEEN
    centres, depth = face[seen], face[seen, 2]
    if len(centres) < 50:
        return face[:, 2].copy()
    distance = np.linalg.norm(face[:, None, :2] - centres[None, :, :2], axis=2)
    size = np.ptp(face[:, :2], axis=0).max()
    nearest = 1 / (distance**2 + (0.02 * size) ** 2) ** 2
    flat = (nearest @ depth) / nearest.sum(1)
    return flat + shown(face) * (face[:, 2] - flat)


def shown(mesh: np.ndarray) -> np.ndarray:
    """How far (468,) a photo shows the skin of a mesh (468 or 478, 3): 0 to 1."""
    return between(facing(mesh[:VERTEX_COUNT]), _HARDLY_SEEN, _WELL_SEEN)


def facing(face: np.ndarray) -> np.ndarray:
    """The cosine (…, 468) between the skin at each vertex (…, 468, 3) and the line of sight; below 0 it faces away."""
    return skin_normals(face)[..., 2]


def skin_normals(face: np.ndarray) -> np.ndarray:
    """Unit normals (…, 468, 3) of the skin at each vertex (…, 468, 3); z is positive where it faces the viewer."""
    triangles = skin_triangles()
    a, b, c = (face[..., triangles[:, i], :] for i in range(3))
    around, starts = _triangles_around()
    total = np.add.reduceat(np.cross(b - a, c - a)[..., around, :], starts, axis=-2)
    return total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-9)


@cache
def _triangles_around() -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the skin's triangles around each vertex, one vertex's after the other's; where each one's start."""
    corners = skin_triangles().T.ravel()
    order = np.argsort(corners, kind="stable")
    return order % len(skin_triangles()), np.searchsorted(corners[order], np.arange(VERTEX_COUNT))


def is_face_of(mesh: np.ndarray, points: np.ndarray) -> bool:
    """Whether a mesh (478, 3) lies on the face that the points (70, 2 or 3) mark, and has its eyes, nose and mouth."""
    size = np.ptp(points[:68, :2], axis=0).max()
    gap = np.linalg.norm(mesh[list(MESH_VERTICES)][:68, :2] - points[:68, :2], axis=1)
    return bool(gap.mean() < _SAME_FACE * size and np.quantile(gap[_INNER], 0.9) < _SAME_FEATURES * size)


def has_depth(points: np.ndarray) -> np.ndarray:
    """Whether points (…, 70, 2 or 3) carry a depth: (…) bool."""
    if points.shape[-1] == 2:
        return np.zeros(points.shape[:-2], bool)
    return np.asarray(np.ptp(points[..., :68, 2], axis=-1) > 1e-3)


def with_depth(points: np.ndarray) -> np.ndarray:
    """Points (70, 2 or 3) as (70, 3): the depth of those without one is 0, which `has_depth` knows for none."""
    return points if points.shape[1] == 3 else np.column_stack([points, np.zeros(len(points), np.float32)])


def _stretched_neutral(points: np.ndarray) -> np.ndarray:
    """The mean face laid on the points, its gaps to them spread over it."""
    mesh = neutral_mesh() * np.ptp(points[:68, :2], axis=0).max()
    landmarks = mesh[list(MESH_VERTICES)]
    stable = list(STABLE)
    known = points if has_depth(points) else points[:, :2]
    pose = fit_pose(landmarks[stable], known[stable])
    mesh, landmarks = pose.apply(mesh), pose.apply(landmarks)
    gap = np.zeros((len(points), 3))
    gap[:, : known.shape[1]] = known - landmarks[:, : known.shape[1]]
    mesh[:VERTEX_COUNT] += spread_weights(mesh[:VERTEX_COUNT]) @ gap
    return mesh

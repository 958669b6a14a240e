# SPDX-License-Identifier: GPL-3.0-or-later
"""The face mesh with rings of hair, neck and surroundings around it, and how all of it moves."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from portrait_shared.landmarks import MESH_VERTICES, STABLE

from portrait_server.geometry.face_mesh import (
    CHIN,
    FOREHEAD,
    OVAL,
    SIDES,
    UPPER_LID_MIDDLES,
    VERTEX_COUNT,
    opening_triangles,
    skin_triangles,
)
from portrait_server.geometry.pose import Pose, fit_pose
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.geometry.reference_mesh import has_depth, visible_depth
from portrait_server.geometry.spread import spread_weights

# Rings as multiples of the face's outline, as far as the picture goes: what lies outside of it is brought to its edge.
_RINGS = (1.07, 1.16, 1.28, 1.43, 1.6, 1.8, 2.05, 2.35, 2.7, 3.1, 3.6, 4.2, 5.0, 6.0, 7.2, 8.8, 11.0, 15.0)
# Where the head's pose starts and stops carrying a ring: up and sideways (hair), and down (neck, shoulders).
_CARRIED_HAIR = (1.6, 3.1)
_CARRIED_NECK = (1.05, 2.4)
_EXPRESSION_ENDS = 1.6
_SKULL_DEPTH = 0.9  # how far behind the outline the back of the head lies, in half face widths
_SKULL_REACH = 0.35  # in how many rings' multiples it gets there
_PINNED = 0.25  # a strip along the picture's edge, in half face widths, that keeps its place


@dataclass(frozen=True)
class HeadMesh:
    """A reference's geometry, in pixels of one picture.

    Attributes:
        points: (70, 3) the landmarks.
        vertices: (V, 3) the face mesh's 468, then the rings around it; flattened where the photo shows no skin.
        depth: (V,) of the vertices, not flattened: what hides what.
        triangles: (T, 3) skin and rings; `openings` (U, 3) close eyes and mouth.
        follow: (V,) 0 to 1, how far the head's pose carries each vertex.
        spread: (V, 70) how the landmarks' own motion moves each vertex.
        size: the face's, pixels.
    """

    points: np.ndarray
    vertices: np.ndarray
    depth: np.ndarray
    triangles: np.ndarray
    openings: np.ndarray
    follow: np.ndarray
    spread: np.ndarray
    size: float

    def pose_of(self, target: np.ndarray) -> Pose:
        """The head's poses for target points (…, 70, 2 or 3)."""
        stable = list(STABLE)
        source, goal = self._solid_points()[stable], target[..., stable, :]
        deep = has_depth(target) & has_depth(self.points)
        if deep.all():
            return fit_pose(source, goal)
        flat = fit_pose(source, goal[..., :2])
        return flat.where_not(deep, fit_pose(source, goal)) if deep.any() else flat

    def posed_points(self, pose: Pose) -> np.ndarray:
        """The reference's landmarks (…, 70, 2) as the poses (…) alone carry them."""
        return pose.apply(self._solid_points())[..., :2]

    def moved(self, pose: Pose, motion: np.ndarray) -> np.ndarray:
        """All vertices, carried by the poses (…) and the landmarks' own motion (…, 70, 2).

        Returns:
            (…, V, 3); z tells what hides what.
        """
        carried = pose.apply(self.vertices)
        moved = self.vertices + self.follow[:, None] * (carried - self.vertices)
        moved[..., :2] += self.spread @ motion
        deeper = np.asarray(pose.scale * pose.rotation[..., 2, 2])[..., None]
        moved[..., 2] += deeper * (self.depth - self.vertices[:, 2])
        return moved

    def whole_face(self) -> np.ndarray:
        """The face mesh (468, 3) with the depth of what the photo hides, too."""
        return np.column_stack([self.vertices[:VERTEX_COUNT, :2], self.depth[:VERTEX_COUNT]])

    def moved_whole(self, pose: Pose, motion: np.ndarray) -> np.ndarray:
        """`whole_face` moved by poses (…) and the landmarks' own motion (…, 70, 2): (…, 468, 3)."""
        moved = pose.apply(self.whole_face())
        moved[..., :2] += self.spread[:VERTEX_COUNT] @ motion
        return moved

    def _solid_points(self) -> np.ndarray:
        if has_depth(self.points):
            return self.points
        # These vertices are without the irises: a lid's depth is near enough to a pupil's.
        return np.column_stack([self.points[:, :2], self.vertices[[*MESH_VERTICES[:68], *UPPER_LID_MIDDLES], 2]])


def build_head_mesh(points: np.ndarray, mesh: np.ndarray, width: int, height: int) -> HeadMesh:
    """Geometry of a reference.

    Args:
        points: (70, 3) pixels.
        mesh: (478, 3) pixels, the face's dense mesh.
        width, height: the picture's, pixels.
    """
    face = mesh[:VERTEX_COUNT].copy()
    face[:, 2] = visible_depth(mesh)
    rings, carried, expressive = _rings(face, width, height)
    vertices = np.concatenate([face, rings])
    spread = spread_weights(vertices)
    spread[VERTEX_COUNT:] *= expressive[:, None]
    return HeadMesh(
        points=np.asarray(points, float),
        vertices=vertices,
        depth=np.concatenate([mesh[:VERTEX_COUNT, 2], rings[:, 2]]),
        triangles=np.concatenate([skin_triangles(), _ring_triangles()]),
        openings=opening_triangles(),
        follow=np.concatenate([np.ones(VERTEX_COUNT), carried]),
        spread=spread,
        size=float(np.ptp(face[:, :2], axis=0).max()),
    )


def _rings(face: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (R, 3), how far the pose carries them (R,), how far expression does (R,)."""
    oval = face[list(OVAL)]
    centre = (oval[:, :2].min(0) + oval[:, :2].max(0)) / 2
    arm = oval[:, :2] - centre
    half_width = np.linalg.norm(face[SIDES[1], :2] - face[SIDES[0], :2]) / 2 + 1e-6
    down = face[CHIN, :2] - face[FOREHEAD, :2]
    down /= np.linalg.norm(down) + 1e-6
    outwards = arm / (np.linalg.norm(arm, axis=1, keepdims=True) + 1e-6)
    depth = oval[:, 2]
    vertices, carried, expressive = [], [], []
    for ring in _RINGS:
        at = np.clip(centre + ring * arm, 0, (width - 1, height - 1))
        behind = _SKULL_DEPTH * half_width * ring_depth(ring)
        vertices.append(np.column_stack([at, depth + behind]))
        inside = np.minimum.reduce([at[:, 0], at[:, 1], width - 1 - at[:, 0], height - 1 - at[:, 1]])
        free = smoothstep(inside / (_PINNED * half_width))
        carried.append(free * ring_follow(ring, outwards @ down))
        expressive.append(free * ring_expression(ring))
    return np.concatenate(vertices), np.concatenate(carried), np.concatenate(expressive)


def ring_follow(ring: float, down: np.ndarray) -> np.ndarray:
    """How far (N,) the head's pose carries points at so many times the face's outline: hair far out, the neck hardly.

    Args:
        down: (N,) cosine between the way from the face's middle to each point and the way to the chin.
    """
    neck = smoothstep((down + 0.15) / 0.75)
    starts = _CARRIED_HAIR[0] + neck * (_CARRIED_NECK[0] - _CARRIED_HAIR[0])
    ends = _CARRIED_HAIR[1] + neck * (_CARRIED_NECK[1] - _CARRIED_HAIR[1])
    return 1 - between(ring, starts, ends)


def ring_expression(ring: float) -> np.ndarray:
    """How far the face's expression moves what lies at so many times its outline."""
    return 1 - between(ring, 1, _EXPRESSION_ENDS)


def ring_depth(ring: float) -> np.ndarray:
    """How far behind the outline a ring lies: 0 the outline itself, 1 the back of the head."""
    return 1 - np.exp((1 - ring) / _SKULL_REACH)


def _ring_triangles() -> np.ndarray:
    count = len(OVAL)
    rows = [np.array(OVAL)] + [VERTEX_COUNT + i * count + np.arange(count) for i in range(len(_RINGS))]
    triangles = []
    for inner, outer in pairwise(rows):
        a, b = inner, np.roll(inner, -1)
        c, d = outer, np.roll(outer, -1)
        triangles += [np.column_stack([a, c, d]), np.column_stack([a, d, b])]
    return np.concatenate(triangles)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The face mesh with rings of hair, neck and surroundings around it, and how all of it moves."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    too_near,
)
from portrait_server.geometry.head_body import HeadBody, build_head_body
from portrait_server.geometry.nose import fitted_wings
from portrait_server.geometry.pose import Pose, fit_pose
from portrait_server.geometry.ramps import between
from portrait_server.geometry.reference_mesh import has_depth, shown, visible_depth
from portrait_server.geometry.spread import spread_weights

_SHALLOW = 0.25  # of the depth behind the face's outline
# Cosine between the way a face looks and the line of sight: above the second the photo shows it as the pictures did of
# which it is known what a detector has too near.
_FROM_IN_FRONT = (0.82, 0.95)


@dataclass(frozen=True)
class HeadMesh:
    """A reference's geometry, in pixels of one picture.

    Attributes:
        points: (70, 3) the landmarks.
        vertices: (V, 3) the face mesh's 468, then the rings around it; flattened where the photo shows no skin.
        places: (V, 2) where the photo shows each; of the head's back its rim.
        depth: (V,) of the vertices, not flattened: what hides what.
        triangles: (T, 3) skin and rings; `openings` (U, 3) close eyes and mouth.
        follow: (V,) 0 to 1, how far the head's pose carries each vertex.
        spread: (V, 70) how the landmarks' own motion moves each vertex.
        size: the face's, pixels.
        body: what of it lies around the face.
    """

    points: np.ndarray
    vertices: np.ndarray
    places: np.ndarray
    depth: np.ndarray
    triangles: np.ndarray
    openings: np.ndarray
    follow: np.ndarray
    spread: np.ndarray
    size: float
    body: HeadBody

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
        """All vertices, carried by the poses (…) and the landmarks' own motion (…, 70, 2): as `moved_by`."""
        return self.moved_by(pose, self.spread @ motion)

    def moved_by(self, pose: Pose, own: np.ndarray) -> np.ndarray:
        """All vertices, carried by the poses (…) and by what moves each besides (…, V, 2).

        Returns:
            (…, V, 3); z tells what hides what.
        """
        carried = pose.apply(self.vertices)
        moved = self.vertices + self.follow[:, None] * (carried - self.vertices)
        moved[..., :2] += own
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

    def shallow(self) -> HeadMesh:
        """The same, turning as one that reaches back less behind the face.

        So the rim of hair and ears goes along with the face, as sharp as it is in the picture, where it would be drawn out
        over what a turn brings into view. What hides what, and `depth`, stay.
        """
        vertices = self.vertices.copy()
        rings = slice(VERTEX_COUNT, VERTEX_COUNT + self.body.rings)
        outline = np.tile(vertices[list(OVAL), 2], self.body.rings // len(OVAL))
        vertices[rings, 2] = outline + _SHALLOW * (vertices[rings, 2] - outline)
        return replace(self, vertices=vertices)

    def _solid_points(self) -> np.ndarray:
        if has_depth(self.points):
            return self.points
        # These vertices are without the irises: a lid's depth is near enough to a pupil's.
        return np.column_stack([self.points[:, :2], self.vertices[[*MESH_VERTICES[:68], *UPPER_LID_MIDDLES], 2]])


def build_head_mesh(points: np.ndarray, mesh: np.ndarray, image: np.ndarray, matte: np.ndarray) -> HeadMesh:
    """Geometry of a reference.

    Args:
        points: (70, 3) pixels.
        mesh: (478, 3) pixels, the face's dense mesh.
        image: (H, W, 3 or 4) levels from 0 to 255.
        matte: (H, W) 0 to 1, how far each of the picture's pixels is the person.
    """
    whole = fitted_wings(mesh[:VERTEX_COUNT], image).copy()
    ahead = _from_in_front(whole)
    whole[:, 2] += ahead * float(np.linalg.norm(whole[SIDES[1]] - whole[SIDES[0]])) * too_near()
    face = whole.copy()
    face[:, 2] = visible_depth(whole)
    visible = shown(whole)[list(OVAL)]
    other = np.roll(visible[::-1], 1)  # the outline's vertices of the other side
    body = build_head_body(face, image, matte, (1 - ahead) * np.maximum(other - visible, 0))
    vertices = np.concatenate([face, body.vertices])
    spread = spread_weights(vertices)
    spread[VERTEX_COUNT:] *= body.expressive[:, None]
    return HeadMesh(
        points=np.asarray(points, float),
        vertices=vertices,
        places=np.concatenate([face[:, :2], body.places]),
        depth=np.concatenate([whole[:, 2], body.order]),
        triangles=np.concatenate([skin_triangles(), body.triangles]),
        openings=opening_triangles(),
        follow=np.concatenate([np.ones(VERTEX_COUNT), body.carried]),
        spread=spread,
        size=float(np.ptp(face[:, :2], axis=0).max()),
        body=body,
    )


def _from_in_front(face: np.ndarray) -> float:
    """How far the photo shows a face (468, 3) from in front: 0 to 1."""
    across, down = face[SIDES[1]] - face[SIDES[0]], face[CHIN] - face[FOREHEAD]
    ahead = np.cross(across, down)
    towards = ahead[2] / max(float(np.linalg.norm(ahead)), 1e-6)
    return float(between(towards, *_FROM_IN_FRONT))

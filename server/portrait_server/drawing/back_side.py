# SPDX-License-Identifier: GPL-3.0-or-later
"""The back and the sides of a head, which a photo hardly shows: hair and skin continued from what it shows of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from portrait_server.drawing.hair import Hair
from portrait_server.drawing.lending import Lender, edge_softness
from portrait_server.drawing.near_side import build_near_side
from portrait_server.drawing.neck_skin import neck_skin
from portrait_server.drawing.offsets import Raster
from portrait_server.geometry.face_light import FaceLight
from portrait_server.geometry.face_mesh import OVAL, VERTEX_COUNT
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.neck import grown_from
from portrait_server.geometry.pose import Pose, vector_of
from portrait_server.geometry.ramps import between
from portrait_server.kernels.base import Array, Kernels, Patches

# Cosines between surface and line of sight: below the first the photo shows too little of it to be turned into view.
_LACKING = (0.2, 0.45)
_SMEARED = (-0.05, 0.05)  # and below which not even skin
_BEHIND = (0.02, 0.15)  # and with which it closes gaps of what is seen, between two locks
# By how many radians a head has turned until the sides of its neck come out from behind jaw and ears: it turns about its
# spine, so of a little turn nothing is seen there.
_UNDER = (0.2, 0.45)
# And until below the end of hair nothing hangs any more that is as deep as hair: those sides are seen there.
_ENDED = (0.15, 0.3)
_TURNED = (0.05, 0.3)  # growth of that cosine with which what is lent comes into view


@dataclass(frozen=True)
class BackSide:
    """What a photo does not show of a head around the face.

    Attributes:
        lender: the hair around the face, continued over face, ears and background; neck: skin of the neck's sides.
        near: skin of the face's sides; drawn_out: (V,) 0 to 1, how far the photo draws out a vertex's.
        lack: (V,) 0 to 1, how far the photo lacks what a vertex shows.
        around: (V,) 1 where a vertex is part of the head around the face, else 0.
        normals: (V, 3) of the surface in the photo; z is positive where it faces the viewer.
        follow: (V,) how far the pose turns it.
        under: (V,) 1 where a vertex is part of the neck's sides, else 0.
        ends: (V,) the vertex from which each grows out as a head turns; of all but the backs of those sides itself.
    """

    lender: Lender
    neck: Lender
    near: Lender
    drawn_out: np.ndarray
    lack: np.ndarray
    around: np.ndarray
    normals: np.ndarray
    follow: np.ndarray
    under: np.ndarray
    ends: np.ndarray

    def placed(self, kernels: Kernels) -> BackSide:
        """The same with its pixels where the kernels have theirs."""
        lender = self.lender.placed(kernels)
        return replace(self, lender=lender, neck=self.neck.placed(kernels), near=self.near.placed(kernels))

    def lend(
        self, kernels: Kernels, person: Array, alpha: Array, pose: Pose, vertices: np.ndarray, raster: Raster
    ) -> tuple[Patches, Array] | None:
        """Draws what comes into view over moved persons, as `Lender.lend`.

        Args:
            pose: of N frames.
            vertices: (N, V, 3) of the head's mesh, pixels of the frame, and depth.
            raster: that mesh's.
        """
        turned = pose.rotation[:, 2] @ self.normals.T - self.normals[:, 2]
        share, behind = (between(self.follow * turned, *growth) for growth in (_TURNED, _BEHIND))
        # Nods draw out what lies under a chin, of which views of the sides show no more.
        aside = self.drawn_out * between(self.follow * (pose.rotation[:, 2, :1] * self.normals[:, 0]), *_TURNED)
        self.near.lend(kernels, person, alpha, aside, vertices, pose.scale, None, raster)
        share, behind = self.around * self.lack * (1 - aside) * share, self.around * behind
        angle = np.linalg.norm(vector_of(pose.rotation), axis=-1)
        ended, grown = between(angle, *_ENDED), between(angle, *_UNDER)[:, None]
        lent = self.lender.lend(kernels, person, alpha, share, vertices, pose.scale, behind, raster, ended)
        under = (grown > 0) * self.under
        if under.any():
            # The sides grow out of where the neck ends in the photo: half-transparent they would be ghosts.
            ends = vertices[:, self.ends]
            sides = ends + grown[..., None] * (vertices - ends)
            self.neck.lend(kernels, person, alpha, 0 * under, sides, pose.scale, under)
        return lent


def build_back_side(
    hair: Hair, person: np.ndarray, matte: np.ndarray, mesh: HeadMesh, scale: np.ndarray, light: FaceLight | None
) -> BackSide:
    """What a photo can lend to the back of its head.

    Args:
        hair: in pixels of the frame.
        person: (H, W, 3 or 4), matte: (H, W), as of the scene.
        mesh, scale, light: as `Scene` keeps them.
    """
    body = mesh.body
    head = len(mesh.triangles) - len(body.triangles) + body.closed
    whole = np.concatenate([mesh.triangles, mesh.openings])
    among = np.ones(len(whole), bool)
    among[head : len(mesh.triangles)] = False
    triangles = whole[among]
    normals = _normals(np.column_stack([mesh.vertices[:, :2], mesh.depth]), triangles)
    lack = 1 - between(normals[:, 2], *_LACKING)
    lack[:VERTEX_COUNT] = 0
    # Skin beside the face, as of an ear, may be drawn out; where the photo shows what is behind the head, nothing may.
    drawn_out = between(normals[:, 2], *_SMEARED)
    lack[VERTEX_COUNT:] = np.maximum(lack[VERTEX_COUNT:], 1 - body.solid) * (1 - body.bare * drawn_out[VERTEX_COUNT:])
    lack[list(OVAL)] = 1 - drawn_out[list(OVAL)]
    around = np.zeros(len(lack))
    around[np.unique(triangles)] = 1
    # The outline may lie beside the person, over a gap between ear and neck: its neighbours end what closes that.
    around[:VERTEX_COUNT] = 0
    around[np.unique(triangles[np.isin(triangles, OVAL).any(1)])] = 1
    places = np.concatenate([mesh.vertices[:VERTEX_COUNT, :2], body.textures]) * scale
    lender = Lender(hair.colours, hair.start, places, triangles, edge_softness(mesh.size, scale), among)
    under = np.zeros(len(lack))
    under[np.unique(body.neck)] = 1
    skin, at = neck_skin(hair, mesh, scale, light)
    neck = replace(
        lender, colours=skin, start=np.zeros(2), places=np.concatenate([np.zeros((len(lack) - len(at), 2)), at]),
        triangles=body.neck, among=None,
    )  # fmt: skip
    near, drawn_out = build_near_side(person, matte, mesh, scale, lender, normals)
    ends = np.concatenate([np.arange(VERTEX_COUNT + body.rings), VERTEX_COUNT + body.rings + grown_from()])
    if len(body.neck) and hair.ended.any():  # it is the sides of the neck that are seen below the end of hair
        lender = replace(lender, nothing=hair.ended)
    return BackSide(lender, neck, near, drawn_out, lack, around, normals, mesh.follow, under, ends)


def _normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) at vertices (V, 3) of triangles (T, 3)."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    total = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(total, triangles[:, i], np.cross(b - a, c - a))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)

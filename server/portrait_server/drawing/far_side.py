# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of a face that the photo hides: lent by the near side, mirrored, as the head turns it into view."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from portrait_server.drawing.fill import push_pull
from portrait_server.drawing.lending import LEAST, Lender, edge_softness
from portrait_server.drawing.offsets import backward_offsets
from portrait_server.drawing.opening import patches_around
from portrait_server.geometry.face_mesh import VERTEX_COUNT, mirrored_vertices, neutral_mesh, skin_triangles
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.pose import Pose
from portrait_server.geometry.ramps import between
from portrait_server.geometry.raster import Window
from portrait_server.geometry.reference_mesh import facing
from portrait_server.kernels.base import Array, Kernels, Patches
from portrait_server.kernels.levels import held
from portrait_server.kernels.opencv import OpenCV

_LIGHT_CELLS = 128
# Cosines between skin and line of sight: below the first the photo shows nothing of use, above the second enough. These
# and the next were chosen on 24 rendered heads, seen from 35 degrees and turned to the front: the error of the hidden
# half of the face was 0.089, and 0.133 where nothing was lent.
_LACKING = (0.4, 0.7)
_LENDING = (0.25, 0.55)  # and how much of the other side must show
_BETTER = (0.1, 0.35)  # by how much more
_TRUSTED = (0.2, 0.5)  # how much of both sides must show for their light to be compared
_TURNED = (0.05, 0.35)  # growth of that cosine with which what is lent comes into view
_LIT_REACHES = (0.05, 0.15)  # in face sizes: sigmas of the neighbourhood in which the two sides' light is compared
_LIGHT_SOFT = 0.03  # in face sizes
_FEW = 0.02  # compared vertices, by their trust, below which light is left as it is
_LIGHT = np.log(3.0)  # the most by which one side is taken to be lighter than the other
_DARKEST = 8.0  # of 255, added to both sides: what is darker says little of how they differ


@dataclass(frozen=True)
class FarSide:
    """What a photo hides of a face, and what lends it.

    Attributes:
        lender: the person's colours around the face, the near side lit as the far one is, at the mirrored vertices.
        mesh: the geometry, in pixels of the reference; scale (2,) pixels of the frame in one of them.
        lack: (468,) 0 to 1, how far the photo lacks what the mirrored vertex shows.
        facing: (468,) the cosine between skin and line of sight in the photo.
    """

    lender: Lender
    mesh: HeadMesh
    scale: np.ndarray
    lack: np.ndarray
    facing: np.ndarray

    def placed(self, kernels: Kernels) -> FarSide:
        """The same with its pixels where the kernels have theirs."""
        return replace(self, lender=self.lender.placed(kernels))

    def lend(
        self, kernels: Kernels, person: Array, alpha: Array, pose: Pose, motion: np.ndarray
    ) -> tuple[Patches, Array] | None:
        """Draws what comes into view over moved persons, as `Lender.lend`.

        Args:
            pose, motion: as `HeadMesh.moved` takes them, for N frames.
        """
        moved = self.mesh.moved_whole(pose, motion)
        share = self.lack * between(facing(moved) - self.facing, *_TURNED)
        moved[..., :2] *= self.scale
        return self.lender.lend(kernels, person, alpha, share, moved, pose.scale)


def build_far_side(person: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> FarSide | None:
    """What the near side can lend; None where the photo shows both sides.

    Args:
        person: (H, W, 3 or 4), the person's own colours in pixels of the frame.
        mesh, scale: as `Scene` keeps them.
    """
    seen = facing(mesh.whole_face())
    other = seen[mirrored_vertices()]
    lack = (1 - between(seen, *_LACKING)) * between(other, *_LENDING) * between(other - seen, *_BETTER)
    size = (person.shape[1], person.shape[0])
    patch = patches_around(mesh.vertices[None, :VERTEX_COUNT, :2] * scale, 2, size)
    if lack.max() < LEAST or not patch.there[0]:
        return None
    colours, start = OpenCV().taken(person[None], patch)[0].copy(), np.array([patch.x[0], patch.y[0]])
    lit = colours[..., :3] * np.exp(_light(colours[..., :3], start, mesh, scale, seen))
    colours[..., :3] = held(lit, colours.dtype)
    places = mesh.vertices[mirrored_vertices(), :2] * scale
    lender = Lender(colours, start, places, skin_triangles(), edge_softness(mesh.size, scale))
    return FarSide(lender, mesh, scale, lack, seen)


def _light(person: np.ndarray, start: np.ndarray, mesh: HeadMesh, scale: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Logarithms (h, w, 3) of what makes a vertex's colour that of its mirrored one, as far as both are seen."""
    height, width = person.shape[:2]
    face, mirrored = mesh.vertices[:VERTEX_COUNT, :2] * scale - start, mirrored_vertices()
    soft = cv2.GaussianBlur(person, (0, 0), max(0.5, _LIGHT_SOFT * mesh.size * float(scale.min())))
    at = np.clip(np.round(face).astype(int), 0, (width - 1, height - 1))
    colour = np.log(soft[at[:, 1], at[:, 0]].astype(float) + _DARKEST)
    trust = between(seen, *_TRUSTED)
    near = trust * trust[mirrored] * _nearness()
    light = near @ (colour[mirrored] - colour) / (near.sum(1, keepdims=True) + _FEW)
    carried = np.column_stack([face, np.clip(light, -_LIGHT, _LIGHT), np.ones(len(light))])
    step = max(1.0, max(width, height) / _LIGHT_CELLS)
    none, depth = np.zeros(1, int), mesh.depth[None, :VERTEX_COUNT]
    window = Window.over(none, none, width, height, step)
    (found,) = backward_offsets(OpenCV(), window, carried, face[None], depth, skin_triangles())
    _, _, red, green, blue, there = found
    spread = push_pull(np.dstack([red, green, blue]), (there > 0.5).astype(np.float32))
    return cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)


@cache
def _nearness() -> np.ndarray:
    """How much the light at each vertex counts at each other: (468, 468)."""
    face = neutral_mesh()[:VERTEX_COUNT]
    distance = np.linalg.norm(face[:, None] - face, axis=-1) / np.ptp(face, axis=0).max()
    return np.sum([np.exp(-0.5 * (distance / reach) ** 2) for reach in _LIT_REACHES], axis=0)

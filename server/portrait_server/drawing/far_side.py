# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of a face that the photo hides: lent by the near side, mirrored, as the head turns it into view."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from portrait_server.drawing.fill import push_pull
from portrait_server.drawing.opening import Patch, patch_around
from portrait_server.geometry.face_mesh import VERTEX_COUNT, mirrored_vertices, neutral_mesh, skin_triangles
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.pose import Pose
from portrait_server.geometry.ramps import between
from portrait_server.geometry.raster import Window, backward_offsets
from portrait_server.geometry.reference_mesh import facing
from portrait_server.kernels.levels import held

_CELLS = 512  # the longest side of the frame's grid, as the motion's
_LIGHT_CELLS = 128
# Cosines between skin and line of sight: below the first the photo shows nothing of use, above the second enough. These
# and the next were chosen on 24 rendered heads, seen from 35 degrees and turned to the front: the error of the hidden
# half of the face was 0.089, and 0.133 where nothing was lent.
_LACKING = (0.4, 0.7)
_LENDING = (0.25, 0.55)  # and how much of the other side must show
_BETTER = (0.1, 0.35)  # by how much more
_TRUSTED = (0.2, 0.5)  # how much of both sides must show for their light to be compared
_TURNED = (0.05, 0.35)  # growth of that cosine with which what is lent comes into view
_LEAST = 0.05  # a smaller share is not seen
_LIT_REACHES = (0.05, 0.15)  # in face sizes: sigmas of the neighbourhood in which the two sides' light is compared
_LIGHT_SOFT = 0.03  # in face sizes
_FEW = 0.02  # compared vertices, by their trust, below which light is left as it is
_LIGHT = np.log(3.0)  # the most by which one side is taken to be lighter than the other
_DARKEST = 8.0  # of 255, added to both sides: what is darker says little of how they differ
_EDGE = 0.008  # in face sizes, softness of what is lent


@dataclass(frozen=True)
class FarSide:
    """What a photo hides of a face, and what lends it.

    Attributes:
        colours: (h, w, 3 or 4), the person's around the face, the near side lit as the far one is.
        patch: where they lie in the reference, pixels of the frame.
        mesh: the geometry, in pixels of the reference; scale (2,) pixels of the frame in one of them.
        lack: (468,) 0 to 1, how far the photo lacks what the mirrored vertex shows.
        facing: (468,) the cosine between skin and line of sight in the photo.
    """

    colours: np.ndarray
    patch: Patch
    mesh: HeadMesh
    scale: np.ndarray
    lack: np.ndarray
    facing: np.ndarray

    def lend(
        self, person: np.ndarray, alpha: np.ndarray, pose: Pose, motion: np.ndarray
    ) -> tuple[Patch, np.ndarray] | None:
        """Draws what comes into view over a moved person, in place.

        Args:
            person: (H, W, 3 or 4); alpha: (H, W), its matte.
            pose, motion: as `HeadMesh.moved` takes them.

        Returns:
            how far each pixel of a patch is lent, (height, width) float32; None where nothing is.
        """
        whole = self.mesh.moved_whole(pose, motion)
        share = self.lack * between(facing(whole) - self.facing, *_TURNED)
        if share.max() < _LEAST:
            return None
        moved, size = whole[:, :2] * self.scale, (alpha.shape[1], alpha.shape[0])
        soft = _EDGE * self.mesh.size * pose.scale * float(self.scale.min())
        triangles = skin_triangles()
        touched = np.unique(triangles[(share[triangles] > 0).any(1)])
        patch = patch_around(moved[touched], 3 * soft + 2, size)
        if patch is None:
            return None
        step = max(1.0, max(size) / _CELLS)
        window = Window.over(patch.x, patch.y, patch.width, patch.height, step)
        places = self.mesh.vertices[mirrored_vertices(), :2] * self.scale
        carried = np.column_stack([places, share, np.ones(len(share))])
        *offsets, lent, there = backward_offsets(window, carried, moved, whole[:, 2], triangles)
        # Clipped, for slivers overshoot; and ended inside the mesh, for beside it there is no place to take it from.
        sigma = max(1.0, soft / window.step_x)
        inwards = 2 * int(np.ceil(2 * sigma)) + 1
        inside = cv2.erode(
            (there > 0.5).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (inwards, inwards))
        )
        lent = cv2.GaussianBlur(np.clip(lent, 0, 1) * inside, (0, 0), sigma)
        right, down, lent = (
            cv2.resize(plane, (patch.width, patch.height), interpolation=cv2.INTER_LINEAR) for plane in (*offsets, lent)
        )
        x, y = patch.grid()
        right += x - self.patch.x
        down += y - self.patch.y
        seen = cv2.remap(self.colours, right, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        below = alpha[patch.slices] * np.float32(1 / 255)
        covered = lent + (1 - lent) * below
        colour = person[patch.slices].astype(np.float32)
        colour += (lent / np.maximum(covered, 1e-3))[..., None] * (seen - colour)
        person[patch.slices] = held(colour, person.dtype)
        alpha[patch.slices] = held(255 * covered, alpha.dtype)
        return patch, lent


def build_far_side(person: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> FarSide | None:
    """What the near side can lend; None where the photo shows both sides.

    Args:
        person: (H, W, 3 or 4), the person's own colours in pixels of the frame.
        mesh, scale: as `Scene` keeps them.
    """
    seen = facing(mesh.whole_face())
    other = seen[mirrored_vertices()]
    lack = (1 - between(seen, *_LACKING)) * between(other, *_LENDING) * between(other - seen, *_BETTER)
    patch = patch_around(mesh.vertices[:VERTEX_COUNT, :2] * scale, 2, (person.shape[1], person.shape[0]))
    if lack.max() < _LEAST or patch is None:
        return None
    colours = person[patch.slices].copy()
    lit = colours[..., :3] * np.exp(_light(colours[..., :3], patch, mesh, scale, seen))
    colours[..., :3] = held(lit, colours.dtype)
    return FarSide(colours, patch, mesh, scale, lack, seen)


def _light(person: np.ndarray, patch: Patch, mesh: HeadMesh, scale: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Logarithms (h, w, 3) of what makes a vertex's colour that of its mirrored one, as far as both are seen."""
    height, width = person.shape[:2]
    face, mirrored = mesh.vertices[:VERTEX_COUNT, :2] * scale - (patch.x, patch.y), mirrored_vertices()
    soft = cv2.GaussianBlur(person, (0, 0), max(0.5, _LIGHT_SOFT * mesh.size * float(scale.min())))
    at = np.clip(np.round(face).astype(int), 0, (width - 1, height - 1))
    colour = np.log(soft[at[:, 1], at[:, 0]].astype(float) + _DARKEST)
    trust = between(seen, *_TRUSTED)
    near = trust * trust[mirrored] * _nearness()
    light = near @ (colour[mirrored] - colour) / (near.sum(1, keepdims=True) + _FEW)
    carried = np.column_stack([face, np.clip(light, -_LIGHT, _LIGHT), np.ones(len(light))])
    step = max(1.0, max(width, height) / _LIGHT_CELLS)
    window = Window.over(0, 0, width, height, step)
    _, _, red, green, blue, there = backward_offsets(window, carried, face, mesh.depth[:VERTEX_COUNT], skin_triangles())
    spread = push_pull(np.dstack([red, green, blue]), (there > 0.5).astype(np.float32))
    return cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)


@cache
def _nearness() -> np.ndarray:
    """How much the light at each vertex counts at each other: (468, 468)."""
    face = neutral_mesh()[:VERTEX_COUNT]
    distance = np.linalg.norm(face[:, None] - face, axis=-1) / np.ptp(face, axis=0).max()
    return np.sum([np.exp(-0.5 * (distance / reach) ** 2) for reach in _LIT_REACHES], axis=0)

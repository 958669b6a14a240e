# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of a face that the photo hides: lent by the near side, mirrored, as the head turns it into view."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_server.engines.warp_opening import patch_around
from portrait_server.geometry.face_mesh import VERTEX_COUNT, mirrored_vertices, neutral_mesh, skin_triangles
from portrait_server.geometry.fill import push_pull
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.pose import Pose, smoothstep
from portrait_server.geometry.raster import Window, backward_offsets
from portrait_server.geometry.reference_mesh import facing

_CELLS = 512  # the longest side of the frame's grid, as the motion's
_LIGHT_CELLS = 128
# Cosines between skin and line of sight: below the first the photo shows nothing of use, above the second enough. These
# and the next were chosen on 24 rendered heads, seen from 35 degrees and turned to the front: the error of the hidden
# half of the face was 0.088, and 0.133 where nothing was lent.
_LACKING = (0.4, 0.7)
_LENDING = (0.25, 0.55)  # and how much of the other side must show
_BETTER = (0.1, 0.35)  # by how much more
_TRUSTED = (0.2, 0.5)  # how much of both sides must show for their light to be compared
_TURNED = (0.05, 0.35)  # growth of that cosine with which what is lent comes into view
_LEAST = 0.05  # a share that nobody sees
_LIT_REACHES = (0.05, 0.15)  # in face sizes: from how far off two sides' difference in light is taken
_LIGHT_SOFT = 0.03  # in face sizes
_FEW = 0.02  # compared vertices, by their trust, below which light is left as it is
_LIGHT = np.log(3.0)  # at most, one side against the other
_DARKEST = 8.0  # of 255: what is darker tells no ratio
_EDGE = 0.008  # in face sizes, softness of what is lent


@dataclass(frozen=True)
class FarSide:
    """What a photo hides of a face, and what lends it.

    Attributes:
        colours: (H, W, 3 or 4) uint8, the person's, the near side lit as the far one is.
        mesh: the geometry, in pixels of the reference; scale (2,) pixels of the frame in one of them.
        lack: (468,) 0 to 1, how far the photo lacks what the mirrored vertex shows.
        facing: (468,) the cosine between skin and line of sight in the photo.
    """

    colours: np.ndarray
    mesh: HeadMesh
    scale: np.ndarray
    lack: np.ndarray
    facing: np.ndarray

    def lend(self, person: np.ndarray, alpha: np.ndarray, pose: Pose, motion: np.ndarray) -> None:
        """Draws what comes into view over a moved person, in place.

        Args:
            person: (H, W, 3 or 4) uint8; alpha: (H, W) uint8, its matte.
            pose, motion: as `HeadMesh.moved` takes them.
        """
        whole = self.mesh.moved_whole(pose, motion)
        share = self.lack * _between(facing(whole) - self.facing, _TURNED)
        if share.max() < _LEAST:
            return
        moved, size = whole[:, :2] * self.scale, (alpha.shape[1], alpha.shape[0])
        soft = _EDGE * self.mesh.size * pose.scale * float(self.scale.min())
        patch = patch_around(moved[share > 0], 3 * soft + 2, size)
        if patch is None:
            return
        step = max(1.0, max(size) / _CELLS)
        columns, rows = max(1, round(patch.width / step)), max(1, round(patch.height / step))
        steps = patch.width / columns, patch.height / rows
        window = Window(patch.x + steps[0] / 2 - 0.5, patch.y + steps[1] / 2 - 0.5, *steps, columns, rows)
        places = self.mesh.vertices[mirrored_vertices(), :2] * self.scale
        places = np.column_stack([places, share])
        *offsets, lent = backward_offsets(window, places, moved, whole[:, 2], skin_triangles())
        sigma = max(0.5, soft / steps[0])
        # Beside the mesh there is no place to look: what is lent ends before it does.
        inwards = 2 * int(np.ceil(2 * sigma)) + 1
        lent = cv2.erode(lent, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (inwards, inwards)), borderValue=0)
        lent = np.clip(cv2.GaussianBlur(lent, (0, 0), sigma), 0, 1)
        right, down, lent = (
            cv2.resize(plane, (patch.width, patch.height), interpolation=cv2.INTER_LINEAR) for plane in (*offsets, lent)
        )
        lent = lent[..., None]
        x, y = patch.grid()
        seen = cv2.remap(self.colours, x + right, y + down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        below = alpha[patch.slices][..., None] * np.float32(1 / 255)
        covered = lent + (1 - lent) * below
        colour = person[patch.slices].astype(np.float32)
        colour += lent / np.maximum(covered, 1e-3) * (seen - colour)
        person[patch.slices] = np.clip(np.round(colour), 0, 255)
        alpha[patch.slices] = np.round(255 * covered[..., 0])


def build_far_side(person: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> FarSide | None:
    """What the near side can lend; None where the photo shows both sides.

    Args:
        person: (H, W, 3 or 4) uint8, the person's own colours in pixels of the frame.
        mesh, scale: as `Scene` keeps them.
    """
    seen = facing(mesh.whole_face())
    other = seen[mirrored_vertices()]
    lack = (1 - _between(seen, _LACKING)) * _between(other, _LENDING) * _between(other - seen, _BETTER)
    if lack.max() < _LEAST:
        return None
    colours = person.copy()
    light = _light(person[..., :3], mesh, scale, seen)
    colours[..., :3] = np.clip(np.round(person[..., :3] * np.exp(light)), 0, 255)
    return FarSide(colours, mesh, scale, lack, seen)


def _light(person: np.ndarray, mesh: HeadMesh, scale: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Logarithms (H, W, 3) of what makes a vertex's colour that of its mirrored one, as far as both are seen."""
    face, mirrored = mesh.vertices[:VERTEX_COUNT, :2] * scale, mirrored_vertices()
    soft = cv2.GaussianBlur(person, (0, 0), max(0.5, _LIGHT_SOFT * mesh.size * float(scale.min())))
    at = np.clip(np.round(face).astype(int), 0, (person.shape[1] - 1, person.shape[0] - 1))
    colour = np.log(soft[at[:, 1], at[:, 0]].astype(float) + _DARKEST)
    ratio = colour[mirrored] - colour
    trust = _between(seen, _TRUSTED)
    neutral = neutral_mesh()[:VERTEX_COUNT]
    distance = np.linalg.norm(neutral[:, None] - neutral, axis=-1) / np.ptp(neutral, axis=0).max()
    near = trust * trust[mirrored] * sum(np.exp(-0.5 * (distance / reach) ** 2) for reach in _LIT_REACHES)
    light = np.clip((near @ ratio) / (near.sum(1, keepdims=True) + _FEW), -_LIGHT, _LIGHT)
    height, width = person.shape[:2]
    step = max(1.0, max(width, height) / _LIGHT_CELLS)
    columns, rows = max(1, round(width / step)), max(1, round(height / step))
    window = Window(width / columns / 2 - 0.5, height / rows / 2 - 0.5, width / columns, height / rows, columns, rows)
    carried = np.column_stack([face, light, np.ones(len(light))])
    planes = backward_offsets(window, carried, face, mesh.depth[:VERTEX_COUNT], skin_triangles())
    spread = push_pull(np.dstack(list(planes[2:5])), (planes[5] > 0.5).astype(np.float32))
    return cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)


def _between(x: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """0 below the first limit to 1 above the second."""
    return smoothstep((x - limits[0]) / (limits[1] - limits[0]))

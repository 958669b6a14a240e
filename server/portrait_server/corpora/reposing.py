# SPDX-License-Identifier: GPL-3.0-or-later
"""A photograph warped to another pose and expression, with the exact flow between the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from portrait_shared.landmarks import GROUPS, MESH_VERTICES

from portrait_server.corpora import detected
from portrait_server.corpora.assembly import View
from portrait_server.corpora.draft import margin, middle, wide_side, widened
from portrait_server.corpora.shards import Face
from portrait_server.drawing.offsets import backward_offsets
from portrait_server.geometry.alignment import aligned_transform, compose, pixel_grid, transform_points
from portrait_server.geometry.face_mesh import VERTEX_COUNT
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.pose import Pose
from portrait_server.geometry.ramps import smoothstep
from portrait_server.geometry.raster import Window
from portrait_server.kernels.opencv import OpenCV

_IRIS: Final = 0.2  # its radius in eye widths
_SAME_PLACE: Final = 1.5  # pixels: how near the way there and back must end for a point to count as seen


@dataclass(frozen=True)
class Warped:
    """A photograph in another pose, in its own aligned frame.

    Attributes:
        wide, wide_matte: (W, W, 3) and (W, W) uint8, in its wide frame (`corpora.draft`).
        matrix: (2, 3) from the photograph's pixels, had it been taken in that pose, to the aligned frame.
        points: (70, 3) float32 and mesh (468 or 478, 3) pixels of the aligned frame.
        flow: (S, S, 2) float32, for each pixel of the photograph's aligned frame the position in the copy's.
        visibility: (S, S) uint8, 255 where the copy shows what the photograph shows there.
        origin: (S, S, 2) float32, for each pixel of the copy's aligned frame the position in the photograph's aligned frame.
    """

    wide: np.ndarray
    wide_matte: np.ndarray
    matrix: np.ndarray
    points: np.ndarray
    mesh: np.ndarray
    flow: np.ndarray
    visibility: np.ndarray
    origin: np.ndarray

    @property
    def view(self) -> View:
        """The copy, with the flow to it from the photograph."""
        return View.out_of((self.wide, self.wide_matte), self.points, self.mesh).with_flow(self.flow, self.visibility)

    def as_detected(self) -> Warped:
        """The same with the landmarks and the mesh that a detector finds in it, and aligned by these; as it is where it
        finds no face."""
        side, around = len(self.visibility), margin(len(self.visibility))
        step = np.array([around, around, 0], np.float32)
        found = detected.find(self.wide, self.points + step)
        if found is None:
            return self
        points = found.points - step
        turn = aligned_transform(points, side)
        flow = _transformed(turn, self.flow)
        inside = ((flow >= 0) & (flow <= side - 1)).all(-1)
        there = widened(compose(turn, np.array([[1, 0, -around], [0, 1, -around]], np.float32)), side)
        return Warped(
            wide=_turned(self.wide, there, cv2.INTER_CUBIC), wide_matte=_turned(self.wide_matte, there),
            matrix=compose(turn, self.matrix), points=transform_points(turn, points),
            mesh=transform_points(turn, found.mesh - step), flow=flow, visibility=self.visibility * inside,
            origin=_turned(self.origin, turn),
        )  # fmt: skip

    @property
    def shown(self) -> np.ndarray:
        """(S, S) uint8: 255 where the copy shows what the photograph shows, and nothing drawn out or made up."""
        side = len(self.visibility)
        at = np.round(self.flow[self.visibility > 0]).astype(int).clip(0, side - 1)
        shown = np.zeros((side, side), np.uint8)
        shown[at[:, 1], at[:, 0]] = 255
        block = np.ones((3, 3), np.uint8)  # closes what rounding leaves between neighbours, no more
        return cv2.erode(cv2.morphologyEx(shown, cv2.MORPH_CLOSE, block), block)


def warp(
    face: Face, head: HeadMesh, pose: Pose, expression: np.ndarray, shake: np.ndarray, matrix: np.ndarray, side: int
) -> Warped:
    """The photograph with another expression, then in another pose.

    Args:
        head: the geometry of `face`, in its pixels.
        expression: (70, 3) the landmarks before the pose carries them, pixels of the photograph.
        shake: (70, 3) what a detector gets wrong there.
        matrix: (2, 3) from the photograph to its own aligned frame.
        side: of both aligned frames, pixels.
    """
    goal = pose.apply(expression)
    vertices = head.moved(pose, goal[:, :2] - head.posed_points(pose))
    points = goal.copy()
    # Where the picture went, which need not be exactly where it was asked to.
    points[:68, :2] = vertices[list(MESH_VERTICES[:68]), :2]
    aligned = aligned_transform(points + shake, side)
    there, size = widened(aligned, side), wide_side(side)
    from_photo = cv2.invertAffineTransform(matrix)
    to_photo = cv2.invertAffineTransform(there)
    triangles = np.concatenate([head.triangles, head.openings])
    grid, wide_grid = pixel_grid(side), pixel_grid(size)

    before, after = (transform_points(matrix, array[:, :2]) for array in (head.vertices, vertices))
    moved = _places(after, before, head.depth, triangles, grid)
    flow = _transformed(there, _transformed(from_photo, moved))
    before, after = (transform_points(there, array[:, :2]) for array in (head.vertices, vertices))
    origin = _transformed(to_photo, _places(before, after, vertices[:, 2], triangles, wide_grid))

    in_frame = transform_points(there, points[:, :2])
    gaze = transform_points(there, goal[68:, :2]) - transform_points(there, pose.apply(head.points)[68:, :2])
    starts = _values(flow, transform_points(matrix, head.points[68:, :2]))
    shift = np.zeros_like(wide_grid)
    for eye, start, turn in zip(("right_eye", "left_eye"), starts, gaze, strict=True):
        shift += _eye_shift(in_frame[list(GROUPS[eye])], start, turn, size)
    points[68:, :2] = transform_points(to_photo, starts + _values(shift, starts + gaze))
    origin = _values(origin, wide_grid - shift)
    flow = flow + _values(shift, flow + _values(shift, flow))

    source = _transformed(matrix, origin)
    there_and_back = _values(source, flow)
    flow = flow - margin(side)
    inside = ((flow >= 0) & (flow <= side - 1)).all(-1)
    visible = inside & (np.linalg.norm(there_and_back - grid, axis=2) < _SAME_PLACE * max(1.0, side / 256))
    image, matte = _sampled(face, origin, float(np.linalg.norm(to_photo[:, 0])))
    return Warped(
        wide=image, wide_matte=matte, matrix=aligned,
        points=transform_points(aligned, points + shake).astype(np.float32),
        mesh=transform_points(aligned, vertices[:VERTEX_COUNT]), flow=flow, visibility=visible.astype(np.uint8) * 255,
        origin=middle(source),
    )  # fmt: skip


def _turned(picture: np.ndarray, matrix: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """A square picture under an affine (2, 3), its border continued outwards."""
    return cv2.warpAffine(picture, matrix, picture.shape[:2], flags=how, borderMode=cv2.BORDER_REPLICATE)


def _places(
    source: np.ndarray, target: np.ndarray, depth: np.ndarray, triangles: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """Where the content of each pixel (S, S, 2) comes from."""
    none = np.zeros(1)
    window = Window(none, none, 1, 1, grid.shape[1], grid.shape[0])
    (offsets,) = backward_offsets(OpenCV(), window, source, target[None], depth[None], triangles)
    return np.ascontiguousarray(grid + np.moveaxis(offsets, 0, -1))


def _eye_shift(eye: np.ndarray, pupil: np.ndarray, gaze: np.ndarray, side: int) -> np.ndarray:
    """How far (side, side, 2) the eyeball's picture moves between the lids.

    Args:
        eye: (6, 2) the lids; pupil (2,) before the move, gaze (2,) the pupil's move; pixels of the frame.
    """
    wide = float(np.linalg.norm(eye[3] - eye[0]))
    opening = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(
        opening, np.round(cv2.convexHull(eye.astype(np.float32)) * 16).astype(np.int32), 1.0, cv2.LINE_AA, 4
    )
    opening = cv2.GaussianBlur(opening, (0, 0), max(0.03 * wide, 0.4))
    columns, rows = np.arange(side) - (pupil + gaze)[0], np.arange(side)[:, None] - (pupil + gaze)[1]
    # If the shift fell to nothing over a shorter distance, the white beside the iris would fold.
    away = max(_IRIS * wide, 1.8 * float(np.linalg.norm(gaze)), 1e-3)
    share = 1 - smoothstep((np.hypot(columns, rows) - 1.1 * _IRIS * wide) / away)
    return ((opening * share)[..., None] * gaze).astype(np.float32)


def _sampled(face: Face, origin: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """The photograph and its matte at positions (W, W, 2) that lie `step` pixels apart."""
    image, matte = face.image, face.matte
    if step > 1.2:
        size = (max(1, round(image.shape[1] / step)), max(1, round(image.shape[0] / step)))
        scale = np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
        origin = (origin + 0.5) * scale - 0.5
        image, matte = (cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (image, matte))
    image = cv2.remap(image, origin, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return image, cv2.remap(matte, origin, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _transformed(matrix: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """A picture of positions (S, S, 2) float32 under an affine map (2, 3)."""
    return cv2.transform(positions, matrix.astype(np.float64))


def _values(field: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """A field (S, S, 2) read at positions (…, 2), continued at its border."""
    at = positions.astype(np.float32).reshape(-1, positions.shape[-2], 2)
    return cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(positions.shape)

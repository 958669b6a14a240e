# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame of a portrait: the person moved by its mesh, eyes and mouth drawn in, the background kept still."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from portrait_shared import landmarks

from portrait_server.drawing.mouth import MouthLayer
from portrait_server.drawing.opening import Patch, patch_around
from portrait_server.drawing.scene import Scene, blend
from portrait_server.geometry.alignment import crop
from portrait_server.geometry.face_mesh import EYES, MOUTH, skin_across
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.pose import Pose
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.geometry.raster import Window, backward_offsets, turned_towards
from portrait_server.kernels.levels import finished, held

_FIELD_CELLS = 512  # the longest side of the grid on which the motion is drawn
_DETAIL_CELLS = 256  # as much again for each opening
_STRIP_ROWS = 256
_STILL_PIXELS = 2.0  # of a 512-pixel frame: what moves by more shows nothing of the still photo
_FOLD_SLOPE = 2.5  # a motion that changes by more pixels than this in one is a fold
_FOLD_SOFTNESS = 1.2  # sigma in pixels of the frame; half as much in cells of a coarser grid
_SUBNASAL, _CHIN = (31, 32, 33, 34, 35), (7, 8, 9)
# Share of its open height at which a lid counts as shut, and at which it is taken as it is: what a detector
# calls a closed eye still has a third of its height (the eye aspect ratio falls from about 0.3 to 0.1).
_LID_SHUT, _LID_FREE = 0.3, 0.6
_LID_LEAST = 0.15  # height over width that an open eye is taken to have at least, should the photo's be nearly shut


@dataclass(frozen=True)
class Moved:
    """A person who was moved, before the background lies behind.

    Attributes:
        person: (H, W, 3 or 4) colours, eyes, mouth and a far side drawn in. alpha: (H, W) matte. See `kernels.levels`.
        field: the motion that brought them there.
        vertices: (V, 2) of the head's mesh, pixels of the frame.
        lent: how far each pixel of a patch is lent by the near side instead, (height, width) float32; or None.
    """

    person: np.ndarray
    alpha: np.ndarray
    field: Field
    vertices: np.ndarray
    lent: tuple[Patch, np.ndarray] | None


def draw_frame(scene: Scene, target: np.ndarray, matte: bool) -> np.ndarray:
    """A frame (H, W, 3 or 4) uint8 or uint16 for target points (70, 2 or 3) in pixels of the reference."""
    return composite(scene, move(scene, target), matte)


def move(scene: Scene, target: np.ndarray) -> Moved:
    """The person of a scene at target points (70, 2 or 3) in pixels of the reference."""
    mesh = scene.mesh
    pose = mesh.pose_of(target)
    posed = mesh.posed_points(pose)
    goal, shut = _with_lids_shut(target[:, :2], posed)
    vertices = mesh.moved(pose, goal - posed)
    source, moved = mesh.vertices[:, :2] * scene.scale, vertices[:, :2] * scene.scale
    triangles = np.concatenate([mesh.triangles, mesh.openings])
    field = Field(scene, source, moved, vertices[:, 2], triangles)
    person, alpha = field.carry(scene)
    lent = None if scene.far_side is None else scene.far_side.lend(person, alpha, pose, goal - posed)
    turn = np.diag(scene.scale) @ (pose.scale * pose.rotation[:2, :2]) @ np.diag(1 / scene.scale)
    deep = np.column_stack([moved, vertices[:, 2]])
    for number, (eye, (upper, lower)) in enumerate(zip(scene.eyes, EYES, strict=True)):
        if not shut[number]:
            pupil, skin = goal[68 + number] * scene.scale, turned_towards(deep[skin_across()[number]])
            eye.draw(person, deep[list(upper)], deep[list(lower)], turn, pupil, skin)
    skull, jaw = _teeth(mesh, pose, goal - posed, scene.mouth, scene.scale)
    scene.mouth.draw(person, moved[list(MOUTH[0])], moved[list(MOUTH[1])], turn, skull, jaw)
    folds = field.folds
    if folds is not None:
        for rows in field.strips():
            _smooth_folds(person[rows], alpha[rows], field.fine(folds, rows), scene.size[0] / folds.shape[1])
    return Moved(person, alpha, field, moved, lent)


def _with_lids_shut(target: np.ndarray, posed: np.ndarray) -> tuple[np.ndarray, list[bool]]:
    """The target (70, 2) with nearly closed lids brought together; for each eye whether they are."""
    goal, shut = np.array(target, float), []
    for eye in landmarks.EYES:
        pairs, corners = eye.lids, eye.corners
        wide = np.linalg.norm(posed[corners[1]] - posed[corners[0]])
        high = sum(np.linalg.norm(posed[b] - posed[a]) for a, b in pairs) / 2
        down = np.array([-(goal[corners[1]] - goal[corners[0]])[1], (goal[corners[1]] - goal[corners[0]])[0]])
        down /= np.linalg.norm(down) + 1e-6
        now = sum((goal[b] - goal[a]) @ down for a, b in pairs) / 2
        share = now / max(high, _LID_LEAST * wide, 1e-6)
        open_ = float(between(share, _LID_SHUT, _LID_FREE))
        for a, b in pairs:
            meet = goal[a] + 0.65 * (goal[b] - goal[a])
            goal[a], goal[b] = meet + open_ * (goal[a] - meet), meet + open_ * (goal[b] - meet)
        shut.append(open_ == 0)
    return goal, shut


def _teeth(
    mesh: HeadMesh, pose: Pose, motion: np.ndarray, mouth: MouthLayer, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle of the opening goes with the skull, and with the jaw: (2,) each, pixels of the frame."""
    depth = mesh.vertices[list(MOUTH[0]), 2].mean()
    carried = pose.apply(np.array([[*(mouth.middle / scale), depth]]))[0, :2]
    # The nose's base is fixed to the same bone as the upper teeth, so they share its error against the pose.
    skull = carried + motion[list(_SUBNASAL)].mean(0)
    return skull * scale, (carried + motion[list(_CHIN)].mean(0)) * scale


class Field:
    """The motion of a frame: drawn on a coarse grid, and finely at the openings."""

    def __init__(
        self, scene: Scene, source: np.ndarray, moved: np.ndarray, depth: np.ndarray, triangles: np.ndarray
    ) -> None:
        self.size = scene.size
        self._mesh = (source, moved, depth, triangles)
        step = max(1.0, max(self.size) / _FIELD_CELLS)
        self.coarse = self._offsets(0, 0, *self.size, step)
        self.as_fine_as_the_frame = self.coarse.shape[:0:-1] == self.size

    def _offsets(self, x: int, y: int, width: int, height: int, step: float) -> np.ndarray:
        return backward_offsets(Window.over(x, y, width, height, step), *self._mesh)

    def carry(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """The person's colours (H, W, C) and matte (H, W), moved."""
        person, alpha = np.empty_like(scene.person), np.empty_like(scene.matte)
        for rows in self.strips():
            from_x, from_y = (self.fine(plane, rows) for plane in self.coarse)
            to_positions(from_x, from_y, y=rows.start)
            person[rows] = _remapped(scene.person, from_x, from_y)
            alpha[rows] = _remapped(scene.matte, from_x, from_y)
        if not self.as_fine_as_the_frame:
            for upper, lower in (*EYES, MOUTH):
                self._refine(scene, person, self._mesh[1][[*upper, *lower]])
        return person, alpha

    def _refine(self, scene: Scene, person: np.ndarray, rim: np.ndarray) -> None:
        patch = patch_around(rim, 0.3 * float(np.ptp(rim[:, 0])), self.size)
        if patch is None:
            return
        step = max(1.0, max(patch.width, patch.height) / _DETAIL_CELLS)
        offsets = self._offsets(patch.x, patch.y, patch.width, patch.height, step)
        size = (patch.width, patch.height)
        from_x, from_y = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in offsets)
        to_positions(from_x, from_y, patch.x, patch.y)
        person[patch.slices] = _remapped(scene.person, from_x, from_y)

    def strips(self) -> list[slice]:
        height = self.size[1]
        return [slice(y, min(y + _STRIP_ROWS, height)) for y in range(0, height, _STRIP_ROWS)]

    def fine(self, plane: np.ndarray, rows: slice) -> np.ndarray:
        """A plane of the coarse grid, at every pixel of a strip of the frame: (rows, W) of its own."""
        if self.as_fine_as_the_frame:
            return plane[rows].copy()
        width, height = self.size
        cells = len(plane)
        at = np.clip((np.arange(rows.start, rows.stop) + 0.5) * cells / height - 0.5, 0, cells - 1)
        above = np.floor(at).astype(int)
        share = (at - above).astype(np.float32)[:, None]
        lines = plane[above] * (1 - share) + plane[np.minimum(above + 1, cells - 1)] * share
        return cv2.resize(lines, (width, len(at)), interpolation=cv2.INTER_LINEAR)

    def positions(self, rows: slice) -> np.ndarray:
        """For each pixel of a strip of the frame the place in the photo that the field takes it from: (rows, W, 2)."""
        from_x, from_y = (self.fine(plane, rows) for plane in self.coarse)
        to_positions(from_x, from_y, y=rows.start)
        return np.dstack([from_x, from_y])

    @cached_property
    def stillness(self) -> np.ndarray:
        """1 where nothing moves to 0 where it does, on the coarse grid: (rows, columns) float32."""
        still = _STILL_PIXELS * max(self.size) / 512
        distance = np.maximum(np.abs(self.coarse[0]), np.abs(self.coarse[1]))
        return (1 - smoothstep(distance / still)).astype(np.float32)

    @cached_property
    def folds(self) -> np.ndarray | None:
        """1 where near skin hides what lies behind it and the motion jumps, else 0, on the coarse grid; or None."""
        jump = np.zeros(self.coarse.shape[1:], np.float32)
        limit = _FOLD_SLOPE * self.size[0] / jump.shape[1]
        for plane in self.coarse:
            across, down = np.abs(np.diff(plane, axis=1)) > limit, np.abs(np.diff(plane, axis=0)) > limit
            jump[:, 1:][across] = jump[:, :-1][across] = 1
            jump[1:][down] = jump[:-1][down] = 1
        return np.minimum(1.5 * cv2.blur(jump, (3, 3)), 1) if jump.any() else None


def to_positions(offset_x: np.ndarray, offset_y: np.ndarray, x: int = 0, y: int = 0) -> None:
    """Makes positions of the offsets of each pixel of a patch at (x, y), in place."""
    rows, columns = offset_x.shape
    offset_x += np.arange(x, x + columns, dtype=np.float32)
    offset_y += np.arange(y, y + rows, dtype=np.float32)[:, None]


def _remapped(image: np.ndarray, from_x: np.ndarray, from_y: np.ndarray) -> np.ndarray:
    return held(cv2.remap(image, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), image.dtype)


def _smooth_folds(person: np.ndarray, alpha: np.ndarray, share: np.ndarray, cell: float) -> None:
    """Smooths colours (rows, W, C) and matte (rows, W) in place, by a share (rows, W) float32.

    Where near skin ends over what lies behind, it ends in steps as large as a cell of the grid (pixels). Colours count
    by their matte, so that a cheek takes on nothing of the background beside it.
    """
    at = np.argwhere(share > 0)
    if len(at) == 0:
        return
    (top, left), (bottom, right) = at.min(0), at.max(0) + 1
    region = slice(top, bottom), slice(left, right)
    weight = alpha[region].astype(np.float32) + 1
    sigma = _FOLD_SOFTNESS * max(1.0, cell / 2)
    box = (2 * int(np.ceil(2.5 * sigma)) + 1,) * 2
    smooth = cv2.GaussianBlur(weight, box, sigma)
    own = cv2.GaussianBlur(person[region] * weight[..., None], box, sigma) / smooth[..., None]
    for image, softer in ((person[region], own), (alpha[region], smooth - 1)):
        part = share[region] if image.ndim == 2 else share[region][..., None]
        image[...] = held(image + part * (softer - image), image.dtype)


def composite(scene: Scene, moved: Moved, matte: bool) -> np.ndarray:
    """The moved person over the still background; where nothing moves, the photo itself."""
    person, alpha, field = moved.person, moved.alpha, moved.field
    height, width, channels = person.shape
    frame = np.empty((height, width, 4 if matte else channels), person.dtype)
    stillness = field.stillness
    for rows in field.strips():
        mixed = blend(person[rows], scene.plate[rows], alpha[rows])
        mixed = _given_back(mixed, scene.rest[rows], field.fine(stillness, rows))
        frame[rows][..., :3] = mixed[..., :3]
        if matte:
            frame[rows][..., 3] = _times(alpha[rows], person[rows][..., 3]) if channels == 4 else alpha[rows]
        elif channels == 4:
            frame[rows][..., 3] = mixed[..., 3]
    return finished(frame)


def aligned_draft(scene: Scene, moved: Moved, matrix: np.ndarray, side: int) -> np.ndarray:
    """The draft (side, side, 4), colours and matte, as the networks see it, in training too.

    Args:
        matrix: (2, 3) from the frame's pixels to the target's aligned frame.
    """
    person = crop(np.ascontiguousarray(moved.person[..., :3]), matrix, side)
    plate = crop(np.ascontiguousarray(scene.plate[..., :3]), matrix, side)
    alpha = crop(moved.alpha, matrix, side)
    return np.dstack([blend(person, plate, alpha), alpha])


def _given_back(mixed: np.ndarray, rest: np.ndarray, calm: np.ndarray) -> np.ndarray:
    """Layers with what they lack of the photo, by how still it is (rows, W): in 64ths where levels are whole."""
    if rest.dtype == np.int16:
        part = np.round(64 * calm).astype(np.int16)
        return cv2.add(mixed, (rest * part[..., None]) // 64, dtype=cv2.CV_8U)
    return mixed + rest * calm[..., None]


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return held(a.astype(np.float32) * b / 255, a.dtype)

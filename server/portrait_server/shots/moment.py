# SPDX-License-Identifier: GPL-3.0-or-later
"""A moment of a shot: the face in one of its frames, as it looks where the face of another frame shall be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from portrait_shared.landmarks import MESH_VERTICES, STABLE

from portrait_server.drawing.offsets import backward_offsets
from portrait_server.geometry.face_mesh import CHEEKS, CHIN, VERTEX_COUNT, opening_triangles, skin_triangles
from portrait_server.geometry.pose import fit_pose
from portrait_server.geometry.raster import Window
from portrait_server.geometry.reference_mesh import has_depth, mesh_near, with_depth
from portrait_server.geometry.spread import spread_weights
from portrait_server.kernels.levels import levels
from portrait_server.kernels.opencv import OpenCV

_KERNELS: Final = OpenCV()
_CELLS: Final = 512  # the longest side of the grid on which a patch's motion is drawn
_MARGIN: Final = 0.1  # around the face that is kept, of its size
_SKIN_CELL: Final = 0.04  # over how much of it colours of skin are averaged
SKIN: Final = (*CHEEKS, CHIN, 200, 18, 313, 83, 57, 287, 36, 266, 280, 50, 117, 346, 151, 69, 299, 9)
"""Vertices of the mesh that lie on skin, which tells the light: cheeks, chin, around the mouth, below and above the eyes."""
_IRIS: Final = 0.093  # its radius in eye distances


@dataclass(frozen=True)
class Box:
    """A rectangle of a picture, pixels: of columns `left` to `right`, of rows `top` to `bottom`, both exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, points: np.ndarray, margin: float, inside: Box) -> Box:
        """What is within a margin of points (P, 2 or 3), as far as it is inside another."""
        low = np.floor(points[:, :2].min(0) - margin).astype(int)
        high = np.ceil(points[:, :2].max(0) + margin).astype(int) + 1
        left, top = np.clip(low, (inside.left, inside.top), (inside.right, inside.bottom)).tolist()
        right, bottom = np.clip(high, (left, top), (inside.right, inside.bottom)).tolist()
        return cls(left, top, right, bottom)

    @property
    def corner(self) -> np.ndarray:
        return np.array([self.left, self.top])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.right - self.left, self.bottom - self.top

    def of(self, picture: np.ndarray) -> np.ndarray:
        """That part of a picture (H, W, …), as a view."""
        return picture[self.top : self.bottom, self.left : self.right]


class Moment:
    """A face in one frame.

    Args:
        picture: (H, W, 3 or 4) uint8 or uint16, the whole frame; what is kept is the face alone.
        points: (70, 2 or 3) pixels of it.
        mesh: (478, 3) the face's dense mesh where it is known.
    """

    def __init__(self, picture: np.ndarray, points: np.ndarray, mesh: np.ndarray | None) -> None:
        self.points = with_depth(np.asarray(points, float))
        self.mesh = mesh_near(self.points, mesh)[:VERTEX_COUNT]
        size = float(np.ptp(self.mesh[:, :2], axis=0).max())
        self._box = Box.around(self.mesh, _MARGIN * size, Box(0, 0, picture.shape[1], picture.shape[0]))
        self._face = np.array(self._box.of(picture)[..., :3])

    @property
    def nbytes(self) -> int:
        return self._face.nbytes

    @cached_property
    def skin_colours(self) -> np.ndarray:
        """Colours (V, 3), 0 to 255, around the vertices of `SKIN`."""
        cell = max(1.0, _SKIN_CELL * float(np.ptp(self.mesh[:, :2], axis=0).max()))
        size = np.maximum(1, np.round(np.array(self._box.size) / cell)).astype(int)
        small = cv2.resize(self._face, size.tolist(), interpolation=cv2.INTER_AREA)
        at = (self.mesh[list(SKIN), :2] - self._box.corner + 0.5) * (size / self._box.size) - 0.5
        x, y = at.astype(np.float32).T
        return levels(cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))[:, 0].astype(
            np.float32
        )

    def drawn(self, target: np.ndarray, box: Box, pupil: int | None, eyes: float) -> np.ndarray:
        """The face moved to target points (70, 2 or 3), in a box of the frame: (h, w, 3) float32, 0 to 255.

        Args:
            pupil: the landmark of an iris that shall be where its point is, behind lids that do not follow it.
            eyes: the distance of the eyes, pixels.
        """
        vertices, pupils = self._carried(target)
        step = max(1.0, max(box.size) / _CELLS)
        window = Window.over(np.array([box.left]), np.array([box.top]), *box.size, step)
        triangles = np.concatenate([skin_triangles(), opening_triangles()])
        offsets = backward_offsets(
            _KERNELS, window, self.mesh[:, :2], vertices[None, :, :2], vertices[None, :, 2], triangles
        )
        right, down = (_KERNELS.resized(offsets[:, axis], box.size)[0] for axis in (0, 1))
        x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in box.size))
        if pupil is not None:
            at, where = target[pupil, :2] - box.corner, pupils[pupil - 68]
            away = np.hypot(x - at[0], y - at[1]) / (_IRIS * eyes)
            share = np.exp(-((away / 1.5) ** 4)).astype(np.float32)
            right = right - share * np.float32(target[pupil, 0] - where[0])
            down = down - share * np.float32(target[pupil, 1] - where[1])
        left, top = (box.corner - self._box.corner).tolist()
        x, y = x + left + right, y + top + down
        found = cv2.remap(self._face, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return levels(found).astype(np.float32)

    def _carried(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mesh's vertices (468, 3) for target points, and where the pupils (2, 2) then come to lie."""
        target, stable = np.asarray(target, float), list(STABLE)
        deep = bool(has_depth(target) and has_depth(self.points))
        solid = self.points if has_depth(self.points) else self._solid
        pose = fit_pose(solid[stable], target[stable] if deep else target[stable, :2])
        own = target[:, :2] - pose.apply(solid)[:, :2]
        vertices = pose.apply(self.mesh)
        vertices[:, :2] += self._spread @ own
        lids = self._spread[list(MESH_VERTICES[36:48])].reshape(2, 6, -1).mean(1)
        return vertices, pose.apply(solid)[68:70, :2] + lids @ own

    @cached_property
    def _solid(self) -> np.ndarray:
        """The points with the mesh's depth."""
        depth = self.mesh[[*MESH_VERTICES[:68], 159, 386], 2]
        return np.column_stack([self.points[:, :2], depth])

    @cached_property
    def _spread(self) -> np.ndarray:
        return spread_weights(self.mesh)

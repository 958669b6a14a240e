# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface of a head around its face, unrolled into a strip: columns go around the face, rows from it to the back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_server.geometry.face_mesh import CHIN, FOREHEAD, OVAL
from portrait_server.geometry.head_mesh import HeadMesh

_BETWEEN = 16  # places told between two of the face's 36 lines
_LONGEST = 2048  # cells around a head at most


@dataclass(frozen=True)
class Unrolled:
    """From places around a face to the strip's cells, and back.

    A place beyond the end of what the photo shows well lies outwards of it by as much as the surface is long: above the
    face's middle along lines from there, below it level, as `HeadBody.textures` has it.

    Attributes:
        middle: (2,) of the face; axes: (2, 2) unit vectors to the chin, and square to that.
        edge: (K, 2) places along the end of what is well shown, from the chin around the head to the chin, along the axes.
        along: (K,) how many cells farther around the head each is.
        first: the row at that end; rows before it are nearer to the face.
        step: pixels in a cell.
        shape: (rows, columns) of the strip.
    """

    middle: np.ndarray
    axes: np.ndarray
    edge: np.ndarray
    along: np.ndarray
    first: int
    step: float
    shape: tuple[int, int]

    @classmethod
    def of(cls, mesh: HeadMesh) -> Unrolled:
        """Of a head, as far as its vertices' `textures` reach."""
        oval = mesh.vertices[list(OVAL), :2]
        middle = (oval.min(0) + oval.max(0)) / 2
        chin = mesh.vertices[CHIN, :2] - mesh.vertices[FOREHEAD, :2]
        chin = chin / (np.linalg.norm(chin) + 1e-6)
        axes = np.array([chin, [-chin[1], chin[0]]])
        end, inner = (mesh.body.hair - middle) @ axes.T, (oval - middle) @ axes.T
        order = np.argsort(np.arctan2(end[:, 1], -end[:, 0]))
        end, inner = end[order], inner[order]
        parts, whole = np.linspace(0, len(end) - 1, (len(end) - 1) * _BETWEEN + 1), np.arange(len(end))
        edge = np.column_stack([np.interp(parts, whole, end[:, axis]) for axis in (0, 1)])
        along = np.append(0, np.cumsum(np.linalg.norm(np.diff(edge, axis=0), axis=1)))
        step = max(1.0, along[-1] / _LONGEST)
        deep = float(np.linalg.norm(end - inner, axis=1).max())
        found = cls(middle, axes, edge, along / step, int(np.ceil(deep / step)), step, (1, 1))
        textures = mesh.body.textures[mesh.body.textures.any(1)]
        reach = float(found.cells(textures)[..., 1].max(initial=0)) - found.first
        rows = found.first + max(1, int(np.ceil(reach))) + 2
        return cls(middle, axes, edge, found.along, found.first, step, (rows, int(np.ceil(found.along[-1])) + 1))

    def places(self) -> np.ndarray:
        """Where each cell of the strip lies: (rows, columns, 2) pixels."""
        columns = np.arange(self.shape[1])
        edge = np.column_stack([np.interp(columns, self.along, self.edge[:, axis]) for axis in (0, 1)])
        outwards = np.column_stack([np.minimum(edge[:, 0], 0), edge[:, 1]])
        outwards /= np.linalg.norm(outwards, axis=1, keepdims=True) + 1e-6
        far = (np.arange(self.shape[0]) - self.first) * self.step
        return self.middle + (edge + far[:, None, None] * outwards) @ self.axes

    def cells(self, places: np.ndarray) -> np.ndarray:
        """The column and row (…, 2) float, of the strip's cells, at which places (…, 2), pixels, lie."""
        down, aside = np.moveaxis((places - self.middle) @ self.axes.T, -1, 0)
        low, wide = self.edge[:, 0], np.abs(self.edge[:, 1])
        around = np.interp(
            np.arctan2(aside, -down), np.maximum.accumulate(np.arctan2(self.edge[:, 1], -low)), self.along
        )
        left, right = self.edge[:, 1] < 0, self.edge[:, 1] >= 0
        # From the chin up at one side, and down again at the other.
        rising = np.interp(-down, np.maximum.accumulate(-low[left]), self.along[left])
        falling = np.interp(down, np.maximum.accumulate(low[right]), self.along[right])
        around = np.where(down < 0, around, np.where(aside < 0, rising, falling))
        ends = np.interp(around, self.along, low), np.interp(around, self.along, wide)
        far = np.where(down < 0, np.hypot(down, aside) - np.hypot(*ends), np.abs(aside) - ends[1])
        return np.stack([around, far / self.step + self.first], -1)

    def taken(self, picture: np.ndarray, start: np.ndarray) -> np.ndarray:
        """A picture (h, w, …) float32, whose first pixel lies at `start` (2,), as the strip; 0 beside it."""
        x, y = np.moveaxis((self.places() - start).astype(np.float32), -1, 0)
        return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)

    def cells_of(self, start: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The `cells` (height, width, 2) float32 of the pixels of a picture, its first at `start` (2,)."""
        x, y = np.meshgrid(np.arange(size[0]) + start[0], np.arange(size[1]) + start[1])
        return self.cells(np.stack([x, y], -1)).astype(np.float32)


def laid(strip: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """A strip (rows, columns, C) float32 as a picture (H, W, C) whose pixels lie in such cells (H, W, 2)."""
    return cv2.remap(strip, cells, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

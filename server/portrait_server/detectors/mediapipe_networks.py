# SPDX-License-Identifier: GPL-3.0-or-later
"""What is used of MediaPipe: one interface over its two packages, of which each Python has one.

The package for Python 3.11 and 3.12, 0.10.21, has “solutions”, and brings its networks. Later packages run on any
Python; they have “tasks” alone, and bring none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

MESH_MIN_SCORE = 0.3
"""How sure the mesh's own search for a face has to be."""
MESHES = 4
"""The most that are read off in one picture."""


@dataclass(frozen=True)
class Sighting:
    """A face that BlazeFace sees, in parts of the picture's width and height.

    Attributes:
        score: 0 to 1, how sure it is.
        middle: of its box, (x, y).
        sides: of its box, (width, height).
        marks: (x, y) of the right eye, the left eye, the nose, the mouth.
    """

    score: float
    middle: tuple[float, float]
    sides: tuple[float, float]
    marks: tuple[tuple[float, float], ...]


class FaceSearch(Protocol):
    """Used from one thread at a time."""

    def find(self, picture: np.ndarray) -> list[Sighting]:
        """The faces of a picture (H, W, 3) uint8 RGB."""

    def close(self) -> None:
        """Frees what it holds."""


class MeshReader(Protocol):
    """Used from one thread at a time."""

    def find(self, picture: np.ndarray) -> list[np.ndarray]:
        """The meshes (478, 3) float32 of a picture (H, W, 3) uint8 RGB: x and z in parts of its width, y of its height."""

    def close(self) -> None:
        """Frees what it holds."""


class Networks(ABC):
    """Opens MediaPipe's networks. Their files are there, and have been checked, where there is an instance."""

    @abstractmethod
    def near_faces(self, min_score: float) -> FaceSearch:
        """BlazeFace for faces that fill much of the picture."""

    @abstractmethod
    def far_faces(self, min_score: float) -> FaceSearch:
        """BlazeFace for smaller faces."""

    @abstractmethod
    def meshes(self) -> MeshReader:
        """The face mesh, each time looked for in the whole picture."""

    @abstractmethod
    def people(self, picture: np.ndarray) -> np.ndarray:
        """How far each pixel of a picture (H, W, 3) uint8 RGB shows a person: (H, W) float32, about 0 to 1."""

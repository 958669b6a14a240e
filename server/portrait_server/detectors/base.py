# SPDX-License-Identifier: GPL-3.0-or-later
"""What every detector is: a picture in, the faces' 70 points out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DetectedFace:
    """One face of a picture.

    Attributes:
        points: (70, 3) float32 pixels, z on x's scale and smaller is nearer.
        mesh478: (478, 3) float32, MediaPipe's dense mesh where the detector has one.
        score: 0 to 1, how sure the detector is.
    """

    points: np.ndarray
    mesh478: np.ndarray | None = None
    score: float = 1.0

    @property
    def area(self) -> float:
        """Area of the landmarks' bounding box, pixels²: the largest face is the default one."""
        low, high = self.points[:68, :2].min(0), self.points[:68, :2].max(0)
        return float(np.prod(high - low))


class Detector(ABC):
    """Finds faces. Used from one thread at a time; closed when done.

    Attributes:
        name: what a user asks for (``--detector``).
    """

    name: str

    @abstractmethod
    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """All faces of one picture, the largest first; empty where there is none.

        Args:
            image: (H, W, 3) uint8 RGB.
        """

    def detect_next(self, image: np.ndarray) -> list[DetectedFace]:
        """As `detect`, for the next frame of one video: a detector may track from frame to frame."""
        return self.detect(image)

    def detect_at(self, image: np.ndarray, points: np.ndarray) -> DetectedFace | None:
        """The face that points (70, 2 or 3) mark roughly, pixels; None where there is none.

        Some detectors look there alone, without a search of the whole picture.
        """
        return min(self.detect(image), key=lambda face: _apart(face.points, points), default=None)

    @abstractmethod
    def close(self) -> None:
        """Frees what the detector holds."""


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a[:, :2] - b[:, :2], axis=1).mean())

# SPDX-License-Identifier: GPL-3.0-or-later
"""dlib's view of a face: its 68 landmarks and its descriptor, neither ever used in training.

The landmark predictor learnt from 300-W, whose terms exclude commercial use: nothing but this judge opens it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from portrait_server.model_files import FACE_DESCRIPTOR
from portrait_server.recognition.descriptor import CHIP_SIDE, Descriptor

_LANDMARKS: Final = "shape_predictor_68_face_landmarks.dat"
_PACKAGES: Final = {"dlib": "dlib-bin", "face_recognition_models": "face_recognition_models"}
_AROUND: Final = 0.25  # of the face, on every side of what is described


@dataclass(frozen=True)
class DlibFace:
    """One look at a face.

    Attributes:
        descriptor: (128,); one person's are less than 0.6 apart by dlib's own threshold.
        landmarks: (68, 2) pixels.
    """

    descriptor: np.ndarray
    landmarks: np.ndarray


def why_missing() -> str | None:
    """What has to be installed before `DlibFaces` can be made; None where nothing has."""
    absent = [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if absent:
        return f"{' and '.join(absent)} not installed (pip install {' '.join(absent)})"
    missing = [path for path in (_landmarks(), FACE_DESCRIPTOR.path) if not path.is_file()]
    return f"face_recognition_models lacks {missing[0].name}" if missing else None


class DlibFaces:
    """Looks at faces whose place is known. Costs 0.1 s of start and 120 MB; see `why_missing` first."""

    def __init__(self) -> None:
        import dlib

        self._dlib = dlib
        self._predict = dlib.shape_predictor(str(_landmarks()))
        self._descriptor = Descriptor()

    def look(self, image: np.ndarray, points: np.ndarray) -> DlibFace:
        """The face at the given landmarks.

        Args:
            image: (H, W, 3) uint8 RGB.
            points: (70, 2 or 3) pixels; only their box is used, cut at the brows as dlib's own boxes are.
        """
        (left, top), (right, bottom) = points[:68, :2].min(0), points[:68, :2].max(0)
        place = self._dlib.rectangle(int(left), int(top + 0.05 * (bottom - top)), int(right), int(bottom))
        image = np.ascontiguousarray(image)
        found = self._predict(image, place)
        landmarks = np.array([(part.x, part.y) for part in found.parts()], float)
        chip = self._dlib.get_face_chip(image, found, CHIP_SIDE, _AROUND)
        return DlibFace(self._descriptor.describe(chip), landmarks)


def _landmarks() -> Path:
    return FACE_DESCRIPTOR.path.with_name(_LANDMARKS)

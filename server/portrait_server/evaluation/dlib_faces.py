# SPDX-License-Identifier: GPL-3.0-or-later
"""dlib's view of a face: its 68 landmarks and its 128-number descriptor, neither ever used in training."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

_LANDMARKS = "shape_predictor_68_face_landmarks.dat"
_DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"
_PACKAGES: Final = {"dlib": "dlib-bin", "face_recognition_models": "face_recognition_models"}


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
    missing = [name for name in (_LANDMARKS, _DESCRIPTOR) if not (_models() / name).is_file()]
    return f"face_recognition_models lacks {missing[0]}" if missing else None


class DlibFaces:
    """Looks at faces whose place is known. Costs 0.1 s of start and 120 MB; see `why_missing` first."""

    def __init__(self) -> None:
        import dlib

        self._rectangle = dlib.rectangle
        self._predict = dlib.shape_predictor(str(_models() / _LANDMARKS))
        self._describe = dlib.face_recognition_model_v1(str(_models() / _DESCRIPTOR))

    def look(self, image: np.ndarray, points: np.ndarray) -> DlibFace:
        """The face at the given landmarks.

        Args:
            image: (H, W, 3) uint8 RGB.
            points: (70, 2 or 3) pixels; only their box is used, cut at the brows as dlib's own boxes are.
        """
        (left, top), (right, bottom) = points[:68, :2].min(0), points[:68, :2].max(0)
        place = self._rectangle(int(left), int(top + 0.05 * (bottom - top)), int(right), int(bottom))
        image = np.ascontiguousarray(image)
        found = self._predict(image, place)
        landmarks = np.array([(part.x, part.y) for part in found.parts()], float)
        return DlibFace(np.array(self._describe.compute_face_descriptor(image, found)), landmarks)


def _models() -> Path:
    # The package is only located: importing it needs setuptools' long-gone pkg_resources.
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "models"

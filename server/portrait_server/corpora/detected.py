# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks as a detector finds them in a made picture, which is what the networks get at work.

A detector errs in its own ways: it leaves shut lids and shut lips a little open, sees jaws too narrow, and shakes.
Networks that were trained on true landmarks alone would draw these errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from portrait_server.detectors.mediapipe_detector import MediaPipeDetector

_FARTHEST: Final = 0.12  # of the face's size, mean over the landmarks: farther off, something else was found


@dataclass(frozen=True)
class Found:
    """A detector's landmarks (70, 3) and dense mesh (478, 3), float32, pixels of the picture."""

    points: np.ndarray
    mesh: np.ndarray


def find(image: np.ndarray, points: np.ndarray) -> Found | None:
    """What the detector sees in a picture whose true landmarks are known.

    Args:
        image: (H, W, 3) uint8.
        points: (70, 3) pixels.

    Returns:
        None where it finds no face there, or one quite unlike it.
    """
    face = _detector().detect_at(image, points)
    if face is None or face.mesh478 is None:
        return None
    gap = np.linalg.norm(face.points[:68, :2] - points[:68, :2], axis=1).mean()
    if gap > _FARTHEST * np.ptp(points[:68, :2], axis=0).max():
        return None
    return Found(face.points.astype(np.float32), face.mesh478.astype(np.float32))


@cache
def _detector() -> MediaPipeDetector:
    """One for each process."""
    return MediaPipeDetector()

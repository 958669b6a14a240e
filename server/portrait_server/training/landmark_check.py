# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether drawn faces have their landmarks where they were asked to."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from torch import Tensor

from portrait_server.detectors.base import Detector

_ENLARGED: Final = 256  # pixels a side: detectors miss small faces
_FACELESS: Final = 0.1  # sides: what a picture counts in which no face is found


class LandmarkCheck:
    """Mean distance between the asked and the found landmarks, in sides of the frame, over the pictures looked at."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._errors: list[float] = []

    def begin(self) -> None:
        """Forgets all pictures."""
        self._errors = []

    def look(self, images: Tensor, points: Tensor) -> None:
        """Adds pictures (B, 3, S, S), 0 to 1, that were asked to have landmarks (B, 70, 3), pixels."""
        side = images.shape[-1]
        pictures = (images.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        for picture, asked in zip(pictures, points[..., :2].cpu().numpy(), strict=True):
            size = max(side, _ENLARGED)
            found = self._detector.detect(cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC))
            if not found:
                self._errors.append(_FACELESS)
                continue
            seen = (found[0].points[:, :2] + 0.5) / size - (asked + 0.5) / side
            self._errors.append(min(_FACELESS, float(np.linalg.norm(seen, axis=1).mean())))

    def error(self) -> float:
        """The mean over all pictures since `begin`."""
        return float(np.mean(self._errors)) if self._errors else 0.0

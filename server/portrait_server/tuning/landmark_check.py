# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether drawn faces have their landmarks where they were asked to."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from portrait_server.detectors.base import Detector

_ENLARGED: Final = 256  # pixels a side: detectors miss small faces
_FACELESS: Final = 0.1  # sides: what a picture counts in which no face is found


def landmark_errors(detector: Detector, images: Tensor, points: Tensor) -> Tensor:
    """(B,) mean distances between the asked and the found landmarks, in sides of the frame.

    Args:
        images: (B, 3, S, S), 0 to 1.
        points: (B, 70, 3), pixels, where they were asked to be.
    """
    side = images.shape[-1]
    size = max(side, _ENLARGED)
    pictures = (images.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    errors = []
    for picture, asked in zip(pictures, points[..., :2].cpu().numpy(), strict=True):
        enlarged = cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC)
        # Only there: a detector would search a picture without a face at every size and angle, which takes long.
        face = detector.detect_at(enlarged, (asked + 0.5) * (size / side) - 0.5)
        if face is None:
            errors.append(_FACELESS)
            continue
        seen = (face.points[:, :2] + 0.5) / size - (asked + 0.5) / side
        errors.append(min(_FACELESS, float(np.linalg.norm(seen, axis=1).mean())))
    return torch.tensor(errors)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a video cuts from one shot to another."""

from __future__ import annotations

import cv2
import numpy as np

_SIDE_PIXELS = 32
# Mean difference of the colours of two small pictures, 0 to 255. A person who moves quickly reaches 12, a cut between two
# pictures of the same person before the same wall 30; one to another person before a wall of the same brightness 20.
_CUT_DIFFERENCE = 20.0
# Against what the last frames did, so that a shaken camera is no row of cuts.
_CUT_RATIO = 3.0
_MEMORY = 0.7


class ShotCuts:
    """Sees the frames of a video in order.

    Attributes:
        flags: one bool a frame, whether it is the first of a new shot; the first frame of all is none.
    """

    def __init__(self) -> None:
        self.flags: list[bool] = []
        self._before: np.ndarray | None = None
        self._usual = 0.0

    def begins(self, image: np.ndarray) -> bool:
        """Whether this next frame, (H, W, 3) uint8, begins a new shot."""
        small = cv2.resize(image, (_SIDE_PIXELS, _SIDE_PIXELS), interpolation=cv2.INTER_AREA).astype(np.float32)
        difference = 0.0 if self._before is None else float(np.abs(small - self._before).mean())
        cut = difference > max(_CUT_DIFFERENCE, _CUT_RATIO * self._usual)
        if not cut:
            self._usual = _MEMORY * self._usual + (1 - _MEMORY) * difference
        self._before = small
        self.flags.append(cut)
        return cut

    def since(self, frames: int) -> bool:
        """Whether a shot began in this frame or in the given number of frames before it."""
        return any(self.flags[-(frames + 1) :])

# SPDX-License-Identifier: GPL-3.0-or-later
"""The loupe: a part of the photo, magnified, as it is shown beside the mouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

MAGNIFICATIONS: Final = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""How much larger than in the viewport."""
_OUTSIDE = 0.12  # grey, beside the picture


@dataclass(frozen=True)
class Loupe:
    """A square view of the photo.

    Attributes:
        centre: (2,) pixels of the photo, what it shows in its middle.
        side: of the square, pixels of the screen; scale: of them in a pixel of the photo.
    """

    centre: np.ndarray
    side: int
    scale: float

    def to_square(self, places: np.ndarray) -> np.ndarray:
        """Pixels of the photo (…, 2 or 3) to the square's, from its lower left corner, y up."""
        offset = (np.asarray(places, np.float64)[..., :2] - self.centre) * self.scale
        return offset * (1, -1) + self.side / 2

    def picture(self, photo: np.ndarray) -> np.ndarray:
        """What it shows: (side, side, 4) float32 display colours, the lowest row first. Between pixels it is smooth.

        Args:
            photo: (H, W, 3 or 4) uint8.
        """
        height, width = photo.shape[:2]
        along = (np.arange(self.side) + 0.5 - self.side / 2) / self.scale
        x, y = along + self.centre[0], -along + self.centre[1]  # of the photo, whose first pixel's middle is at 0.5
        across, up = _blend(x, width), _blend(y, height)
        first, last = (min(int(up[0].min()), height - 1), min(int(up[0].max()) + 2, height))
        rows = photo[first:last, :, :3].astype(np.float32)
        low, high, share = across
        rows = rows[:, low] * (1 - share)[None, :, None] + rows[:, high] * share[None, :, None]
        low, high, share = up
        colours = (
            rows[low - first] * (1 - share)[:, None, None]
            + rows[np.minimum(high - first, len(rows) - 1)] * share[:, None, None]
        )
        outside = ((x < 0) | (x > width))[None, :] | ((y < 0) | (y > height))[:, None]
        found = np.ones((self.side, self.side, 4), np.float32)
        found[..., :3] = np.where(outside[..., None], _OUTSIDE, colours / 255)
        return found


def _blend(places: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two pixels of a row that each place lies between, and the second one's share."""
    at = np.clip(places - 0.5, 0, length - 1)
    low = np.floor(at).astype(int)
    return low, np.minimum(low + 1, length - 1), (at - low).astype(np.float32)

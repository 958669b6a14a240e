# SPDX-License-Identifier: GPL-3.0-or-later
"""Many frames on one picture, each with its number, to judge a performance at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from portrait_server.images import read_image


def contact_sheet(frames: Sequence[Path], columns: int = 6, cell_width: int = 256) -> np.ndarray:
    """The frames in rows, from left to right.

    Args:
        frames: pictures of one size.
        columns: how many stand beside each other.
        cell_width: width of each, pixels; the height follows.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    cells = []
    for frame in frames:
        image = read_image(frame)[..., :3]
        cell_height = round(image.shape[0] * cell_width / image.shape[1])
        cell = cv2.resize(image, (cell_width, cell_height), interpolation=cv2.INTER_AREA)
        for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(
                cell, frame.stem, (6, cell_height - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, thickness, cv2.LINE_AA
            )
        cells.append(cell)
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[row : row + columns]) for row in range(0, len(cells), columns)])

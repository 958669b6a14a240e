# SPDX-License-Identifier: GPL-3.0-or-later
"""Many frames on one picture, each with its number, to judge a performance at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from portrait_server.media.images import read_image

_MOVES_ABOVE = 12  # grey levels; compression and rounding stay below
_MARGIN = 0.12  # of the moving region's larger side


def contact_sheet(frames: Sequence[Path], columns: int = 6, cell_width: int = 256) -> np.ndarray:
    """The frames in rows, from left to right, each cut to the region where something moves.

    Args:
        frames: pictures of one size.
        columns: how many stand beside each other.
        cell_width: width of each, pixels; the height follows.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    images = [read_image(frame)[..., :3] for frame in frames]
    rows, cols = _moving_region(images)
    cells = []
    for frame, image in zip(frames, images, strict=True):
        cut = image[rows, cols]
        height = round(cut.shape[0] * cell_width / cut.shape[1])
        shrinks = cell_width < cut.shape[1]
        cell = cv2.resize(cut, (cell_width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(cell, frame.stem, (6, height - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, thickness, cv2.LINE_AA)
        cells.append(cell)
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[row : row + columns]) for row in range(0, len(cells), columns)])


def _moving_region(images: Sequence[np.ndarray]) -> tuple[slice, slice]:
    """A square around all that differs from the first picture; the whole picture where nothing does."""
    height, width = images[0].shape[:2]
    moving = np.zeros((height, width), bool)
    for image in images[1:]:
        moving |= cv2.absdiff(image, images[0]).max(axis=2) > _MOVES_ABOVE
    if not moving.any():
        return slice(0, height), slice(0, width)
    ys, xs = np.flatnonzero(moving.any(axis=1)), np.flatnonzero(moving.any(axis=0))
    side = max(ys[-1] - ys[0], xs[-1] - xs[0]) * (1 + 2 * _MARGIN)
    centres = (ys[0] + ys[-1]) / 2, (xs[0] + xs[-1]) / 2
    return _clipped(centres[0], side, height), _clipped(centres[1], side, width)


def _clipped(centre: float, side: float, limit: int) -> slice:
    side = min(side, limit)
    start = int(np.clip(centre - side / 2, 0, limit - side))
    return slice(start, start + int(side))

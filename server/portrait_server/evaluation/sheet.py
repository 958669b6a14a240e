# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet of an evaluation: frames spread over each clip, the real ones above the rendered ones."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from portrait_server.evaluation.clips import spread

_COLUMNS = 8
_CELL = 160  # pixels
_LABEL_HEIGHT = 18  # pixels
_INK, _PAPER = 235, 24


def strip(label: str, frames: Sequence[np.ndarray]) -> np.ndarray:
    """A row of the sheet: its label, and below it up to 8 of the frames, spread over all of them.

    Args:
        frames: (H, W, 3) uint8 each, of any sizes.

    Returns:
        (height, width, 3) uint8, of one size for all strips.
    """
    row = np.full((_LABEL_HEIGHT + _CELL, _COLUMNS * _CELL, 3), _PAPER, np.uint8)
    cv2.putText(row, label, (4, _LABEL_HEIGHT - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (_INK,) * 3, 1, cv2.LINE_AA)
    for column, number in enumerate(spread(np.arange(len(frames)), _COLUMNS)):
        cell = _fitted(frames[number])
        top = _LABEL_HEIGHT + (_CELL - cell.shape[0]) // 2
        left = column * _CELL + (_CELL - cell.shape[1]) // 2
        row[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return row


def sheet_file(strips: Sequence[np.ndarray]) -> bytes:
    """A PNG file of strips below each other."""
    return cv2.imencode(".png", np.vstack(strips)[..., ::-1])[1].tobytes()


def _fitted(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = _CELL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)

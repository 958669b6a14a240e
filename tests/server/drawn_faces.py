# SPDX-License-Identifier: GPL-3.0-or-later
"""A drawing with huge eyes, in colours or in lines alone, the points on its face, and which pixels are the figure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SIZE = (300, 240)
_FINER = 4  # drawn at so many times the size, then averaged
_INK = (20, 20, 30)


@dataclass(frozen=True)
class DrawnFace:
    """A drawing.

    Attributes:
        image: (300, 240, 3) uint8 RGB.
        points: (70, 2) float32 pixels.
        figure: (300, 240) bool.
    """

    image: np.ndarray
    points: np.ndarray
    figure: np.ndarray


def coloured() -> DrawnFace:
    """In flat colours, before a sky."""
    canvas = np.full((_SIZE[0] * _FINER, _SIZE[1] * _FINER, 3), (196, 222, 240), np.uint8)
    figure = np.zeros(canvas.shape[:2], np.uint8)
    for middle, half, colour in (
        ((120, 300), (75, 60), (60, 90, 190)),
        ((120, 235), (19, 25), (250, 214, 170)),
        ((120, 125), (82, 95), (90, 50, 30)),
    ):
        _ellipse(canvas, middle, half, colour)
        _ellipse(figure, middle, half, 1)
        _ellipse(canvas, middle, half, _INK, 2)
    _ellipse(canvas, (120, 145), (67, 80), (255, 224, 189))
    _ellipse(figure, (120, 145), (67, 80), 1)
    _ellipse(canvas, (120, 145), (67, 80), _INK, 2)
    for x in (92, 148):
        _ellipse(canvas, (x, 142), (18, 23), (255, 255, 255))
        _ellipse(canvas, (x, 142), (18, 23), _INK, 2)
        _ellipse(canvas, (x, 146), (9, 12), (70, 130, 200))
    _ellipse(canvas, (120, 182), (25, 17), (150, 40, 50))
    _ellipse(canvas, (120, 182), (25, 17), _INK, 2)
    small = cv2.resize(canvas, _SIZE[::-1], interpolation=cv2.INTER_AREA)
    whole = cv2.resize(figure, _SIZE[::-1], interpolation=cv2.INTER_NEAREST)
    return DrawnFace(small, _points(), whole > 0)


def lines_alone() -> DrawnFace:
    """The same in black on white: figure and paper have one colour."""
    face = coloured()
    edges = cv2.dilate(cv2.Canny(cv2.cvtColor(face.image, cv2.COLOR_RGB2GRAY), 40, 100), np.ones((2, 2), np.uint8))
    return DrawnFace(np.dstack([255 - edges] * 3), face.points, face.figure)


def _ellipse(
    canvas: np.ndarray, middle: tuple[int, int], half: tuple[int, int], colour: object, width: int = 0
) -> None:
    (x, y), (a, b) = middle, half
    cv2.ellipse(
        canvas, (x * _FINER, y * _FINER), (a * _FINER, b * _FINER), 0, 0, 360, colour, width * _FINER or -1, cv2.LINE_AA
    )


def _points() -> np.ndarray:
    def around(x: float, y: float, a: float, b: float, degrees: object) -> np.ndarray:
        angle = np.radians(degrees)
        return np.column_stack([x + a * np.cos(angle), y + b * np.sin(angle)])

    eye = [180, 240, 300, 0, 60, 120]
    parts = [
        around(120, 145, 67, 80, np.linspace(180, 0, 17)),
        around(92, 118, 17, 8, np.linspace(200, 340, 5)),
        around(148, 118, 17, 8, np.linspace(200, 340, 5)),
        np.column_stack([np.full(4, 120), np.linspace(131, 160, 4)]),
        np.column_stack([np.linspace(113, 127, 5), np.full(5, 166)]),
        around(92, 142, 18, 23, eye),
        around(148, 142, 18, 23, eye),
        around(120, 182, 25, 17, np.linspace(180, 510, 12)),
        around(120, 182, 22, 14, np.linspace(180, 495, 8)),
        [(92, 146)],
        [(148, 146)],
    ]
    return np.concatenate(parts).astype(np.float32)

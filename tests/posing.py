# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up performances for tests: the 70 points of a face turned, blinking, looking, speaking.

All take and return points (70, 2 or 3) in pixels; sizes are in parts of the face's own.
"""

from __future__ import annotations

import numpy as np
from portrait_shared.landmarks import GROUPS

_LIDS = {"right": ((37, 41), (38, 40)), "left": ((43, 47), (44, 46))}


def face_size(points: np.ndarray) -> float:
    """The longer side of the landmarks' box, pixels."""
    return float(np.ptp(points[:68, :2], axis=0).max())


def turned(points: np.ndarray, yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
    """The head turned about its neck, degrees.

    Positive yaw turns it to the picture's left, positive pitch down, positive roll clockwise. Needs depth (70, 3).
    """
    x, y, z = np.radians([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    ears = (points[0] + points[16]) / 2
    neck = ears + np.array([0, 0.35 * face_size(points), 0])
    return ((points - neck) @ (about_z @ about_y @ about_x).T + neck).astype(np.float32)


def moved(points: np.ndarray, right: float = 0, down: float = 0) -> np.ndarray:
    """The head moved in the picture, in face sizes."""
    result = points.copy()
    result[:, :2] += np.array([right, down]) * face_size(points)
    return result


def blinking(points: np.ndarray, closed: float = 1.0, sides: tuple[str, ...] = ("right", "left")) -> np.ndarray:
    """Lids brought together, 0 as they are to 1 shut."""
    result = points.copy()
    for side in sides:
        for above, below in _LIDS[side]:
            meet = points[above] + 0.8 * (points[below] - points[above])
            result[above] += closed * (meet - points[above])
            result[below] += closed * (meet - points[below])
    return result


def looking(points: np.ndarray, right: float = 0, down: float = 0) -> np.ndarray:
    """Both pupils moved in the picture, in eye widths."""
    result = points.copy()
    for pupil, corners in ((68, (36, 39)), (69, (42, 45))):
        wide = np.linalg.norm(points[corners[1], :2] - points[corners[0], :2])
        result[pupil, :2] += np.array([right, down]) * wide
    return result


def speaking(points: np.ndarray, opened: float = 0.1, widened: float = 0.0) -> np.ndarray:
    """Jaw dropped by `opened` face sizes, mouth widened at each corner by `widened`."""
    size = face_size(points)
    result = points.copy()
    jaw = np.sin(np.linspace(0, np.pi, 17)) ** 2
    result[list(GROUPS["jaw"]), 1] += jaw * opened * size
    lower = {
        55: 0.75,
        56: 0.95,
        57: 1,
        58: 0.95,
        59: 0.75,
        65: 0.95,
        66: 1,
        67: 0.95,
        48: 0.3,
        54: 0.3,
        60: 0.3,
        64: 0.3,
    }
    for point, share in lower.items():
        result[point, 1] += share * opened * size
    centre = points[51, 0]
    half = abs(points[54, 0] - points[48, 0]) / 2
    for point in range(48, 68):
        result[point, 0] += widened * size * (points[point, 0] - centre) / half
    return result


def smiling(points: np.ndarray, amount: float = 0.04) -> np.ndarray:
    """Mouth's corners out and up by `amount` face sizes."""
    result = speaking(points, 0, amount)
    for point, share in {48: 1, 60: 1, 54: 1, 64: 1, 49: 0.4, 53: 0.4, 59: 0.5, 55: 0.5, 61: 0.3, 63: 0.3}.items():
        result[point, 1] -= share * amount * face_size(points)
    return result


def brows_raised(points: np.ndarray, amount: float = 0.05) -> np.ndarray:
    """Brows up by `amount` face sizes; down where negative."""
    result = points.copy()
    for group in ("right_brow", "left_brow"):
        result[list(GROUPS[group]), 1] -= amount * face_size(points)
    return result

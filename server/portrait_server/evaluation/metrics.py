# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured between a rendered and a real frame; `docs/evaluation.md` says the same in words."""

from __future__ import annotations

import cv2
import numpy as np
from portrait_shared.landmarks import GROUPS

Box = tuple[slice, slice]
"""Rows and columns of a picture."""

MOST_PSNR = 100.0  # decibels; equal pictures would have infinitely many
_MOUTH = list(GROUPS["outer_lip"] + GROUPS["inner_lip"])
_EYES = (list(GROUPS["right_eye"]), list(GROUPS["left_eye"]))
_MOUTH_MARGIN, _EYE_MARGIN = 5, 4  # pixels of a picture 256 pixels large
_WINDOW = 7  # pixels; and the constants of Wang et al., "Image quality assessment", 2004
_SSIM_C1, _SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def picture_scale(shape: tuple[int, ...]) -> float:
    """Pixels of this picture in one pixel of a picture 256 pixels large."""
    return max(shape[:2]) / 256


def head_box(points: np.ndarray, shape: tuple[int, ...]) -> Box:
    """The landmarks' box, wider by a quarter on each side, taller by half above for the hair and a tenth below."""
    low, high = points[:68, :2].min(0), points[:68, :2].max(0)
    width, height = high - low
    sides = width / 4
    return _box(low - np.array((sides, height / 2)), high + np.array((sides, height / 10)), shape)


def mouth_box(points: np.ndarray, shape: tuple[int, ...]) -> Box:
    return _box_around(points[_MOUTH], _MOUTH_MARGIN * picture_scale(shape), shape)


def eye_boxes(points: np.ndarray, shape: tuple[int, ...]) -> list[Box]:
    return [_box_around(points[eye], _EYE_MARGIN * picture_scale(shape), shape) for eye in _EYES]


def face_mask(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: the convex hull of the 68 landmarks."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points[:68, :2]).astype(np.int32)), 1)
    return mask.astype(bool)


def compare(
    made: np.ndarray, real: np.ndarray, made_before: np.ndarray, real_before: np.ndarray, points: np.ndarray
) -> dict[str, float]:
    """The figures of one frame that need no other program, by their columns (`report.COLUMNS`).

    Args:
        made, real: (H, W, 3) uint8, the rendered frame and the real one.
        made_before, real_before: the frames before them.
        points: (70, 2 or 3) pixels, the landmarks of the real frame.
    """
    head = head_box(points, real.shape)
    difference = made.astype(np.float64) - real
    error = np.abs(difference).mean(2) / 255
    change = difference[head] - (made_before[head].astype(np.float64) - real_before[head])
    return {
        "l1": float(error[head].mean()),
        "face": float(error[face_mask(points, real.shape)].mean()),
        "mouth": float(error[mouth_box(points, real.shape)].mean()),
        "eyes": float(np.mean([error[eye].mean() for eye in eye_boxes(points, real.shape)])),
        "ssim": ssim(made, real, head),
        "psnr": psnr(made[head], real[head]),
        "flicker": float(np.abs(change).mean() / 255),
    }


def psnr(made: np.ndarray, real: np.ndarray) -> float:
    """Peak signal to noise ratio of 8-bit pictures, decibels, at most `MOST_PSNR`."""
    squares = float(((made.astype(np.float64) - real) ** 2).mean())
    return min(MOST_PSNR, 10 * float(np.log10(255**2 / squares))) if squares else MOST_PSNR


def ssim(made: np.ndarray, real: np.ndarray, box: Box) -> float:
    """Structural similarity of 8-bit pictures, the mean over a box and the channels.

    A uniform window of 7 pixels and sample covariances, as scikit-image's default; windows at the box's edge
    reach beyond it.
    """
    rows, columns = box
    reach = _WINDOW // 2
    top, left = max(rows.start - reach, 0), max(columns.start - reach, 0)
    wider = np.s_[top : rows.stop + reach, left : columns.stop + reach]
    a, b = made[wider].astype(np.float64), real[wider].astype(np.float64)
    sample = _WINDOW**2 / (_WINDOW**2 - 1)
    mean_a, mean_b = _windows(a), _windows(b)
    variance_a = sample * (_windows(a * a) - mean_a**2)
    variance_b = sample * (_windows(b * b) - mean_b**2)
    covariance = sample * (_windows(a * b) - mean_a * mean_b)
    similarity = ((2 * mean_a * mean_b + _SSIM_C1) * (2 * covariance + _SSIM_C2)) / (
        (mean_a**2 + mean_b**2 + _SSIM_C1) * (variance_a + variance_b + _SSIM_C2)
    )
    return float(similarity[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left].mean())


def _windows(image: np.ndarray) -> np.ndarray:
    return cv2.blur(image, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)


def _box_around(points: np.ndarray, margin: float, shape: tuple[int, ...]) -> Box:
    return _box(points[:, :2].min(0) - margin, points[:, :2].max(0) + margin, shape)


def _box(low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> Box:
    """Rows and columns from corner to corner, both inclusive, cut to the picture."""
    limit = np.array((shape[1] - 1, shape[0] - 1))
    (left, top), (right, bottom) = (np.clip(corner, 0, limit).astype(int) for corner in (low, high))
    return slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)

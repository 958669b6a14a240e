# SPDX-License-Identifier: GPL-3.0-or-later
"""The aligned frame: a square in which every face has its eyes and its mouth in the same places.

Pixel positions are of pixel centres: the first pixel of a row is at 0.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

# Where the middle of the eyes and of the mouth come to lie, in sides of the frame. The box around the
# head that frames are scored in (`evaluation.metrics.head_box`) is about 3.4 times as large as the distance between
# them, so the whole head and some shoulder are inside.
EYES_AT: Final = (0.5, 0.42)
MOUTH_AT: Final = (0.5, 0.64)

_EYE_CORNERS, _MOUTH_CORNERS = [36, 39, 42, 45], [48, 54]
_LEAST_DISTANCE = 0.1  # between eyes and mouth, in face sizes: nearer ones tell no direction


def aligned_transform(points: np.ndarray, side: int) -> np.ndarray:
    """The similarities from a photo's pixels to the aligned frame's.

    Args:
        points: (…, 70, 2 or 3) pixels of the photo.
        side: of the aligned frame, pixels.

    Returns:
        (…, 2, 3) float32 affine matrices.
    """
    points = np.asarray(points, float)[..., :2]
    eyes, mouth = points[..., _EYE_CORNERS, :].mean(-2), points[..., _MOUTH_CORNERS, :].mean(-2)
    size = np.maximum(np.ptp(points[..., :68, :], axis=-2).max(-1), 1e-3)
    down = (mouth - eyes) @ (1, 1j)
    length, least = np.abs(down), _LEAST_DISTANCE * size
    longer = np.where(length > 1e-6 * size, down * least / np.maximum(length, 1e-9), 0.4j * size)
    goal = np.subtract(MOUTH_AT, EYES_AT) * side @ (1, 1j)
    turn = goal / np.where(length < least, longer, down)
    linear = np.stack([turn.real, -turn.imag, turn.imag, turn.real], -1).reshape(*turn.shape, 2, 2)
    shift = np.array(EYES_AT) * side - 0.5 - (linear @ eyes[..., None])[..., 0]
    return np.concatenate([linear, shift[..., None]], -1).astype(np.float32)


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (…, P, 2 or 3) through similarities (2, 3) or (…, 2, 3); depth grows by their scale."""
    points = np.asarray(points, float)
    moved = points[..., :2] @ matrix[..., :2].swapaxes(-1, -2).astype(float) + matrix[..., None, :, 2]
    if points.shape[-1] == 3:
        moved = np.concatenate([moved, points[..., 2:] * scale_of(matrix)[..., None, None]], axis=-1)
    return moved.astype(np.float32)


def scale_of(matrix: np.ndarray) -> np.ndarray:
    """How much similarities (…, 2, 3) enlarge: (…)."""
    return np.hypot(matrix[..., 0, 0], matrix[..., 1, 0]).astype(float)


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverses of affines (…, 2, 3) of fractions, of their type; nought, as OpenCV has it, of a flat one."""
    (a, b, x), (c, d, y) = (np.moveaxis(matrix[..., row, :].astype(float), -1, 0) for row in (0, 1))
    area = np.asarray(a * d - b * c)
    share = np.divide(1.0, area, out=np.zeros_like(area), where=area != 0)
    a, b, c, d = d * share, -b * share, -c * share, a * share
    found = np.stack([a, b, -a * x - b * y, c, d, -c * x - d * y], -1)
    return found.reshape(matrix.shape).astype(matrix.dtype)


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The affines (…, 2, 3) float32 that apply `first`, then `second`."""
    linear = second[..., :2].astype(float) @ first.astype(float)
    linear[..., 2] += second[..., 2]
    return linear.astype(np.float32)


def crop(image: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """The aligned frame of a photo, its border continued outwards.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32.
        matrix: (2, 3) from `aligned_transform`.
        side: pixels.

    Returns:
        (side, side) or (side, side, C) of the image's type.
    """
    height, width = image.shape[:2]
    shrink = min(1.0, float(scale_of(matrix)))
    small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    if small != (width, height):
        # Averaged first, or fine patterns would turn into coarse ones.
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        ratio = np.array([width / small[0], height / small[1]])
        matrix = compose(matrix, np.column_stack([np.diag(ratio), ratio / 2 - 0.5]))
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def pixel_grid(side: int) -> np.ndarray:
    """Where each pixel of a square frame is, x and y: (side, side, 2) float32."""
    axis = np.arange(side, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis), -1)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The aligned frame: a square in which every face has its eyes and its mouth in the same places.

Pixel positions are of pixel centres: the first pixel of a row is at 0.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from portrait_shared.landmarks import MESH_VERTICES, STABLE

from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.geometry.pose import fit_pose
from portrait_server.geometry.reference_mesh import has_depth

# Where the middle of the eyes and of the mouth come to lie, in sides of the frame. The box around the
# head that frames are scored in (`evaluation.metrics.head_box`) is about 3.4 times as large as the distance between
# them, so the whole head and some shoulder are inside.
EYES_AT: Final = (0.5, 0.42)
MOUTH_AT: Final = (0.5, 0.64)

_EYE_CORNERS, _MOUTH_CORNERS = [36, 39, 42, 45], [48, 54]
_LEAST_DISTANCE = 0.1  # between eyes and mouth, in face sizes: nearer ones tell no direction


def aligned_transform(points: np.ndarray, side: int) -> np.ndarray:
    """The similarity from a photo's pixels to the aligned frame's.

    Args:
        points: (70, 2 or 3) pixels of the photo.
        side: of the aligned frame, pixels.

    Returns:
        (2, 3) float32 affine matrix.
    """
    points = np.asarray(points, float)[:, :2]
    eyes, mouth = points[_EYE_CORNERS].mean(0), points[_MOUTH_CORNERS].mean(0)
    size = max(float(np.ptp(points[:68], axis=0).max()), 1e-3)
    down = mouth - eyes
    length = float(np.hypot(*down))
    if length < _LEAST_DISTANCE * size:
        down = down * (_LEAST_DISTANCE * size / length) if length > 1e-6 * size else np.array([0, 0.4 * size])
    goal = complex(*(np.subtract(MOUTH_AT, EYES_AT) * side))
    turn = goal / complex(*down)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    shift = np.array(EYES_AT) * side - 0.5 - linear @ eyes
    return np.column_stack([linear, shift]).astype(np.float32)


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 70, 2 or 3) through a similarity (2, 3); depth grows by its scale."""
    points = np.asarray(points, float)
    moved = points[..., :2] @ matrix[:, :2].T.astype(float) + matrix[:, 2]
    if points.shape[-1] == 3:
        moved = np.concatenate([moved, points[..., 2:] * scale_of(matrix)], axis=-1)
    return moved.astype(np.float32)


def scale_of(matrix: np.ndarray) -> float:
    """How much a similarity (2, 3) enlarges."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) float32 of an affine (2, 3)."""
    return cv2.invertAffineTransform(matrix.astype(np.float64)).astype(np.float32)


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The affine (2, 3) float32 that applies `first`, then `second`."""
    linear = second[:, :2].astype(float) @ first.astype(float)
    linear[:, 2] += second[:, 2]
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
    shrink = min(1.0, scale_of(matrix))
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


def with_depth(points: np.ndarray) -> np.ndarray:
    """Points (70, 3) float32: those without a depth get a mean face's, turned as they are."""
    if has_depth(points):
        return np.asarray(points, np.float32)
    stable = list(STABLE)
    landmarks = neutral_mesh()[list(MESH_VERTICES)] * float(np.ptp(points[:68, :2], axis=0).max())
    posed = fit_pose(landmarks[stable], points[stable, :2]).apply(landmarks)
    return np.column_stack([points[:, :2], posed[:, 2]]).astype(np.float32)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling what a picture does not show from what surrounds it."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_server.kernels.levels import held

_SMOOTH_PIXELS = 512


def push_pull(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The picture where it is known, and smoothly continued where it is not.

    Averages known pixels over ever larger cells and takes each unknown one from the finest cell that knows it
    (Gortler et al., "The Lumigraph", 1996).

    Args:
        image: (H, W, C) numbers.
        weight: (H, W) 0 unknown to 1 known.

    Returns:
        (H, W, C) float32.
    """
    height, width = weight.shape
    image, weight = np.asarray(image, np.float32), np.asarray(weight, np.float32)
    if max(height, width) <= 2:
        total = weight.sum()
        mean = (image * weight[..., None]).sum((0, 1)) / total if total > 1e-6 else image.mean((0, 1))
        return image * weight[..., None] + mean * (1 - weight[..., None])
    half = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
    known = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
    colour = cv2.resize(image * weight[..., None], half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], -1)
    colour = colour / np.maximum(known, 1e-6)[..., None]
    coarse = push_pull(colour, np.minimum(known * 2, 1))
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(image.shape)
    return image * weight[..., None] + smooth * (1 - weight[..., None])


def smoothly_continued(photo: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Unknown pixels from the known, computed small: what is made up has no detail to lose.

    Args:
        photo: (H, W, C) uint8 or float32, see `kernels.levels`.
        known: (H, W) bool.

    Returns:
        (H, W, C) of the photo's type; what is known is blurred too.
    """
    height, width = known.shape
    shrink = min(1.0, _SMOOTH_PIXELS / max(height, width))
    small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    share = known.astype(np.float32)
    weight = cv2.resize(share, small, interpolation=cv2.INTER_AREA)
    colour = cv2.resize(photo.astype(np.float32) * share[..., None], small, interpolation=cv2.INTER_AREA)
    colour = push_pull(colour / np.maximum(weight, 1e-3)[..., None], (weight > 0.05).astype(np.float32))
    colour = held(cv2.GaussianBlur(colour, (0, 0), 1.5), photo.dtype)
    return cv2.resize(colour, (width, height), interpolation=cv2.INTER_LINEAR)


def continued_where_clear(photo: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3 or 4) continued into what is transparent, so that no edge takes on a hidden colour."""
    if photo.shape[2] == 3 or photo[..., 3].all():
        return photo
    filled = photo.copy()
    clear = photo[..., 3] == 0
    filled[clear, :3] = smoothly_continued(photo[..., :3], ~clear)[clear]
    return filled

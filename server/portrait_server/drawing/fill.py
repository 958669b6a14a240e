# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling what a picture does not show from what surrounds it."""

from __future__ import annotations

import cv2
import numpy as np


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

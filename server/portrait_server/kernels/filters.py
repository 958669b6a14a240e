# SPDX-License-Identifier: GPL-3.0-or-later
"""Neighbourhoods of pixels on a device: means, Gaussians, the largest and the least, as OpenCV takes them.

Tensors are on one device, and nothing here waits for it. Kernels and the order of pixels at a border are computed in
NumPy (`gaussian_kernels`, `mirrored`), to be put there.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.nn import functional

from portrait_server.kernels.sampling import as_pictures, as_planes, held_as


def gaussian_kernels(sigmas: np.ndarray, reach: int | None, whole: bool) -> np.ndarray:
    """The kernels (N, taps) float32 of `cv2.GaussianBlur`, all as wide as the widest.

    Args:
        sigmas: (N,) pixels; 0 for a plane that stays as it is.
        reach: pixels to each side; where None as many as OpenCV takes by itself.
        whole: for pictures in whole levels: of fewer taps, and in whole 256ths.
    """
    deviations = 3 if whole else 4
    kernels = []
    for sigma in sigmas:
        if sigma <= 0:
            kernels.append(np.ones(1))
            continue
        across = int(np.rint(sigma * deviations * 2 + 1)) | 1 if reach is None else 2 * reach + 1
        kernel = cv2.getGaussianKernel(across, sigma)[:, 0]
        kernels.append(_in_256ths(kernel) if whole else kernel)
    longest = max(len(kernel) for kernel in kernels)
    return np.stack([np.pad(kernel, (longest - len(kernel)) // 2) for kernel in kernels]).astype(np.float32)


def _in_256ths(kernel: np.ndarray) -> np.ndarray:
    """A symmetric kernel rounded to 256ths, each error carried on to the next, so that the sum stays 1."""
    half = len(kernel) // 2
    rounded, error = np.zeros(len(kernel)), 0.0
    for i in range(half):
        exact = kernel[i] * 256 + error
        rounded[i] = rounded[-1 - i] = np.rint(exact)
        error = exact - rounded[i]
    rounded[half] = 256 - rounded.sum()
    return rounded / 256


def mirrored(length: int, reach: int) -> np.ndarray:
    """Which of `length` pixels each lies at, `reach` more at both ends: mirrored at the outermost (reflect 101)."""
    period = max(2 * length - 2, 1)
    at = np.arange(-reach, length + reach) % period
    return np.minimum(at, period - at) if length > 1 else np.zeros_like(at)


def convolved(pictures: torch.Tensor, kernels: torch.Tensor, columns: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Pictures (N, h, w[, C]) convolved along both axes by kernels (N or 1, taps); of their type.

    Summed tap by tap: a library's convolution picks its order, and on some devices 10 bits, by the size of the batch.

    Args:
        columns, rows: (w + taps - 1,) and (h + taps - 1,), as `mirrored` gives them.
    """
    values = pictures.to(torch.float32)
    shares = kernels.t().reshape(*kernels.shape[::-1], *[1] * (values.ndim - 1)).unbind()
    for axis, at in ((2, columns), (1, rows)):
        wider, length = values.index_select(axis, at), values.shape[axis]
        values = wider.narrow(axis, 0, length) * shares[0]
        for tap in range(1, len(shares)):
            values.addcmul_(wider.narrow(axis, tap, length), shares[tap])
    return held_as(values, pictures.dtype)


def grown(planes: torch.Tensor, across: int) -> torch.Tensor:
    """As `Kernels.grown`."""
    wide = _largest(as_planes(planes), 1, across)
    return as_pictures(_largest(wide, across, 1), planes)


def shrunk(planes: torch.Tensor, across: int) -> torch.Tensor:
    """Planes (N, h, w), each pixel the least of an ellipse around it: of each of its rows, then of the rows."""
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))
    reach = across // 2
    below = -as_planes(planes)
    padded = functional.pad(below, (0, 0, reach, reach), value=-torch.inf)
    least = below
    height = below.shape[2]
    for row, width in enumerate(element.sum(1)):
        if width:
            least = torch.maximum(least, _largest(padded[:, :, row : row + height], 1, int(width)))
    return as_pictures(-least, planes)


def _largest(planes: torch.Tensor, high: int, wide: int) -> torch.Tensor:
    """Of each pixel's neighbourhood, odd numbers of pixels high and wide; what lies outside does not count."""
    return functional.max_pool2d(planes, (high, wide), 1, (high // 2, wide // 2))


def mirrored_beyond(pictures: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Pictures (N, h, w[, C]) mirrored beyond the rectangles that hold what is inside (N, h, w) bool."""
    for axis, other in ((1, 2), (2, 1)):
        length = pictures.shape[axis]
        at = torch.arange(length, device=pictures.device)
        lines = inside.any(other)
        low = torch.where(lines, at, length - 1).amin(1, keepdim=True)
        high = torch.where(lines, at, 0).amax(1, keepdim=True)
        place = torch.where(at < low, 2 * low - at, torch.where(at > high, 2 * high - at, at))
        place = torch.minimum(torch.maximum(place, low), high).clamp(0, length - 1)
        shape = [1] * pictures.ndim
        shape[0], shape[axis] = place.shape
        pictures = pictures.take_along_dim(place.reshape(shape), axis)
    return pictures

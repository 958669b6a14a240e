# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures on a device looked up between their pixels, resized and laid over each other, as OpenCV does it.

Tensors are on one device, and nothing here waits for it. Where numbers say how (`affine_positions`, `area_taps`),
they are computed in NumPy, to be put there.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from portrait_server.kernels.base import Look

STEPS = 32  # OpenCV looks up at so many places between two pixels
_AFFINE_BITS = 1024  # and computes those of an affine map in so many
_SHARPNESS = -0.75


def looked_up(
    pictures: torch.Tensor, x: torch.Tensor, y: torch.Tensor, look: Look, outside: float | None
) -> torch.Tensor:
    """As `Kernels.looked_up`, at positions that are rounded to 32nds of a pixel, or to whole ones."""
    steps = 1 if look is Look.NEAREST else STEPS
    x, y = (torch.round(at * steps) / steps for at in (x, y))
    look = Look.LINEAR if look is Look.NEAREST else look  # the same at whole pixels
    planes = as_planes(pictures)
    if look is Look.LANCZOS or pictures.device.type == "mps":
        # Elsewhere torch knows the other two by itself; on MPS it knows neither cubic nor a border that goes on.
        found = gathered(planes, x, y, look, outside)
    else:
        mode = "bicubic" if look is Look.CUBIC else "bilinear"
        padding = "border" if outside is None else "zeros"
        if outside:  # torch has 0 beyond a picture
            found = _sampled(planes - outside, x, y, mode, padding) + outside
        else:
            found = _sampled(planes, x, y, mode, padding)
    return as_pictures(found, pictures)


def as_planes(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (N, h, w[, C]) as planes (N, C, h, w) float32."""
    planes = pictures[:, None] if pictures.ndim == 3 else pictures.permute(0, 3, 1, 2)
    return planes.to(torch.float32)


def as_pictures(planes: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Planes (N, C, h, w) float32 as pictures of the type, and with the axes, of others."""
    pictures = planes[:, 0] if like.ndim == 3 else planes.permute(0, 2, 3, 1)
    return held_as(pictures, like.dtype)


def held_as(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Numbers float32 as pictures of a type hold them, rounded and within its limits; rows lie one after the other."""
    if dtype.is_floating_point:
        return values.contiguous()
    limits = torch.iinfo(dtype)
    whole = values.round().clamp_(limits.min, limits.max)
    return whole.to(dtype, memory_format=torch.contiguous_format)


def _sampled(planes: torch.Tensor, x: torch.Tensor, y: torch.Tensor, mode: str, padding: str) -> torch.Tensor:
    """Planes (N or 1, C, h, w) at positions (N, H, W): (N, C, H, W)."""
    height, width = planes.shape[2:]
    at = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    if len(planes) == len(at):
        return functional.grid_sample(planes, at, mode=mode, padding_mode=padding, align_corners=False)
    # One picture for all frames: their positions as those of one tall frame.
    tall = functional.grid_sample(planes, at.flatten(0, 1)[None], mode=mode, padding_mode=padding, align_corners=False)
    return tall[0].unflatten(1, at.shape[:2]).transpose(0, 1)


def gathered(planes: torch.Tensor, x: torch.Tensor, y: torch.Tensor, look: Look, outside: float | None) -> torch.Tensor:
    """Planes (N or 1, C, h, w) at positions (N, H, W), pixel by pixel of those around: (N, C, H, W)."""
    count, channels, height, width = planes.shape
    colours = planes.permute(0, 2, 3, 1).reshape(count * height * width, channels)
    left, top = (torch.floor(at) for at in (x, y))
    across, down = ([share[..., None] for share in _weights(look, part)] for part in (x - left, y - top))
    before = len(across) // 2 - 1
    left, top = left.long() - before, top.long() - before
    columns = [(left + number).clamp(0, width - 1) for number in range(len(across))]
    first = torch.arange(count, device=x.device)[:, None, None] * (height * width)
    found = torch.zeros((*x.shape, channels), device=x.device)
    for j, share in enumerate(down):
        row = (top + j).clamp(0, height - 1)
        start = torch.add(first, row, alpha=width)
        line = torch.zeros_like(found)
        for i, (column, part) in enumerate(zip(columns, across, strict=True)):
            colour = colours[start + column]
            if outside is not None:
                inside = (column == left + i) & (row == top + j)
                colour = torch.where(inside[..., None], colour, outside)
            line.addcmul_(colour, part)
        found.addcmul_(line, share)
    return found.permute(0, 3, 1, 2)


def _weights(look: Look, part: torch.Tensor) -> list[torch.Tensor]:
    """How much pixels around positions count that lie so far (…) between two of them: a weight (…) for each."""
    if look is Look.LINEAR:
        return [1 - part, part]
    reach = 2 if look is Look.CUBIC else 4
    away = [(part + (reach - 1 - tap)).abs() for tap in range(2 * reach)]
    if look is Look.CUBIC:
        return [_cubic(distance) for distance in away]
    weights = [torch.sinc(distance) * torch.sinc(distance / reach) for distance in away]
    total = torch.stack(weights).sum(0)
    return [weight / total for weight in weights]


def _cubic(distance: torch.Tensor) -> torch.Tensor:
    """Keys' cubic convolution at distances (…) of at most 2 pixels, as sharp as OpenCV has it."""
    near = ((_SHARPNESS + 2) * distance - (_SHARPNESS + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance - 4
    return torch.where(distance <= 1, near, _SHARPNESS * far)


def resized(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """As `Kernels.resized`."""
    found = functional.interpolate(as_planes(planes), (size[1], size[0]), mode="bilinear", align_corners=False)
    return as_pictures(found, planes)


def affine_positions(
    matrices: np.ndarray, width: int, height: int, first: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Where a patch's pixels lie in a picture, by matrices (N, 2, 3) from the one to the other.

    Args:
        first: (N, 2) column and row of the patch's first pixel; 0 where None.

    Returns:
        (N, 2, width) what the column adds to x and y, and (N, 2, height) the row, in 1024ths of a pixel, float64 and
        whole: to be summed by `at_affine`.
    """
    matrices = np.asarray(matrices, np.float64)
    left, top = np.zeros((2, 1, 1, 1)) if first is None else first.T[..., None, None]
    columns = np.rint(matrices[:, :, :1] * (np.arange(width) + left) * _AFFINE_BITS)
    rows = np.rint((matrices[:, :, 1:2] * (np.arange(height) + top) + matrices[:, :, 2:]) * _AFFINE_BITS)
    return columns, rows + _AFFINE_BITS // STEPS // 2


def at_affine(columns: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions x and y (N, height, width) of what `affine_positions` computed, in whole 32nds of a pixel."""
    at = torch.floor((rows[..., None] + columns[:, :, None]) / (_AFFINE_BITS // STEPS)) / STEPS
    return at[:, 0], at[:, 1]


def area_taps(length: int, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How a picture's rows, or columns, shrink to fewer, each the mean of those that it covers (OpenCV's INTER_AREA).

    Args:
        length: of the picture.
        lengths: (N,) int, to which it shrinks in each frame.

    Returns:
        (N, M) int64, the first source of each of M, and (N, taps, M) float64, how much it and those after it count. M is
        the power of 2 that has room for all of the lengths: in such a picture positions are exact, so they do not depend
        on the other frames' lengths. Behind a frame's own length its last one goes on.
    """
    lengths = np.asarray(lengths)[:, None]
    ratio = length / lengths
    number = np.minimum(np.arange(1 << int(lengths.max() - 1).bit_length()), lengths - 1)
    start, end = number * ratio, np.minimum((number + 1) * ratio, length)
    first = np.minimum(np.floor(start + 1e-9), length - 1)
    source = first[:, None] + np.arange(int(np.ceil(ratio.max())) + 1)[:, None]
    covered = np.minimum(source + 1, end[:, None]) - np.maximum(source, start[:, None])
    # OpenCV leaves out what is covered by less than a thousandth.
    weights = np.where(covered > 1e-3, covered, 0) / (end - start)[:, None]
    return first.astype(np.int64), weights


def shrunk_by(pictures: torch.Tensor, first: torch.Tensor, weights: torch.Tensor, axis: int) -> torch.Tensor:
    """Pictures (N or 1, h, w, C) float32 with one axis (1 or 2) averaged as `area_taps` says: (N, …)."""
    count, taps = weights.shape[:2]
    frame = torch.arange(count, device=pictures.device)[:, None] * (len(pictures) > 1)
    last = pictures.shape[axis] - 1
    moved = pictures.transpose(1, axis)
    total = torch.zeros((count, first.shape[1], *moved.shape[2:]), device=pictures.device)
    for tap in range(taps):
        total.addcmul_(moved[frame, (first + tap).clamp(max=last)], weights[:, tap, :, None, None])
    return total.transpose(1, axis)


def shrink_first(matrices: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """To what size (N, 2) a picture shrinks before matrices (N, 2, 3) cut frames of it, and the matrices from there."""
    matrices = np.asarray(matrices, np.float32)
    shrink = np.minimum(1.0, np.hypot(matrices[:, :1, 0], matrices[:, 1:, 0]).astype(np.float64))
    size = np.array([width, height])
    small = np.maximum(1, np.rint(size * shrink)).astype(int)
    ratio = size / small
    linear = matrices[:, :, :2].astype(np.float64)
    shift = matrices[:, :, 2:] + linear @ (ratio / 2 - 0.5)[..., None]
    composed = np.concatenate([linear * ratio[:, None], shift], -1).astype(np.float32)
    return small, np.where((small == size).all(1)[:, None, None], matrices, composed)

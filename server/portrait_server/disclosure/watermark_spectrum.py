# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture holds of the watermark's waves, for every scale and angle.

A pattern that repeats has its whole spectrum in a few points. So one Fourier transform of a picture holds what it says
for every scale and angle: each is a grid of points that are looked up there.
"""

from __future__ import annotations

import math
from functools import cache, cached_property

import cv2
import numpy as np
from scipy import fft

from portrait_server.disclosure import watermark_pattern as pattern

_WORK_UNIT = 0.5  # pixels of a unit in the reduced picture: the shortest wave has 7 of them
_LONG = 10.0  # pixels of it: deviation of the blur that holds what is too long to be of the mark
_AROUND = 8.0  # … of the surroundings in which blueness is foretold from brightness and redness
_EVENED = 7.0  # … and in which what is left is made even
_LEAST_DEVIATION = 0.8  # levels of 255: less is not made larger
_MOST_DEVIATIONS = 2.5  # of one pixel: an edge is not to outshout the rest
_MOST_MODULUS = 2.0  # of one wave, in the root mean square of waves as long
_RINGS = 7
_LARGEST_FLOAT = 16.0  # of floating pictures, whose highlights know no bound
_CHANNELS = np.array(  # Y, Cb and Cr, ITU-T T.871
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


class Spectrum:
    """The summed spectrum of pictures of one size, for units of the pattern between two limits.

    Args:
        low, high: how large a unit of the pattern may be, pixels of the picture.
        size: width and height of the pictures, pixels.
    """

    def __init__(self, low: float, high: float, size: tuple[int, int]) -> None:
        self._reduction = _WORK_UNIT / math.sqrt(low * high)
        self._size = (max(round(size[0] * self._reduction), 1), max(round(size[1] * self._reduction), 1))
        self.limits = (low, high)
        # More than the picture, so that the spectrum is smooth between its points.
        self._padded = int(fft.next_fast_len(math.ceil(1.7 * max(self._size))))
        self._sum = np.zeros(self._size[::-1], np.float32)

    def add(self, picture: np.ndarray) -> None:
        """Args: picture: (H, W, 3 or 4) RGB(A), uint8, uint16 or floating in 0 … 1."""
        shrinks = self._reduction < 1
        small = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        self._sum += _residual(_levels(small))
        self.__dict__.pop("_transform", None)

    def waves(self, units: np.ndarray, angles: np.ndarray, mirrored: bool, chosen: np.ndarray) -> np.ndarray:
        """What the picture holds of the chosen waves, were it marked at these scales and angles.

        Args:
            units: (N,) pixels of the picture in a unit of the pattern.
            angles: (N,) by how much the picture was turned, radians, clockwise as seen.
            mirrored: whether left and right are taken for one another.
            chosen: (M,) indices into `pattern.WAVES`.

        Returns:
            (N, M) complex64: moduli about 1, none above 2, whatever the picture: loud waves shall not decide alone.
        """
        kx, ky = pattern.WAVES[chosen].T.astype(np.float32)
        points = (self._padded / (pattern.TILE * self._reduction * units))[:, None].astype(np.float32)
        cosine, sine = (wave(angles)[:, None].astype(np.float32) for wave in (np.cos, np.sin))
        x, y = (kx * cosine - ky * sine) * points, (kx * sine + ky * cosine) * points
        sampled = _sampled(self._transform, -x if mirrored else x, y)
        rings = _in_rings(chosen.tobytes())
        usual = np.sqrt((sampled.real**2 + sampled.imag**2) @ rings) @ (rings > 0).T.astype(np.float32)
        modulus = np.maximum(np.abs(sampled), 1e-9)
        return sampled * np.minimum(1 / np.maximum(usual, 1e-9), _MOST_MODULUS / modulus).astype(np.float32)

    @cached_property
    def _transform(self) -> np.ndarray:
        """About the picture's centre: (padded, padded) complex64, frequency 0 in the middle."""
        width, height = self._size
        whole = np.zeros((self._padded, self._padded), np.float32)
        top, left = self._padded // 2 - height // 2, self._padded // 2 - width // 2
        whole[top : top + height, left : left + width] = self._sum
        return fft.fftshift(fft.fft2(fft.ifftshift(whole)))


def _levels(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32: brightness, blueness and redness, in levels of 255."""
    if np.issubdtype(picture.dtype, np.floating):
        values = np.clip(np.nan_to_num(picture[..., :3]), 0, _LARGEST_FLOAT)
        scale = 255.0
    else:
        values, scale = picture[..., :3], 255 / np.iinfo(picture.dtype).max
    return cv2.transform(np.ascontiguousarray(values, np.float32), _CHANNELS * np.float32(scale))


def _residual(levels: np.ndarray) -> np.ndarray:
    """What of the blueness neither its long waves nor brightness and redness around foretell, made even."""
    y, blue, red = np.moveaxis(levels - cv2.GaussianBlur(levels, (0, 0), _LONG), 2, 0)
    y, blue, red = (np.ascontiguousarray(channel) for channel in (y, blue, red))

    def around(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (0, 0), _AROUND)

    # The least squares of blue = a·y + b·red in each place's surroundings; what is added keeps flat places solvable.
    yy, rr, yr, by, br = around(y * y) + 4, around(red * red) + 1, around(y * red), around(blue * y), around(blue * red)
    left = blue - ((by * rr - br * yr) * y + (br * yy - by * yr) * red) / (yy * rr - yr * yr)
    deviation = np.sqrt(cv2.GaussianBlur(left * left, (0, 0), _EVENED))
    return np.clip(left / (deviation + _LEAST_DEVIATION), -_MOST_DEVIATIONS, _MOST_DEVIATIONS)


def _sampled(spectrum: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The spectrum between its points, bilinear. x, y: distance from frequency 0, points."""
    side = spectrum.shape[0]
    x, y = np.clip(x + side // 2, 0, side - 2), np.clip(y + side // 2, 0, side - 2)
    left, top = x.astype(np.int32), y.astype(np.int32)
    right, down = x - left, y - top
    flat = spectrum.ravel()
    start = top * side + left
    upper = flat[start] * (1 - right) + flat[start + 1] * right
    lower = flat[start + side] * (1 - right) + flat[start + side + 1] * right
    return upper * (1 - down) + lower * down


@cache
def _in_rings(chosen: bytes) -> np.ndarray:
    """Means over waves of about one length: (M, rings) float32."""
    lengths = np.hypot(*pattern.WAVES[np.frombuffer(chosen, np.intp)].T)
    ring = ((lengths - pattern.LOWEST) / (pattern.HIGHEST - pattern.LOWEST + 1e-6) * _RINGS).astype(int)
    member = np.eye(_RINGS, dtype=np.float32)[ring]
    return member / np.maximum(member.sum(axis=0), 1)

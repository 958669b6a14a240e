# SPDX-License-Identifier: GPL-3.0-or-later
"""The watermark: a faint pattern of blue and yellow, added to every frame of a portrait, always the same.

Blue against yellow, at one brightness, is where eyes are dullest and photographs of people smoothest: what is easily
found there is not seen. The pattern stays where it is while the face moves, so that nothing flickers, and adding it is
an addition of two pictures.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from portrait_server.disclosure import watermark_pattern as pattern

_STRENGTH = 1.0  # root mean square of the change of Cb where nothing hides it, in levels of 255
_STRENGTH_ON_LITTLE = 1.6  # … where only a small part of a frame is marked, such as a mouth that speaks
_HIDDEN = 1.8  # how much stronger it may be where the picture is full of detail
_MOST_CHANGE = 1.97  # root mean square of the change of RGB over what is marked, levels: 42.2 dB
_PEAK = 2.4  # root mean squares; waves that meet are held below
_FULL_SIDE = 250.0  # pixels: side of the square as large as what is marked, from which on the pattern grows with it
_LARGEST_UNIT = 4.0  # pixels
# What Cb adds to RGB (ITU-T T.871): it leaves red and the brightness alone.
_COLOR = np.array([0, -0.344, 1.772], np.float32)
_ACTIVITY_SIDE = 640  # pixels
_BRIGHT = 110.0  # levels
_DETAIL = 4.0  # levels: this much local deviation hides all that can be hidden


class Watermark:
    """A watermark for frames of one size.

    Args:
        size: width and height of the frames, pixels.
        identifier: 32 bits, read again by `find_watermark`.
        weight: (H, W), 0 … 1: where the mark may lie.
        activity: (H, W), 0 … 1: where the picture's detail hides more of it (`activity_of`). None: nowhere.
        area: pixels that it will lie on in most frames, where they are but a small part of `weight`.

    Raises:
        ValueError: for an identifier beyond 32 bits, or maps of another size.
    """

    def __init__(
        self, size: tuple[int, int], identifier: int, weight: np.ndarray, activity: np.ndarray | None = None,
        area: float | None = None,
    ) -> None:  # fmt: skip
        width, height = size
        if not 0 <= identifier < 1 << 32:
            raise ValueError("A watermark's identifier has 32 bits.")
        if weight.shape != (height, width) or (activity is not None and activity.shape != weight.shape):
            raise ValueError(f"A watermark for {width} × {height} needs maps of {height} rows and {width} columns.")
        strength = weight.astype(np.float32) * (_STRENGTH if area is None else _STRENGTH_ON_LITTLE)
        if activity is not None:
            strength *= 1 + _HIDDEN * activity.astype(np.float32)
        change = (
            _wave_field(size, identifier, unit_for(float(weight.sum(dtype=np.float64)) if area is None else area))
            * strength
        )[..., None] * _COLOR
        usual = math.sqrt((change**2).sum(dtype=np.float64) / max(3 * weight.sum(dtype=np.float64), 1))
        self._change = change * np.float32(min(1, _MOST_CHANGE / max(usual, 1e-6)))
        self._parts: dict[tuple[np.dtype, int], tuple[np.ndarray, np.ndarray]] = {}

    def apply(self, frame: np.ndarray) -> np.ndarray:
        """The frame with the mark: a new array, of the same kind.

        Args:
            frame: (H, W, 3 or 4) RGB(A), uint8, uint16, or floating in 0 … 1 (display-encoded, not linear light).
                Alpha stays, and what is wholly transparent is not marked.
        """
        if frame.shape[:2] != self._change.shape[:2]:
            raise ValueError("The frame has another size than its watermark.")
        if np.issubdtype(frame.dtype, np.floating):
            marked = frame.copy()
            marked[..., :3] += (self._change / 255).astype(frame.dtype)
        else:
            more, less = self._steps(frame.dtype, frame.shape[2])
            marked = cv2.subtract(cv2.add(frame, more), less)
        if frame.shape[2] == 4:
            clear = frame[..., 3] == 0
            if clear.any():
                marked[clear] = frame[clear]
        return marked

    def get_ready(self, dtype: np.dtype, channels: int) -> None:
        """Builds now what frames of a kind are marked by: whoever measures what this holds sees all of it."""
        if not np.issubdtype(dtype, np.floating):
            self._steps(dtype, channels)

    def _steps(self, dtype: np.dtype, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """What to add and what to take away: OpenCV's sums end at black and white instead of coming round again."""
        if (dtype, channels) not in self._parts:
            steps = np.rint(self._change * (np.iinfo(dtype).max / 255))
            if channels == 4:
                steps = np.concatenate([steps, np.zeros_like(steps[..., :1])], axis=2)
            self._parts[dtype, channels] = (
                np.ascontiguousarray(np.maximum(steps, 0).astype(dtype)),
                np.ascontiguousarray(np.maximum(-steps, 0).astype(dtype)),
            )
        return self._parts[dtype, channels]


def unit_for(area: float) -> float:
    """Pixels of a unit of the pattern: larger where more pixels are marked, so that it stands being made small again."""
    return min(max(math.sqrt(math.sqrt(area) / _FULL_SIDE), 1.0), _LARGEST_UNIT)


def activity_of(image: np.ndarray) -> np.ndarray:
    """Where a picture's own detail hides a mark: (H, W) float32, 0 on flat skin and sky, 1 in hair and cloth.

    Args:
        image: (H, W, 3 or 4) RGB(A), uint8 or uint16.
    """
    height, width = image.shape[:2]
    smaller = min(1.0, _ACTIVITY_SIDE / math.sqrt(height * width))  # detail finer than this hides nothing of the mark
    size = (max(round(width * smaller), 1), max(round(height * smaller), 1))
    small = image[..., :3] if smaller == 1 else cv2.resize(image[..., :3], size, interpolation=cv2.INTER_AREA)
    levels = small.astype(np.float32).mean(axis=2) * (255 / np.iinfo(image.dtype).max)
    across = max(1.5, math.sqrt(size[0] * size[1]) / 200)
    fine = levels - cv2.GaussianBlur(levels, (0, 0), across)
    # Sharp edges are few pixels wide: their square root keeps them from lighting up all that lies around them.
    deviation = cv2.GaussianBlur(np.sqrt(np.abs(fine)), (0, 0), across) ** 2
    # A single edge hides nothing in the flat skin beside it: detail counts where it is on all sides.
    round_about = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(2 * across) + 1,) * 2)
    everywhere = cv2.GaussianBlur(cv2.erode(deviation, round_about), (0, 0), 1.5 * across)
    bright = np.clip(cv2.GaussianBlur(levels, (0, 0), across) / _BRIGHT, 0, 1)  # in dark hair a tint shows more
    activity = np.clip(everywhere / _DETAIL, 0, 1).astype(np.float32) * bright
    return activity if smaller == 1 else cv2.resize(activity, (width, height), interpolation=cv2.INTER_LINEAR)


def _wave_field(size: tuple[int, int], identifier: int, unit: float) -> np.ndarray:
    """The sum of all waves over a frame: (H, W) float32, root mean square about 1, its peaks held down."""
    highest = int(pattern.HIGHEST)
    amplitudes = np.zeros((2 * highest + 1, highest + 1), np.complex128)  # [ky, kx]
    kx, ky = pattern.WAVES.T
    amplitudes[ky + highest, kx] = pattern.phasors(identifier) * math.sqrt(2 / pattern.COUNT)
    turn = 2j * np.pi / (pattern.TILE * unit)
    along_x = np.exp(turn * np.outer(np.arange(size[0]), np.arange(highest + 1)))
    along_y = np.exp(turn * np.outer(np.arange(size[1]), np.arange(-highest, highest + 1))) @ amplitudes
    # In doubles: their last digits, which differ between machines, are too small to change a rounded pixel.
    waves = along_y.real @ along_x.real.T - along_y.imag @ along_x.imag.T
    return (_PEAK * np.tanh(waves / _PEAK)).astype(np.float32)

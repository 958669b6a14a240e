# SPDX-License-Identifier: GPL-3.0-or-later
"""Small photographs of a face, and how it speaks."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import skimage.data
from portrait_server.detectors.registry import create_detector

PERIOD = 50
"""Frames after which the speech repeats."""


@functools.cache
def photo(side: int) -> np.ndarray:
    """(side, side, 3) uint8."""
    picture = skimage.data.astronaut()[:256, 96:352]
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


@functools.cache
def landmarks(side: int) -> np.ndarray:
    """(70, 3) float32 on `photo`."""
    found = create_detector("mediapipe").detect(photo(256))[0].points.astype(np.float32)
    return np.ascontiguousarray(found * np.float32(side / 256))


def speech(side: int, frames: int) -> np.ndarray:
    """(frames, 70, 3): the mouth opens and the head nods, again after each `PERIOD`, to the bit."""
    phase = np.arange(frames) % PERIOD * (2 * np.pi / PERIOD)
    points = np.repeat(landmarks(side)[None], frames, 0)
    points[:, 55:60, 1] += (side * 0.02 * (1 - np.cos(phase)))[:, None]
    points[:, :, 1] += (side * 0.01 * np.sin(phase))[:, None]
    return points.astype(np.float32)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What photographs differ in beside the face: colour, compression, sharpness; and how detectors tremble."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
# At most, in eye distances. MediaPipe's points deviate by 0.004 each and 0.002 together between shifted and
# recompressed copies of a portrait.
_TREMBLE = 0.006
_ALL_TREMBLE = 0.004


@dataclass(frozen=True)
class Colors:
    """One change of colour, the same for all pictures of a sample.

    Attributes:
        matrix: (3, 3) applied to RGB in 0 to 1; offset (3,) added after it.
        gamma: the power taken last.
    """

    matrix: np.ndarray
    offset: np.ndarray
    gamma: float

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(…, 3) uint8 to the same."""
        # Tables for the power: a float power of every pixel costs more than the rest together.
        table = np.round(255 * (np.arange(1024) / 1023) ** self.gamma).astype(np.uint8)
        changed = cv2.transform(
            image.reshape(-1, 1, 3).astype(np.float32), self.matrix.astype(np.float32) * (1023 / 255)
        )
        changed += (self.offset * 1023).astype(np.float32)
        np.clip(changed, 0, 1023, out=changed)
        return table[changed.astype(np.int16)].reshape(image.shape)


def random_colors(rng: np.random.Generator) -> Colors:
    """Light, contrast, saturation and warmth; sometimes grey or sepia, as old photographs and drawings are."""
    saturation = rng.uniform(0.6, 1.3)
    tint = np.exp(rng.normal(0, 0.04, 3))
    old = rng.random()
    if old < 0.06:
        saturation = 0.0
        tint = np.array([1.06, 1.0, 0.88]) if old < 0.02 else np.ones(3)
    contrast, light = rng.uniform(0.75, 1.15), rng.uniform(-0.08, 0.08)
    matrix = saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), _GREY)
    matrix = contrast * np.diag(tint) @ matrix
    return Colors(matrix, np.full(3, 0.5 * (1 - contrast) + light), float(np.exp(rng.normal(0, 0.18))))


def degraded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture (H, W, 3) uint8 as it comes: now and then a little soft, noisy, or compressed."""
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8))
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(1, 5), image.shape).astype(np.float32)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.35:
        quality = int(rng.integers(45, 96))
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return image


def tremble(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A detector's error (70, 3) on points (70, 3): each point's own, and one that all share."""
    size = float(np.linalg.norm(points[36:42, :2].mean(0) - points[42:48, :2].mean(0)))
    strength = size * rng.uniform(0, 1)
    noise = rng.normal(0, _TREMBLE, points.shape) + rng.normal(0, _ALL_TREMBLE, 3)
    return (strength * noise).astype(np.float32)

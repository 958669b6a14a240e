# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine without weights: geometry alone moves the pixels of the photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import LANDMARK_COUNT

from portrait_server.engines.base import Engine, Reference

GRID = 48


@dataclass(frozen=True)
class WarpPortrait:
    """What the engine keeps of a reference: its picture (H, W, 3 or 4) and its points (70, 3)."""

    image: np.ndarray
    points: np.ndarray


class WarpEngine(Engine):
    """Moves the first reference's pixels by the difference between its points and the target's."""

    name = "warp"
    fingerprint = "warp-0"
    batch_size = 4

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def prepare(self, references: Sequence[Reference]) -> WarpPortrait:
        first = references[0]
        image = np.asarray(first.image)
        if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype != np.uint8:
            raise PortraitError(ErrorCode.BAD_IMAGE, "The reference is not an RGB or RGBA picture of 8 bits.")
        return WarpPortrait(np.ascontiguousarray(image), _checked(first.points))

    def render(self, portrait: WarpPortrait, points: np.ndarray, size: tuple[int, int], matte: bool) -> np.ndarray:
        return np.stack([self._frame(portrait, row, size, matte) for row in points])

    def _frame(self, portrait: WarpPortrait, row: np.ndarray, size: tuple[int, int], matte: bool) -> np.ndarray:
        height, width = portrait.image.shape[:2]
        source, target = portrait.points[:, :2], _checked(row)[:, :2]
        image = portrait.image
        if matte and image.shape[2] == 3:
            image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
        if not np.array_equal(source, target):
            limit = np.array([width, height], np.float32)
            offset = _offsets(np.clip(target, -limit, 2 * limit), source, (width, height))
            field = cv2.resize(offset, (width, height), interpolation=cv2.INTER_LINEAR)
            x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
            image = cv2.remap(
                image, x + field[..., 0], y + field[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
        if size != (width, height):
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC)
        return image


def _checked(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, np.float32)
    if points.shape not in ((LANDMARK_COUNT, 2), (LANDMARK_COUNT, 3)) or not np.isfinite(points).all():
        raise PortraitError(ErrorCode.BAD_POINTS, "The landmarks are not 70 finite points.")
    if np.ptp(points[:, :2], axis=0).max() < 1:
        raise PortraitError(ErrorCode.BAD_POINTS, "The landmarks all lie in one place.")
    return points


def _offsets(target: np.ndarray, source: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where each cell of a coarse grid comes from, as an offset in pixels: (GRID, GRID, 2) float32."""
    width, height = size
    border = np.array([[x, y] for x in (0, 0.5, 1) for y in (0, 0.5, 1) if (x, y) != (0.5, 0.5)]) * (width, height)
    centres = np.concatenate([target, border])
    values = np.concatenate([source - target, np.zeros_like(border)])
    count = len(centres)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(centres, centres) + 1e-3 * np.mean(size) * np.eye(count)
    system[:count, count:] = np.column_stack([np.ones(count), centres])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    x = (np.arange(GRID) + 0.5) * width / GRID - 0.5
    y = (np.arange(GRID) + 0.5) * height / GRID - 0.5
    at = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    field = _kernel(at, centres) @ weights[:count] + np.column_stack([np.ones(len(at)), at]) @ weights[count:]
    return field.reshape(GRID, GRID, 2).astype(np.float32)


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return 0.5 * squared * np.log(squared + 1e-9)

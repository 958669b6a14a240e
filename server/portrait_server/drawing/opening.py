# SPDX-License-Identifier: GPL-3.0-or-later
"""Openings of the face (eyes, mouth): their outline, and the patch of frame around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from portrait_server.kernels.levels import held

LEAST_WIDTH = 2.0  # pixels: what is narrower shows no inside
_SHIFT = 4
_FINE = 4  # points of the drawn outline for each of the rim's


@dataclass(frozen=True)
class Patch:
    """A rectangle of the frame: its top left corner and its size, pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel positions x (height, width) and y, float32."""
        x = np.arange(self.x, self.x + self.width, dtype=np.float32)
        y = np.arange(self.y, self.y + self.height, dtype=np.float32)
        return tuple(np.meshgrid(x, y))  # type: ignore[return-value]


def patch_around(points: np.ndarray, margin: float, size: tuple[int, int]) -> Patch | None:
    """The part of a frame (width, height) within `margin` pixels of the points (N, 2); None where there is none."""
    low = np.clip(np.floor(points.min(0) - margin), 0, size).astype(int)
    high = np.clip(np.ceil(points.max(0) + margin) + 1, 0, size).astype(int)
    if (high - low).min() < 1:
        return None
    return Patch(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def curve(rim: np.ndarray) -> np.ndarray:
    """A smooth line (M, 2) through the rim's points (N, 2)."""
    at = np.arange(len(rim))
    return CubicSpline(at, rim)(np.linspace(0, len(rim) - 1, _FINE * (len(rim) - 1) + 1))


def opening_mask(upper: np.ndarray, lower: np.ndarray, patch: Patch, softness: float) -> np.ndarray:
    """How far each pixel of the patch lies in the opening between two rims (N, 2): (height, width) float32."""
    above, below = curve(upper), curve(lower)
    outline = np.concatenate([above, below[::-1]]) - (patch.x, patch.y)
    outline = np.clip(outline, -(1 << 14), 1 << 14)
    mask = np.zeros((patch.height, patch.width), np.uint8)
    fixed = np.round(outline * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
    if softness > 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), softness)
    return mask.astype(np.float32) / 255


def depth_below(rim: np.ndarray, patch: Patch) -> np.ndarray:
    """How far each pixel of the patch lies below a rim (N, 2), square to the line between its ends: (height, width)."""
    along = rim[-1] - rim[0]
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-along[1], along[0]])
    x, y = patch.grid()
    x, y = x - rim[0, 0], y - rim[0, 1]
    return x * down[0] + y * down[1] - line_height(rim, rim[0], along, down, x * along[0] + y * along[1])


def line_height(
    line: np.ndarray, origin: np.ndarray, along: np.ndarray, down: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """How far down a line (N, 2) is, so far to the right of an origin (2,): of `right`'s shape, pixels.

    Args:
        along, down: (2,) unit vectors.
    """
    at, height = (line - origin) @ along, (line - origin) @ down
    order = np.argsort(at)
    return np.interp(right, at[order], height[order])


def covered(skin: np.ndarray, rim: np.ndarray, depth: float, patch: Patch) -> np.ndarray | float:
    """How far nearer skin hides each pixel of an opening, as the bridge of the nose does an eye in profile.

    Args:
        skin: (T, 3, 3) triangles that may be in front, turned towards the viewer: pixels of the frame, and depth; the
            smaller, the nearer.
        rim: (N, 2) the opening's, and the depth of its nearest point.

    Returns:
        (height, width) float32, 0 to 1; 0 where nothing is in front.
    """
    over = (skin[..., :2].max(1) > rim.min(0)).all(1) & (skin[..., :2].min(1) < rim.max(0)).all(1)
    over &= skin[..., 2].max(1) < depth
    if not over.any():
        return 0.0
    mask = np.zeros((patch.height, patch.width), np.uint8)
    corners = np.clip(skin[over, :, :2] - (patch.x, patch.y), -(1 << 14), 1 << 14)
    for triangle in np.round(corners * (1 << _SHIFT)).astype(np.int32):
        cv2.fillConvexPoly(mask, triangle, 255, cv2.LINE_8, _SHIFT)
    return cv2.blur(mask, (3, 3)).astype(np.float32) / 255


def mix(frame: np.ndarray, patch: Patch, colour: np.ndarray, share: np.ndarray) -> None:
    """Lays colours (height, width, 3) over a patch of the frame, in place; an alpha channel is kept."""
    region = frame[patch.slices][..., :3]
    mixed = region + (colour - region) * share[..., None]
    region[...] = held(mixed, region.dtype)


def drawn_back(linear: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions x and y undone by a linear map (2, 2); as they are where it is flat. float32."""
    (a, b), (c, d) = linear
    area = a * d - b * c
    if abs(area) < 0.05:
        return x.astype(np.float32), y.astype(np.float32)
    return ((d * x - b * y) / area).astype(np.float32), ((a * y - c * x) / area).astype(np.float32)

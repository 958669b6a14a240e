# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on a neutral head lips, brows, beard, blush and hair are; lengths are centimetres of the neutral head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from portrait_shared.landmarks import GROUPS

from portrait_server.corpora.rendered.head_model import HeadModel, Part
from portrait_server.geometry.ramps import between, smoothstep

_LIP_RIM = 0.12
_BROW = 0.42  # half its height at the thickest
_NECK = (-17.0, -8.5)  # between these heights the neck turns with the head more and more


@dataclass(frozen=True)
class Regions:
    """Masks (V,) float32, 0 to 1, of a head model's vertices.

    Attributes:
        tints: (V, 4) lips, blush, brows, beard.
        scalp: (V,) centimetres inside the hairline, negative outside.
        turns: (V,) how far a vertex turns with the head; the neck's foot stays with the body.
        shade: (V,) light that reaches the skin under chin and jaw.
    """

    tints: np.ndarray
    scalp: np.ndarray
    turns: np.ndarray
    shade: np.ndarray


def regions_of(model: HeadModel) -> Regions:
    vertices, points = model.vertices, model.vertices[model.landmarks]
    x, y, z = vertices.T
    skin = model.parts == Part.SKIN
    front = skin & (z > points[[36, 45], 2].mean() - 4)
    lips = np.where(front, _inside(vertices, points[list(GROUPS["outer_lip"])], _LIP_RIM), 0)
    lips *= z > points[[48, 54], 2].mean() - 1.2
    brows = np.maximum(*(_along(vertices, points[list(GROUPS[name])]) for name in ("right_brow", "left_brow")))
    blush = np.maximum.reduce(
        [
            _around(vertices, points[i] * [0.78, 0, 0] + [0, points[33, 1] + 0.4, points[i, 2] + 3.5], 2.2)
            for i in (2, 14)
        ]
        + [0.8 * _around(vertices, points[30], 1.3), 0.4 * _around(vertices, points[8], 1.5)]
    )
    below = points[33, 1] - 0.6 - y + 0.12 * (np.abs(x) - 4) ** 2 * (np.abs(x) > 4)
    beard = (
        smoothstep(below / 2.5) * smoothstep((y - points[8, 1] + 3.0) / 1.5) * smoothstep((z + 0.5) / 2) * (1 - lips)
    )
    neck = smoothstep((points[8, 1] + 0.2 - y) / 1.5) * smoothstep((points[8, 2] + 0.5 - z) / 2.5)
    tints = np.stack([lips, blush, np.where(front, brows, 0), beard], 1)
    return Regions(
        (tints * skin[:, None]).astype(np.float32),
        np.where(skin, _scalp(vertices, points), -9).astype(np.float32),
        np.where(skin, between(y, *_NECK), 1.0).astype(np.float32),
        np.where(skin, 1 - 0.3 * neck, 1).astype(np.float32),
    )


def _scalp(vertices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Signed distance inside an ordinary hairline: above the forehead, before the ears, down to the nape."""
    x, y, z = vertices.T
    brow = points[[19, 24], 1].mean()
    forehead = y - (brow + 5.0) + 0.035 * x**2 - 0.10 * (z - 9)
    sides = np.minimum(np.minimum(4.3 - z, y - 1.5), np.abs(x) - 5.0)
    back = np.minimum(-1.5 - z, y + 7.5)
    ears = np.minimum.reduce([8.0 - np.abs(x) + 0.6 * np.maximum(y - 4.5, 0)])
    return np.minimum(np.maximum.reduce([forehead, sides, back]), np.where((y < 6) & (z > -3), ears, 9))


def _inside(vertices: np.ndarray, outline: np.ndarray, rim: float) -> np.ndarray:
    """1 inside the outline as seen from in front, 0.5 on it."""
    polygon = (outline[:, :2] * 100).astype(np.float32)
    distance = [cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in vertices[:, :2] * 100]
    return smoothstep(0.5 + np.array(distance) / 100 / rim / 2)


def _along(vertices: np.ndarray, line: np.ndarray) -> np.ndarray:
    """1 on a line of points (N, 3), thinning towards the temple, 0 beside it."""
    steps = np.linspace(0, len(line) - 1, 40)
    dense = np.stack([np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in range(3)], 1)
    gaps = np.linalg.norm(vertices[:, None, :] - dense[None], axis=2)
    nearest = gaps.argmin(1)
    inward = 1 - np.abs(dense[nearest, 0]) / np.abs(dense[:, 0]).max()
    thick = _BROW * (0.55 + 0.45 * np.clip(inward * 2.2, 0, 1))
    return np.clip(1 - gaps.min(1) / (1.6 * thick), 0, 1)


def _around(vertices: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    return np.exp(-((vertices - centre) ** 2).sum(1) / (2 * radius**2))

# SPDX-License-Identifier: GPL-3.0-or-later
"""A photographed face laid on the head model: its shape fitted, and where in the picture each vertex shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from portrait_server.corpora.rendered.head_model import HeadModel, Part
from portrait_server.corpora.rendered.skin_regions import Regions
from portrait_server.corpora.shards import Face
from portrait_server.geometry.ramps import smoothstep

_SHAPES: Final = 40  # of the identity modes, the largest
_ROUNDS: Final = 3
_STIFF_SHAPE, _STIFF_EXPRESSION = 0.25, 0.8  # what keeps coefficients near 0 where the landmarks do not ask for more
_DEPTH_WEIGHT: Final = 0.35  # in the fit: a detector's depth is a guess
_JAW_WEIGHT: Final = 0.6  # its jaw line lies a little elsewhere than the model's
_HARDLY_SEEN, _WELL_SEEN = 0.15, 0.5  # cosine between skin and line of sight
_TO_MODEL: Final = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Fit:
    """A head model on a photograph: pixel = scale * rotation @ vertex + shift, on y up, z towards the viewer.

    Attributes:
        identity: (40,) coefficients; expression (E,) weights.
    """

    identity: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    scale: float
    shift: np.ndarray


@dataclass(frozen=True)
class Skin:
    """A photograph as skin.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        places: (V, 2) float32, 0 to 1, of the head model's vertices in the picture.
        trust: (V,) float32, how well the picture shows each.
        identity: (40,) coefficients of the fitted shape.
        color, hair: (3,) the means of skin and hair, linear.
    """

    image: np.ndarray
    places: np.ndarray
    trust: np.ndarray
    identity: np.ndarray
    color: np.ndarray
    hair: np.ndarray


def fit_head(model: HeadModel, points: np.ndarray) -> Fit:
    """The head model laid on landmarks (70, 3) in pixels."""
    goal = points[:68] * _TO_MODEL
    modes = np.concatenate([model.identity[:_SHAPES, model.landmarks], model.expressions[:, model.landmarks]])
    modes = modes.astype(float)
    neutral = model.vertices[model.landmarks].astype(float)
    shapes = min(_SHAPES, len(model.identity))
    low = np.concatenate([np.full(shapes, -3.0), np.zeros(len(modes) - shapes)])
    high = np.concatenate([np.full(shapes, 3.0), np.ones(len(modes) - shapes)])
    stiff = np.concatenate([np.full(shapes, _STIFF_SHAPE), np.full(len(modes) - shapes, _STIFF_EXPRESSION)])
    weights = np.ones((68, 3))
    weights[:, 2] = _DEPTH_WEIGHT
    weights[:17] *= _JAW_WEIGHT
    found = np.zeros(len(modes))
    for _ in range(_ROUNDS):
        rotation, scale, shift = _similarity(neutral + np.tensordot(found, modes, 1), goal, weights[:, 0])
        gap = (goal - shift) @ rotation / scale - neutral
        rows = (modes * weights).reshape(len(modes), -1)
        found = _bounded(rows @ rows.T + np.diag(stiff**2), rows @ (gap * weights).reshape(-1), low, high)
    return Fit(found[:shapes], found[shapes:], rotation, scale, shift)


def skin_from(face: Face, fit: Fit, model: HeadModel, regions: Regions) -> Skin:
    """The photograph as skin for a fitted head."""
    count = len(model.vertices)
    weights = {name: float(weight) for name, weight in zip(model.names, fit.expression, strict=True)}
    identity = np.zeros(len(model.identity))
    identity[: len(fit.identity)] = fit.identity
    head = model.shaped(identity) + model.expression(weights)
    seen = fit.scale * head @ fit.rotation.T + fit.shift
    landmarks = seen[model.landmarks]
    skin = np.flatnonzero((model.parts == Part.SKIN) & (model.vertices[:, 2] > -4))
    places = seen[:, :2].copy()
    places[skin] += _spread(seen[skin], landmarks, (face.points[:68] * _TO_MODEL - landmarks)[:, :2])
    places[:, 1] *= -1
    facing = _facing(seen, model.triangles[model.parts[model.triangles[:, 0]] == Part.SKIN], count)
    height, width = face.image.shape[:2]
    places = (places + 0.5) / [width, height]
    inside = smoothstep((0.5 - np.abs(places - 0.5).max(1)) / 0.04)
    trust = smoothstep((facing - _HARDLY_SEEN) / (_WELL_SEEN - _HARDLY_SEEN)) * inside * (model.parts == Part.SKIN)
    trust *= _of_the_face(model) * (_values_at(face.matte[..., None], places)[:, 0] > 0.6)
    linear = _values_at(face.image, places) ** 2
    cheeks = (regions.tints[:, 1] > 0.4) & (trust > 0.8)
    crown = (regions.scalp > 0.5) & (regions.scalp < 3) & (trust > 0.5)
    color = np.median(linear[cheeks], 0) if cheeks.any() else np.full(3, 0.3)
    hair = np.median(linear[crown], 0) if crown.sum() > 5 else color * 0.3
    return Skin(face.image, places.astype(np.float32), trust.astype(np.float32), fit.identity, color, hair)


def _bounded(system: np.ndarray, goal: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Nearly the least squares within bounds: what would leave them is held at them, and the rest solved once more."""
    found = np.clip(np.linalg.solve(system, goal), low, high)
    free = (found > low) & (found < high)
    rest = goal[free] - system[np.ix_(free, ~free)] @ found[~free]
    found[free] = np.clip(np.linalg.solve(system[np.ix_(free, free)], rest), low[free], high[free])
    return found


def _similarity(source: np.ndarray, goal: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Umeyama's least-squares similarity, weighted."""
    share = (weights / weights.sum())[:, None]
    middles = (source * share).sum(0), (goal * share).sum(0)
    a, b = source - middles[0], goal - middles[1]
    u, values, v = np.linalg.svd((b * share).T @ a)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    rotation = u @ np.diag(sign) @ v
    scale = float((values * sign).sum() / (share * a**2).sum())
    return rotation, scale, middles[1] - scale * rotation @ middles[0]


def _spread(at: np.ndarray, centres: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Motion (68, 2) of the centres carried smoothly to vertices (N, 3)."""
    size = float(np.ptp(centres[:, 0]))

    def kernel(points: np.ndarray) -> np.ndarray:
        squares = (points**2).sum(1)[:, None] - 2 * points @ centres.T + (centres**2).sum(1)
        # A bell: far from the landmarks, on neck and crown, nothing moves.
        return np.exp(-np.sqrt(np.maximum(squares, 0)) / (0.25 * size))

    return kernel(at) @ np.linalg.solve(kernel(centres) + 0.02 * np.eye(len(centres)), motion)


def _facing(vertices: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """The cosine (V,) between each vertex's skin and the line of sight."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    total = np.stack(
        [sum(np.bincount(triangles[:, i], normals[:, axis], count) for i in range(3)) for axis in range(3)], 1
    )
    return total[:, 2] / np.maximum(np.linalg.norm(total, axis=1), 1e-9)


def _of_the_face(model: HeadModel) -> np.ndarray:
    """1 on the face, 0 on ears and neck (V,): there a photograph shows hair, collar and what is behind."""
    x, y, z = model.vertices.T
    points = model.vertices[model.landmarks]
    front = smoothstep((z - points[[0, 16], 2].mean() + 0.3) / 2.5)
    above = smoothstep((y - points[8, 1] + 2.0) / 1.5)
    within = smoothstep((np.abs(points[[0, 16], 0]).mean() + 0.3 - np.abs(x)) / 0.8)
    return front * above * within


def _values_at(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(V, C), 0 to 1."""
    height, width = image.shape[:2]
    x = (places[:, 0] * width).astype(int).clip(0, width - 1)
    y = (places[:, 1] * height).astype(int).clip(0, height - 1)
    return image[y, x] / 255.0

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a head model lacks: hair over the scalp, long hair, shoulders, glasses. Centimetres of the neutral head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from portrait_server.corpora.rendered.head_model import HeadModel, Part
from portrait_server.corpora.rendered.skin_regions import Regions
from portrait_server.geometry.ramps import smoothstep


@dataclass(frozen=True)
class Piece:
    """Geometry added to a head.

    Attributes:
        vertices: (N, 3) on the person's neutral head.
        triangles: (M, 3).
        part: what it is.
        tints: (N, 4): hair, how densely it grows; glasses, their colour.
        turns: (N,) how far it turns with the head.
        places: (N, 2) of hair, centimetres across its strands and along them; of brows, centimetres along from the
            nose, and from the lower edge, 0, to the upper one, 1.
        shade: (N,) the light that reaches it.
        bound: (N,) vertices of the head, whose expressions it follows; None for what no expression moves.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    part: Part
    tints: np.ndarray
    turns: np.ndarray
    places: np.ndarray
    shade: np.ndarray
    bound: np.ndarray | None = None


def short_hair(model: HeadModel, shape: np.ndarray, regions: Regions, rng: np.random.Generator) -> Piece:
    """A shell over the scalp, thicker on top."""
    recede, length = rng.uniform(-1.2, 1.0), rng.choice([0.4, 1.0, 2.0]) * rng.uniform(0.7, 1.3)
    return _shell(model, shape, regions.scalp + recede, lambda away, top: length * top * (1 + 0.35 * _lumps(away, rng)))


def scalp(model: HeadModel, shape: np.ndarray, regions: Regions) -> Piece:
    """The roots of hair, for what other hair leaves bare."""
    return _shell(model, shape, regions.scalp - 0.5, lambda away, top: 0.1 * top)


def _shell(
    model: HeadModel, shape: np.ndarray, inside: np.ndarray, thick: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Piece:
    """Args: inside: (V,) centimetres inside the hairline; thick: centimetres by direction (N, 3) and height (N,)."""
    kept = inside > -0.4
    triangles = model.triangles[kept[model.triangles].all(1)]
    used, triangles = np.unique(triangles, return_inverse=True)
    centre = np.array([0, 4.0, 1.0], np.float32)
    away = shape[used] - centre
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    top = 0.45 + 0.55 * smoothstep((shape[used, 1] - 2) / 9)
    high = thick(away, top) * smoothstep((inside[used] + 0.4) / 2.5) + 0.06
    vertices = shape[used] + (high[:, None] * away).astype(np.float32)
    density = smoothstep((inside[used] + 0.4) / 1.0)
    return _piece(vertices, triangles.reshape(-1, 3), Part.HAIR, density, np.ones(len(used)))


def long_hair(rng: np.random.Generator) -> Piece:
    """A curtain from the crown around the back and sides."""
    rows, columns = 24, 48
    reach = rng.uniform(1.75, 2.35)  # radians to each side of the back
    ends = rng.uniform(-17, -5)
    y = np.linspace(12.0, ends, rows)[:, None]
    angle = np.linspace(-reach, reach, columns)[None]
    dome = np.sqrt(np.clip(1 - (np.maximum(y - 3.0, 0) / 12.5) ** 2, 0.02, 1))
    wave = 0.35 * np.sin(angle * rng.uniform(5, 11) + y * rng.uniform(0.1, 0.5) + rng.uniform(0, 6))
    wide = (8.9 + rng.uniform(0, 2.0) * smoothstep((8 - y) / 10)) * dome + wave
    deep = (9.4 + rng.uniform(0, 1.5)) * dome + wave
    x, z = wide * np.sin(angle), -0.5 - deep * np.cos(angle)
    vertices = np.stack([x, np.broadcast_to(y, x.shape), z], -1).reshape(-1, 3)
    tips = smoothstep((y - ends) / 4) * smoothstep((reach - np.abs(angle)) / 0.18)
    turns = np.broadcast_to(0.35 + 0.65 * smoothstep((y + 14) / 16), x.shape)
    return _piece(vertices, _grid(rows, columns), Part.HAIR, tips.reshape(-1), turns.reshape(-1))


def torso(rng: np.random.Generator) -> Piece:
    """Neck's foot, shoulders and chest."""
    rows, columns = 26, 48
    y = np.linspace(-12.8, -52, rows)[:, None]
    angle = np.linspace(-np.pi, np.pi, columns)[None]
    slope, broad = rng.uniform(5.5, 10.0), rng.uniform(17, 24)
    out = smoothstep((-13.2 - y) / slope) ** 0.7
    wide = 6.9 + (broad - 6.9) * out
    deep = 6.2 + rng.uniform(4, 7) * smoothstep((-14 - y) / 14)
    c, s = np.cos(angle), np.sin(angle)
    x, z = wide * np.sign(s) * np.abs(s) ** 0.85, -2.2 + deep * np.sign(c) * np.abs(c) ** 0.8
    vertices = np.stack([x, np.broadcast_to(y, x.shape), z], -1).reshape(-1, 3)
    return _piece(vertices, _grid(rows, columns), Part.CLOTH, np.ones(len(vertices)), np.zeros(len(vertices)))


def brows(shape: np.ndarray, model: HeadModel, rng: np.random.Generator) -> Piece:
    """Cards over the skin of both brows."""
    rows, columns = 7, 28
    high, rise = rng.uniform(0.55, 1.15), rng.uniform(-0.25, 0.25)
    skin = np.flatnonzero((model.parts == Part.SKIN) & (model.vertices[:, 2] > 3))
    surface = cKDTree(shape[skin, :2])
    parts = []
    for numbers in ((21, 20, 19, 18, 17), (22, 23, 24, 25, 26)):
        line = shape[model.landmarks[list(numbers)], :2]
        along = np.linspace(-0.1, 4.15, columns)
        middle = np.stack([_beyond(along, line[:, axis]) for axis in range(2)], 1) + np.array([0, rise])
        across = np.linspace(-0.5, 0.5, rows)[:, None, None] * np.array([0, high])
        flat = (middle + across).reshape(-1, 2)
        gaps, near = surface.query(flat, 4)
        weights = 1 / (gaps + 1e-3)
        deep = (weights * shape[skin[near], 2]).sum(1) / weights.sum(1) + 0.05
        lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(middle, axis=0), axis=1))])
        places = np.stack(np.broadcast_arrays(lengths[None], np.linspace(0, 1, rows)[:, None]), -1).reshape(-1, 2)
        parts.append((np.column_stack([flat, deep]), skin[near[:, 0]], places))
    vertices, bound, places = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    grid = _grid(rows, columns)
    tints = np.zeros((len(vertices), 4))
    tints[:, 1] = 1
    ones = np.ones(len(vertices))
    triangles = np.concatenate([grid, grid + rows * columns])
    return Piece(vertices, triangles, Part.FRINGE, tints, ones, places, ones, bound)


def _beyond(along: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A smooth curve through values at 0, 1, 2, …, a little beyond both ends."""
    return CubicSpline(np.arange(len(values)), values)(along)


def glasses(shape: np.ndarray, model: HeadModel, rng: np.random.Generator) -> Piece:
    """Two rims, a bridge, and temples to the ears."""
    points = shape[model.landmarks]
    thick, squared = rng.uniform(0.08, 0.22), rng.uniform(2, 4)
    size = np.array([rng.uniform(2.3, 2.9), rng.uniform(1.6, 2.4)])
    parts, colour = [], np.append(rng.choice([0.01, 0.03, 0.25]) * rng.uniform(0.5, 1.5, 3), 1)
    front = points[[37, 38, 43, 44], 2].mean() + 1.5
    for corners, side in (((36, 39), -1), ((42, 45), 1)):
        middle = points[list(corners)].mean(0)
        angle = np.linspace(0, 2 * np.pi, 33)
        c, s = np.cos(angle), np.sin(angle)
        power = 2 / squared
        x = middle[0] + 0.15 * side + size[0] * np.sign(c) * np.abs(c) ** power
        rim = np.stack(
            [x, middle[1] - 0.3 + size[1] * np.sign(s) * np.abs(s) ** power, front - 0.05 * (x - middle[0]) * side], 1
        )
        parts.append(_tube(rim, thick))
        hinge = rim[0 if side > 0 else 16]
        ear = np.array([side * np.abs(points[[0, 16], 0]).mean() * 1.05, points[0, 1] + 0.6, points[0, 2] - 3.5])
        parts.append(_tube(np.linspace(hinge, ear, 8), thick))
        if side < 0:
            bridge = rim[0]
    end = np.array([-bridge[0], *bridge[1:]])
    arch = np.linspace(bridge, end, 7) + 0.25 * np.sin(np.linspace(0, np.pi, 7))[:, None] * np.array([0, 1, 0.6])
    parts.append(_tube(arch, thick))
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    vertices = np.concatenate([vertices for vertices, _ in parts])
    triangles = np.concatenate([faces + offset for (_, faces), offset in zip(parts, offsets[:-1], strict=True)])
    tints = np.tile(colour, (len(vertices), 1))
    count = len(vertices)
    return Piece(vertices, triangles, Part.GLASSES, tints, np.ones(count), np.zeros((count, 2)), np.ones(count))


def _piece(vertices: np.ndarray, triangles: np.ndarray, part: Part, density: np.ndarray, turns: np.ndarray) -> Piece:
    tints = np.zeros((len(vertices), 4))
    tints[:, 0] = density
    # Strands run down from the crown.
    across = 8.0 * np.arctan2(vertices[:, 0], -vertices[:, 2])
    places = np.stack([across, vertices[:, 1]], 1)
    return Piece(vertices, triangles, part, tints, turns, places, np.ones(len(vertices)))


def _grid(rows: int, columns: int) -> np.ndarray:
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    a, b, c, d = first, first + 1, first + columns, first + columns + 1
    return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def _tube(line: np.ndarray, thick: float) -> tuple[np.ndarray, np.ndarray]:
    """A square tube along points (N, 3)."""
    tangents = np.gradient(line, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True) + 1e-9
    across = np.cross(tangents, [0.0, 0.1, 1.0])
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    up = np.cross(across, tangents)
    ring = [across, up, -across, -up, across]
    vertices = np.stack([line + 0.5 * thick * offset for offset in ring], 1).reshape(-1, 3)
    return vertices, _grid(len(line), 5)


def _lumps(directions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Soft unevenness (N,) about 0 over directions (N, 3)."""
    waves = rng.normal(0, 3.0, (6, 3))
    return np.sin(directions @ waves.T + rng.uniform(0, 6, 6)).mean(1)

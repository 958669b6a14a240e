# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up person: shape, skin, eyes, hair and clothes, and how all of it takes a pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse
from portrait_shared.landmarks import LANDMARK_COUNT

from portrait_server.corpora.rendered.body import Piece, brows, glasses, long_hair, scalp, short_hair, torso
from portrait_server.corpora.rendered.head_model import HeadModel, Part, sphere_centre
from portrait_server.corpora.rendered.performance import Performance
from portrait_server.corpora.rendered.skin_regions import Regions
from portrait_server.corpora.rendered.skins import Skin
from portrait_server.corpora.rendered.wardrobe import Wardrobe
from portrait_server.geometry.pose import rotation_of
from portrait_server.geometry.ramps import smoothstep

_NECK: Final = np.array([0.0, -8.0, -1.0])  # what the head turns about
_LIPS_THICK, _LIPS_LET_THROUGH = 0.6, 0.06  # centimetres
_EYE_REACH: Final = 1.6  # from an eyeball's middle to its pupil
_UPPER_LIDS: Final = ((36, 37, 38, 39), (42, 43, 44, 45))
_LOWER_LIDS: Final = ((36, 41, 40, 39), (42, 47, 46, 45))
_DARK, _LIGHT = 0.28, 0.5  # centimetres below the upper lid: its shadow
# Linear colours of skin from the lightest to the darkest.
_SKINS: Final = np.array(
    [[0.72, 0.50, 0.40], [0.58, 0.36, 0.25], [0.38, 0.21, 0.13], [0.20, 0.10, 0.06], [0.09, 0.045, 0.03]]
)
_HAIR: Final = np.array(
    [[0.012, 0.010, 0.009], [0.05, 0.028, 0.016], [0.12, 0.065, 0.03], [0.33, 0.22, 0.10], [0.22, 0.07, 0.02], [0.35, 0.34, 0.33], [0.6, 0.58, 0.55]]
)  # fmt: skip
_IRIS: Final = np.array(
    [[0.05, 0.025, 0.012], [0.13, 0.07, 0.025], [0.10, 0.12, 0.05], [0.10, 0.17, 0.26], [0.16, 0.19, 0.20]]
)


@dataclass(frozen=True)
class Posed:
    """A person in one pose, in the camera's space: x right, y down, z away, centimetres.

    Attributes:
        vertices, normals: (N, 3) float32.
        shade: (N, 2) float32, the light that reaches a vertex, and how wet it is.
        landmarks: (70, 3).
    """

    vertices: np.ndarray
    normals: np.ndarray
    shade: np.ndarray
    landmarks: np.ndarray


class Person:
    """What stays the same between a person's pictures.

    Attributes:
        triangles: (M, 3) int32.
        rest: (N, 3) float32 where a vertex is on the neutral model: what patterns are fixed to.
        part: (N,) float32; tints (N, 4) float32, see `Regions` and `Piece`.
        skin: the photograph on the skin, if any; photo (N, 2) and trust (N,), see `Skin`.
        eye_middles: (2, 3) of `rest`.
        look: values of the shader.
    """

    def __init__(
        self,
        model: HeadModel,
        regions: Regions,
        skin: Skin | None,
        rng: np.random.Generator,
        wardrobe: Wardrobe | None = None,
    ) -> None:
        """Args: wardrobe: the hairs that people may wear; None for shells of hair and curtains."""
        self._model = model
        own = np.clip(rng.normal(0, 1, len(model.identity)), -2.5, 2.5)
        self._shape = model.shaped(own if skin is None else _blended(skin.identity, own))
        hair = rng.random()
        pieces = [torso(rng)]
        if wardrobe is not None and hair > 0.08:
            pieces.append(scalp(model, self._shape, regions))
            pieces.append(wardrobe.hair(str(rng.choice(sorted(wardrobe.hairs))), model, self._shape))
        elif hair > 0.08:
            pieces.append(short_hair(model, self._shape, regions, rng))
            if hair > 0.55:
                pieces.append(long_hair(rng))
        if skin is None:
            pieces.append(brows(self._shape, model, rng))
        if skin is None and rng.random() < 0.2:
            pieces.append(glasses(self._shape, model, rng))
        self._pieces = pieces
        self._count = len(model.vertices)
        self.skin = skin
        self.look = _look(rng, skin)
        self._turns = np.concatenate([regions.turns, *(piece.turns for piece in pieces)]).astype(np.float32)[:, None]
        self._shade = np.concatenate([regions.shade, *(piece.shade for piece in pieces)]).astype(np.float32)
        self.rest = np.concatenate([model.vertices, *(piece.vertices for piece in pieces)]).astype(np.float32)
        self.tints = np.concatenate([regions.tints, *(piece.tints for piece in pieces)]).astype(np.float32)
        self.part = np.concatenate([model.parts, *(np.full(len(piece.turns), piece.part) for piece in pieces)]).astype(
            np.float32
        )
        self.photo = np.concatenate([model.fringe, *(piece.places for piece in pieces)], dtype=np.float32)
        self.trust = np.zeros(len(self.rest), np.float32)
        if skin is not None:
            worn = skin.trust > 0
            self.photo[: self._count][worn], self.trust[: self._count] = skin.places[worn], skin.trust
        self.eye_middles = model.eye_centres
        self.triangles = _joined(model.triangles, pieces, self._count)
        self._around = _corners_of(self.triangles, len(self.rest))
        self._eye_centres = [sphere_centre(self._shape[first : last + 1]) for first, last in model.eyes]

    def posed(self, performance: Performance, distance: float) -> Posed:
        """Args: distance: from the camera, centimetres."""
        model = self._model
        change = model.expression(performance.expression)
        head = self._shape + change
        pupils = []
        for (first, last), centre, gaze in zip(model.eyes, self._eye_centres, performance.gaze, strict=True):
            turn = rotation_of(np.array([gaze[1], gaze[0], 0]))
            head[first : last + 1] = (head[first : last + 1] - centre) @ turn.T + centre
            pupils.append(centre + turn @ np.array([0, 0, _EYE_REACH]))
        landmarks = np.concatenate([head[model.landmarks], pupils])
        shade = self._shades(head, landmarks)
        moved = (piece.vertices + (0 if piece.bound is None else change[piece.bound]) for piece in self._pieces)
        vertices = np.concatenate([head, *moved])
        vertices = self._turned(vertices, self._turns, performance, distance)
        landmarks = self._turned(landmarks, np.ones((LANDMARK_COUNT, 1)), performance, distance)
        vertices = vertices.astype(np.float32)
        return Posed(vertices, self._normals(vertices), shade, landmarks)

    def _turned(self, vertices: np.ndarray, turns: np.ndarray, performance: Performance, distance: float) -> np.ndarray:
        head = (vertices - _NECK) @ performance.head.T
        body = (vertices - _NECK) @ performance.body.T
        turned = body + turns * (head - body) + _NECK
        return turned * np.array([1, -1, -1]) + np.array([*performance.place, distance])

    def _shades(self, head: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        shade = np.zeros((len(self.rest), 2), np.float32)
        shade[:, 0] = self._shade
        for number, (first, last) in enumerate(self._model.eyes):
            x, y = head[first : last + 1, 0], head[first : last + 1, 1]
            above, below = (_curve(landmarks[list(lids[number]), :2], x) for lids in (_UPPER_LIDS, _LOWER_LIDS))
            shade[first : last + 1, 0] = (0.45 + 0.55 * smoothstep((above - y + 0.08) / _LIGHT)) * (
                0.7 + 0.3 * smoothstep((y - below + 0.05) / _DARK)
            )
            shade[first : last + 1, 1] = np.exp(-(((y - below - 0.03) / 0.07) ** 2))
        inside = np.isin(self._model.parts, (Part.MOUTH, Part.GUMS, Part.TEETH))
        shade[: self._count, 0][inside] = light_between_lips(head[inside], landmarks)
        return shade

    def _normals(self, vertices: np.ndarray) -> np.ndarray:
        a, b, c = (vertices[self.triangles[:, i]] for i in range(3))
        u, v = b - a, c - a
        faces = np.empty_like(u)
        for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
            faces[:, i] = u[:, j] * v[:, k] - u[:, k] * v[:, j]
        total = self._around @ faces
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def light_between_lips(places: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """How much of the light before a mouth reaches places (N, 3) in it: (N,), 0 to 1.

    As through a slit as high as the lips stand apart there: nothing at the corners, most in the middle.
    """
    lips = landmarks[[61, 62, 63, 65, 66, 67]]
    apart = float(np.linalg.norm(landmarks[62] - landmarks[66]))
    half_wide = 0.5 * float(np.linalg.norm(landmarks[64] - landmarks[60])) + 1e-6
    across = (places[:, 0] - lips[:, 0].mean()) / half_wide
    half_high = 0.5 * apart * (1 - across**2).clip(0) + _LIPS_LET_THROUGH
    behind = (lips[:, 2].mean() - _LIPS_THICK - places[:, 2]).clip(0) + _LIPS_LET_THROUGH
    return (half_high / np.hypot(half_high, behind)).clip(0.02, 1)


def _curve(points: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The parabola nearest to points (N, 2), at x."""
    return np.polyval(np.polyfit(points[:, 0], points[:, 1], 2), x)


def _blended(fitted: np.ndarray, own: np.ndarray) -> np.ndarray:
    """A fitted shape, a little varied; what the fit leaves out stays as it was drawn."""
    shape = own.copy()
    shape[: len(fitted)] = fitted + 0.25 * own[: len(fitted)]
    return shape


def _joined(head: np.ndarray, pieces: list[Piece], count: int) -> np.ndarray:
    joined = [head]
    for piece in pieces:
        joined.append(piece.triangles + count)
        count += len(piece.vertices)
    return np.concatenate(joined).astype(np.int32)


def _corners_of(triangles: np.ndarray, count: int) -> scipy.sparse.csr_matrix:
    """(count, M): which triangles meet in a vertex."""
    numbers = np.repeat(np.arange(len(triangles)), 3)
    ones = np.ones(triangles.size, np.float32)
    return scipy.sparse.csr_matrix((ones, (triangles.reshape(-1), numbers)), (count, len(triangles)))


def _look(rng: np.random.Generator, skin: Skin | None) -> dict[str, object]:
    tone = rng.beta(1.1, 1.5) * (len(_SKINS) - 1)
    color = np.array([np.interp(tone, np.arange(len(_SKINS)), _SKINS[:, i]) for i in range(3)]) * np.exp(
        rng.normal(0, 0.06, 3)
    )
    if skin is not None:
        color = skin.color
    darkness = float(np.clip(1.2 - 1.6 * color.mean(), 0, 1))
    hair = _HAIR[0 if rng.random() < darkness else rng.integers(len(_HAIR))] * np.exp(rng.normal(0, 0.2, 3) * 0.4)
    if skin is not None:
        hair = skin.hair
    iris = _IRIS[0 if rng.random() < darkness else rng.integers(len(_IRIS))] * np.exp(rng.normal(0, 0.15, 3))
    lip = color * np.array([0.95, 0.52, 0.52]) + np.array([0.05, 0.005, 0.01])
    if skin is None and rng.random() < 0.15:
        lip = np.array([0.45, 0.05, 0.07]) * np.exp(rng.normal(0, 0.3, 3))
    cloth = np.exp(rng.normal(-2.2, 1.0)) * np.exp(rng.normal(0, 0.35, 3))
    return {
        "skin": tuple(color),
        "blood": (1.02, *(rng.uniform(0.62, 0.9, 2) if skin is None else (0.93, 0.93))),
        "lip": tuple(np.clip(lip, 0, 1)),
        "hair": tuple(np.clip(hair, 0, 0.8)),
        "iris": tuple(iris),
        "sclera": tuple(rng.uniform(0.50, 0.66) * np.array([1.0, 0.93, 0.90])),
        "tooth": tuple(rng.uniform(0.5, 0.72) * np.array([1, rng.uniform(0.88, 0.97), rng.uniform(0.68, 0.88)])),
        "cloth": tuple(np.clip(cloth, 0.01, 0.8)),
        "collar": tuple(np.full(3, rng.uniform(0.5, 0.8)) if rng.random() < 0.5 else color),
        "skin_look": (
            rng.uniform(0.2, 0.7),
            rng.choice([0, 0, 0.4]) * rng.random(),
            rng.uniform(0.02, 0.16),
            # A photograph ends before beards do, so that they would begin at its edge.
            rng.choice([0, 0, 0.35, 0.9]) * rng.uniform(0.5, 1) * (skin is None),
        ),
        "cloth_look": (float(rng.integers(4)), rng.uniform(0.15, 1.2), rng.uniform(0, 9), rng.uniform(0.5, 1.6)),
        "pupil": (rng.uniform(0.60, 0.68), rng.uniform(0.17, 0.30)),
        "fringe": tuple(np.clip(hair * 0.5 if skin is None else hair * 0.3, 0, 0.06)),
        "hair_grain": (rng.uniform(0.15, 0.3), rng.uniform(0.008, 0.03), rng.random()),
    }

# SPDX-License-Identifier: GPL-3.0-or-later
"""Small corpora, and a head that is an egg with two eyes, for tests that must run everywhere."""

from __future__ import annotations

import numpy as np
from portrait_server.corpora.rendered.head_model import HeadModel, Part
from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_shared.landmarks import MESH_VERTICES


class Noise(Corpus):
    """Pictures of noise; the identity is the number of the corpus."""

    def __init__(self, identities: int = 5) -> None:
        self.identities = identities

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        return Sample(
            references=rng.integers(0, 256, (references, side, side, 3)).astype(np.uint8),
            reference_points=rng.random((references, 70, 3), np.float32),
            target=rng.integers(0, 256, (side, side, 3)).astype(np.uint8),
            target_points=rng.random((70, 3), np.float32),
            identity=int(rng.integers(self.identities)),
        )


def egg_head() -> HeadModel:
    """An egg of ICT's size and place, with its landmarks, two modes of shape, two eyeballs, a jaw, a smile and brows."""
    egg, triangles = _ball(70, 100, np.array([0, 2.5, 1.5]), np.array([7.6, 11.5, 10.0]))
    # Open below, where the shoulders begin.
    triangles = triangles[(egg[triangles][..., 1] > -8.5).all(1)]
    balls = [_ball(16, 24, np.array([x, 3.6, 9.6]), np.full(3, 1.5)) for x in (-3.1, 3.1)]
    vertices, faces, parts, eyes = [egg], [triangles], [np.full(len(egg), Part.SKIN)], []
    for ball, ball_faces in balls:
        first = sum(map(len, vertices))
        eyes.append((first, first + len(ball) - 1))
        vertices.append(ball)
        faces.append(ball_faces + first)
        parts.append(np.full(len(ball), Part.EYE))
    every = np.concatenate(vertices).astype(np.float32)
    x, y, z = every.T
    zero = np.zeros_like(x)
    skin = parts_of(parts) == Part.SKIN
    jaw = np.where(skin, -np.clip((-1.5 - y) / 3, 0, 1) * np.clip(z / 6, 0, 1), 0)
    landmarks = _landmarks(egg)

    def pushed(landmark: int, *way: float) -> np.ndarray:
        """(V, 3) the skin about a landmark moved by `way`, centimetres."""
        near = np.exp(-((every - every[landmarks[landmark]]) ** 2).sum(1) / 2) * skin
        return near[:, None] * np.array(way)

    modes = {
        "jawOpen": np.stack([zero, 3 * jaw, zero], 1),
        "mouthSmile_L": pushed(54, 0.8, 0.7, 0),
        "mouthSmile_R": pushed(48, -0.8, 0.7, 0),
        "browInnerUp_R": pushed(20, 0, 0.9, 0),
        "browInnerUp_L": pushed(23, 0, 0.9, 0),
    }
    return HeadModel(
        vertices=every,
        triangles=np.concatenate(faces).astype(np.int32),
        parts=parts_of(parts),
        identity=np.stack([np.stack([0.03 * x, zero, zero], 1), np.stack([zero, 0.03 * y, zero], 1)]).astype(
            np.float32
        ),
        expressions=np.stack(list(modes.values())).astype(np.float32),
        names=tuple(modes),
        landmarks=landmarks,
        eyes=(eyes[0], eyes[1]),
        fringe=np.zeros((len(every), 2), np.float32),
    )


def parts_of(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.uint8)


def _ball(rows: int, columns: int, centre: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid's vertices and triangles, counter-clockwise from outside."""
    down = np.linspace(0.01, np.pi - 0.01, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    unit = np.stack(
        [np.sin(down) * np.sin(around), np.cos(down) * np.ones_like(around), np.sin(down) * np.cos(around)], -1
    )
    row, column = (grid.reshape(-1) for grid in np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij"))
    following = (column + 1) % columns
    a, b = row * columns + column, row * columns + following
    triangles = np.concatenate([np.stack([a, a + columns, b], 1), np.stack([b, a + columns, b + columns], 1)])
    return (unit * radii + centre).reshape(-1, 3), triangles


def _landmarks(egg: np.ndarray) -> np.ndarray:
    """The vertices of the egg's front nearest to where a face has its landmarks."""
    face = neutral_mesh()[list(MESH_VERTICES[:68])] * [1, -1, -1]
    face = (face - face[36:48].mean(0)) * (6.2 / np.ptp(face[[36, 45], 0])) * 1.3 + [0, 3.5, 0]
    front = np.flatnonzero(egg[:, 2] > 0)
    gaps = np.linalg.norm(egg[front][None, :, :2] - face[:, None, :2], axis=2)
    return front[gaps.argmin(1)]

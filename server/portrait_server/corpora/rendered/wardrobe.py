# SPDX-License-Identifier: GPL-3.0-or-later
"""MakeHuman's hairs on the heads of the model: brought over by the shape of both skulls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from portrait_server.corpora.rendered.body import Piece
from portrait_server.corpora.rendered.head_model import HeadModel, Part
from portrait_server.corpora.rendered.makehuman import Mesh, body_of, read_base, read_clothes
from portrait_server.geometry.ramps import between, smoothstep

_BASE_EYES: Final = np.array([0.0, 7.284, 1.245])  # the middle between them on the base body
_BASE_NECK: Final = 5.5  # decimetres: what is lower is no head
_BASE_WIDE: Final = 1.2
_CENTIMETRES: Final = 10.37  # of the model a decimetre of the base: its eyes are a little wider apart
_SKULL: Final = np.array([0.0, 3.0, 0.0])  # the middle, from which both heads are measured
_NEIGHBOURS: Final = 24
_HANGS: Final = (-26.0, -10.0)  # between these heights long hair turns with the head more and more
_BELOW_CHIN: Final = (-14.0, -6.0)  # between these heights the skull's shape is more and more followed
_FACE_REACH: Final = 0.4  # centimetres beyond eyes and brows that no hair may hang before
_EDGE_DENSITY: Final = 0.6  # of hair at the rim of a card
_DEEP: Final = 2.5  # centimetres below the outermost hair, where least light comes
_LEAST_LIGHT: Final = 0.35


@dataclass(frozen=True)
class Wardrobe:
    """What made-up people may wear on their heads, in centimetres of the model's own neutral head.

    Attributes:
        hairs: by name.
        body: (B, 3) the base body's head, brought to the model's eyes and scale.
    """

    hairs: dict[str, Mesh]
    body: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> Wardrobe:
        """MakeHuman's `meshes`: base_hm08.obj, and hair/NAME/NAME.obj with its .mhclo.

        Raises:
            PortraitError: FILE_MISSING.
        """
        base = read_base(folder)
        body = body_of(base)
        body = body[(body[:, 1] > _BASE_NECK) & (np.abs(body[:, 0]) < _BASE_WIDE)]
        hairs = {path.name: read_clothes(path, base) for path in sorted((folder / "hair").iterdir())}
        return cls({name: _scaled(mesh) for name, mesh in hairs.items()}, _at_eyes(body))

    def hair(self, name: str, model: HeadModel, shape: np.ndarray) -> Piece:
        """A hair on a person's neutral head (V, 3)."""
        mesh = self.hairs[name]
        skin = shape[model.parts == Part.SKIN]
        vertices = _on_skull(mesh.vertices, self.body, skin)
        triangles = _outwards(vertices, _off_the_face(vertices, mesh.triangles, shape[model.landmarks]))
        tints = np.zeros((len(vertices), 4))
        tints[:, 0] = np.where(_on_the_rim(triangles, len(vertices)), _EDGE_DENSITY, 1.0)
        turns = between(vertices[:, 1], *_HANGS)
        return Piece(vertices, triangles, Part.HAIR, tints, turns, _strands(mesh), _light(vertices))


def _at_eyes(points: np.ndarray) -> np.ndarray:
    return (points - _BASE_EYES) * _CENTIMETRES + [0.0, 3.617, 8.43]


def _scaled(mesh: Mesh) -> Mesh:
    return Mesh(_at_eyes(mesh.vertices), mesh.places, mesh.triangles)


def _on_skull(points: np.ndarray, body: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Points (N, 3) around the base's head, as far from the model's skin as they are from the base's."""
    away = points - _SKULL
    far = np.linalg.norm(away, axis=1, keepdims=True)
    away /= far
    more = _radius(away, skin) - _radius(away, body)
    return points + away * (more * between(points[:, 1], *_BELOW_CHIN))[:, None]


def _radius(away: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """How far a surface (M, 3) lies from the skull's middle in directions (N, 3), ears and nose evened out."""
    out = surface - _SKULL
    far = np.linalg.norm(out, axis=1)
    gaps, nearest = cKDTree(out / far[:, None]).query(away, _NEIGHBOURS)
    weights = np.exp(-((gaps / 0.12) ** 2)) + 1e-6
    return (weights * far[nearest]).sum(1) / weights.sum(1)


def _off_the_face(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The triangles that hide neither eyes nor mouth: a fringe is cut at the brows.

    Args:
        points: (68, 3) the face's landmarks.
    """
    beside, above = np.abs(points[[36, 45], 0]).max() + _FACE_REACH, points[[19, 24], 1].mean() + _FACE_REACH
    x, y, z = vertices.T
    before = (np.abs(x) < beside) & (y < above) & (z > points[[36, 45], 2].min() - 1)
    return triangles[~before[triangles].any(1)]


def _outwards(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The triangles, turned so that they face away from the head."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    middle = (a + b + c) / 3 - _SKULL
    middle[:, 1] = np.maximum(middle[:, 1], 0)
    inwards = (np.cross(b - a, c - a) * middle).sum(1) < 0
    turned = triangles.copy()
    turned[inwards] = turned[inwards][:, [0, 2, 1]]
    return turned


def _on_the_rim(triangles: np.ndarray, count: int) -> np.ndarray:
    """(count,) whether an edge that belongs to one triangle alone meets a vertex."""
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, times = np.unique(edges, axis=0, return_counts=True)
    rim = np.zeros(count, bool)
    rim[edges[times == 1]] = True
    return rim


def _strands(mesh: Mesh) -> np.ndarray:
    """(N, 2) centimetres across the strands and along them."""
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    p, q, r = (mesh.places[mesh.triangles[:, i]] for i in range(3))
    u, v = q - p, r - p
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    good = np.abs(area) > 1e-9
    u, v, area = u[good], v[good], area[good][:, None]
    e, f = (b - a)[good], (c - a)[good]
    by_u, by_v = (e * v[:, 1:] - f * u[:, 1:]) / area, (f * u[:, :1] - e * v[:, :1]) / area
    grown = (a + b + c)[good] / 3 - [0, 11.0, -1.0]  # hair grows away from the crown, and falls
    grown[:, 1] -= 6.0
    lengths = [np.linalg.norm(way, axis=1) + 1e-9 for way in (by_u, by_v)]
    alike = [np.abs((way * grown).sum(1)) / length for way, length in zip((by_u, by_v), lengths, strict=True)]
    scale = [float(np.median(length)) for length in lengths]
    strands = mesh.places * scale
    return strands if alike[1].mean() > alike[0].mean() else strands[:, ::-1].copy()


def _light(vertices: np.ndarray) -> np.ndarray:
    """(N,) how much light comes to a hair through what lies over it."""
    away = vertices - _SKULL
    away[:, 1] = np.maximum(away[:, 1], 0) + 0.02 * away[:, 1]
    far = np.linalg.norm(away, axis=1)
    directions = np.column_stack([away / far[:, None], vertices[:, 1] / 6.0])
    _, nearest = cKDTree(directions).query(directions, min(40, len(vertices)))
    covered = far[nearest].max(1) - far
    return _LEAST_LIGHT + (1 - _LEAST_LIGHT) * (1 - smoothstep(covered / _DEEP))

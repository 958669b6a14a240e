# SPDX-License-Identifier: GPL-3.0-or-later
"""The morphable head: ICT-FaceKit's arrays, what each vertex belongs to, and its linear modes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.npz import DamagedArchive, read_npz


class Part(IntEnum):
    """What a triangle shows. The shader knows the same numbers."""

    SKIN = 0
    MOUTH = 1
    GUMS = 2
    TEETH = 3
    EYE = 4
    HAIR = 5
    CLOTH = 6
    GLASSES = 7
    FRINGE = 8  # lashes and brows: hairs through which the skin shows
    UNSEEN = 9


# First and last vertex of each part of the ICT "light" head, centimetres, y up, z towards the viewer.
_ICT_PARTS: Final = (
    (Part.SKIN, 0, 11247),
    (Part.MOUTH, 11248, 13293),
    (Part.UNSEEN, 13294, 14061),  # eye sockets
    (Part.GUMS, 14062, 17038),
    (Part.TEETH, 17039, 21450),
    (Part.EYE, 21451, 22220),
    (Part.UNSEEN, 22221, 23020),  # inner eyeball: the outer one is painted
    (Part.EYE, 23021, 23790),
    (Part.UNSEEN, 23791, 25350),  # the other, and fluid
    (Part.FRINGE, 25351, 26718),
)
_ICT_EYES: Final = ((23021, 23790), (21451, 22220))  # the one at the picture's left first
# fmt: off
_ICT_LANDMARKS: Final = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360,
    1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)
# fmt: on
_ICT_VERTICES: Final = 26719
_ICT_NECK_ENDS: Final = -14.0
_ICT_SHOULDERS: Final = -8.5  # below this height the neck is made straight, and so wide to each side:
_ICT_NECK_WIDTH: Final = 5.7
_ICT_NECK_BACK: Final = (-1.7, 4.8)  # its middle in depth, and how far it reaches behind that
_ICT_LASH_ROWS: Final = 6  # of strips in the texture, each from its tips up to its roots
_ICT_LASH_STRIP: Final = (0.0142, 0.1402)  # where the first row begins, and how high a row is


@dataclass(frozen=True)
class HeadModel:
    """A head whose shape and expression are linear.

    Attributes:
        vertices: (V, 3) float32 neutral, centimetres, y up, z towards the viewer.
        triangles: (T, 3) int32, counter-clockwise seen from outside; none of unseen parts.
        parts: (V,) uint8 of `Part`.
        identity: (I, V, 3) float32 modes, coefficients about N(0, 1).
        expressions: (E, V, 3) float32 modes, coefficients 0 to 1; `names` (E,), ARKit's.
        landmarks: (68,) vertices in iBUG order.
        eyes: first and last vertex of the eyeball at the picture's left, and of the other.
        fringe: (V, 2) of lashes, along the upper lid from 0 to 1 or along the lower one from 2 to 3, and from their
            roots, 0, to their tips, 1.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    parts: np.ndarray
    identity: np.ndarray
    expressions: np.ndarray
    names: tuple[str, ...]
    landmarks: np.ndarray
    eyes: tuple[tuple[int, int], tuple[int, int]]
    fringe: np.ndarray
    _number: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_number", {name: number for number, name in enumerate(self.names)})

    @classmethod
    def load(cls, path: Path) -> HeadModel:
        """ICT-FaceKit's head as arrays V, F, T, FT, I, E and names.

        Raises:
            PortraitError: FILE_MISSING, or BAD_IMAGE where it is another file.
        """
        try:
            arrays = read_npz(path)
            vertices, triangles = arrays["V"].astype(np.float32), arrays["F"].astype(np.int32)
            identity, expressions = arrays["I"].astype(np.float32), arrays["E"].astype(np.float32)
            names = tuple(str(name) for name in arrays["names"])
            places, corners = arrays["T"].astype(np.float32), arrays["FT"].astype(np.int32)
        except FileNotFoundError:
            raise PortraitError(
                ErrorCode.FILE_MISSING, f"There is no head model {path}.", "The documentation of corpora says how."
            ) from None
        except (OSError, ValueError, TypeError, KeyError, DamagedArchive) as error:
            raise _not_a_head(path, str(error)) from error
        if vertices.shape != (_ICT_VERTICES, 3) or identity.shape[1:] != vertices.shape:
            raise _not_a_head(path, f"it has vertices {vertices.shape} and modes {identity.shape}")
        if corners.shape != triangles.shape or not _inside(corners, len(places)):
            raise _not_a_head(path, f"its texture coordinates are {corners.shape} for triangles {triangles.shape}")
        if (
            expressions.shape != (len(names), *vertices.shape)
            or triangles.ndim != 2
            or not _inside(triangles, _ICT_VERTICES)
        ):
            raise _not_a_head(path, f"its expressions are {expressions.shape} for {len(names)} names")
        parts = np.empty(_ICT_VERTICES, np.uint8)
        for part, first, last in _ICT_PARTS:
            parts[first : last + 1] = part
        fringe = np.zeros((_ICT_VERTICES, 2), np.float32)
        fringe[triangles] = _lash_places(places[corners])
        # Below the neck the bust gives way to clothed shoulders (`body.torso`).
        parts[(vertices[:, 1] < _ICT_NECK_ENDS) & (parts == Part.SKIN)] = Part.UNSEEN
        shoulders = _narrow_neck(vertices)
        identity[:, shoulders] *= [0, 1, 0]
        seen = (parts[triangles] != Part.UNSEEN).all(1)
        return cls(
            vertices, triangles[seen], parts, identity, expressions, names, np.array(_ICT_LANDMARKS), _ICT_EYES, fringe
        )

    def shaped(self, coefficients: np.ndarray) -> np.ndarray:
        """The neutral head (V, 3) of a person (I,)."""
        modes = self.identity.reshape(len(self.identity), -1)
        return self.vertices + (coefficients.astype(np.float32) @ modes).reshape(self.vertices.shape)

    def expression(self, weights: dict[str, float]) -> np.ndarray:
        """What an expression adds to a head (V, 3). Names that the model lacks do nothing."""
        chosen = [(self._number[name], weight) for name, weight in weights.items() if weight and name in self._number]
        if not chosen:
            return np.zeros_like(self.vertices)
        total = np.zeros(self.vertices.size, np.float32)
        for number, weight in chosen:
            total += np.float32(weight) * self.expressions[number].reshape(-1)
        return total.reshape(self.vertices.shape)

    @cached_property
    def eye_centres(self) -> np.ndarray:
        """(2, 3) of the neutral head's eyeballs."""
        return np.stack([sphere_centre(self.vertices[first : last + 1]) for first, last in self.eyes])


def sphere_centre(points: np.ndarray) -> np.ndarray:
    """The centre (3,) of the sphere nearest to points (N, 3)."""
    points = points.astype(float)
    system = np.column_stack([2 * points, np.ones(len(points))])
    return np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0][:3]


def _narrow_neck(vertices: np.ndarray) -> np.ndarray:
    """Makes the shoulders (V, 3) as narrow as a neck, where they begin; the vertices that moved."""
    x, y, z = vertices.T
    wider = 1.2 * np.maximum(y - _ICT_SHOULDERS, 0)
    across = np.abs(x) / (_ICT_NECK_WIDTH + wider)
    middle, back = _ICT_NECK_BACK
    behind = np.maximum(middle - z, 0) / (back + wider)
    out = np.maximum(np.hypot(across, behind), 1)
    moved = (out > 1) & (y < _ICT_SHOULDERS + 3)
    vertices[moved, 0] = (x / out)[moved]
    back_there = moved & (z < middle)
    vertices[back_there, 2] = (middle + (z - middle) / out)[back_there]
    return moved


def _lash_places(places: np.ndarray) -> np.ndarray:
    """Texture coordinates of lashes as `HeadModel.fringe` has them; of other parts they mean nothing."""
    start, high = _ICT_LASH_STRIP
    along = (places[..., 0] % 0.5 - 0.0117) / 0.4766
    up = ((places[..., 1] - start + 0.01) % (1 / _ICT_LASH_ROWS) - 0.01) / high
    lower = places[..., 1] < 0.5
    return np.stack([along + 2 * lower, 1 - up], -1)


def _not_a_head(path: Path, why: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_IMAGE,
        f"{path} is not the ICT-FaceKit head: {why}.",
        "The documentation of corpora says how to make it.",
    )


def _inside(triangles: np.ndarray, count: int) -> bool:
    return triangles.size > 0 and triangles.min() >= 0 and triangles.max() < count

# SPDX-License-Identifier: GPL-3.0-or-later
"""MakeHuman's meshes (CC0): what is worn, in its place on the base body that it was made for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

_BODY_VERTICES: Final = 13380  # of the base mesh; helpers follow
_SCALES: Final = ("x_scale", "y_scale", "z_scale")


@dataclass(frozen=True)
class Mesh:
    """A mesh whose vertices have one place in the texture each.

    Attributes:
        vertices: (N, 3) float64.
        places: (N, 2) in the texture, 0 to 1.
        triangles: (M, 3).
    """

    vertices: np.ndarray
    places: np.ndarray
    triangles: np.ndarray


def read_base(folder: Path) -> np.ndarray:
    """The base body's vertices (19158, 3), decimetres, y up, z to the front; helpers for clothes included.

    Raises:
        PortraitError: FILE_MISSING.
    """
    return _rows(_text(folder / "base_hm08.obj"), "v", 3)


def body_of(base: np.ndarray) -> np.ndarray:
    """The vertices of the skin alone."""
    return base[:_BODY_VERTICES]


def read_clothes(folder: Path, base: np.ndarray) -> Mesh:
    """A mesh that is worn, in its place on the base body.

    Args:
        folder: holds NAME.obj and NAME.mhclo, by its own name.

    Raises:
        PortraitError: FILE_MISSING.
    """
    text = _text(folder / f"{folder.name}.obj")
    places, corners = _rows(text, "vt", 2), _faces(text)
    fitted = _fitted(_text(folder / f"{folder.name}.mhclo"), base)
    pairs, numbers = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    quads = numbers.reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return Mesh(fitted[pairs[:, 0]], places[pairs[:, 1]], triangles)


def _fitted(text: str, base: np.ndarray) -> np.ndarray:
    """Vertices (N, 3) as a .mhclo file hangs them on the base: each on three of its vertices, and off them."""
    scale = np.ones(3)
    rows: list[tuple[float, ...]] = []
    lines = iter(text.splitlines())
    for line in lines:
        words = line.split()
        if words and words[0] in _SCALES:
            axis = _SCALES.index(words[0])
            first, second = base[int(words[1])], base[int(words[2])]
            scale[axis] = abs(first[axis] - second[axis]) / float(words[3])
        elif words and words[0] == "verts":
            break
    for line in lines:
        words = line.split()
        if len(words) == 1 and words[0].isdigit():
            rows.append((*(int(words[0]),) * 3, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
        elif len(words) == 9 and words[0].isdigit():
            rows.append(tuple(float(word) for word in words))
        elif rows:
            break
    table = np.array(rows)
    hung = base[table[:, :3].astype(int)]
    return np.einsum("nk,nkc->nc", table[:, 3:6], hung) + scale * table[:, 6:9]


def _rows(text: str, kind: str, count: int) -> np.ndarray:
    lines = [line.split()[1 : count + 1] for line in text.splitlines() if line.startswith(f"{kind} ")]
    return np.array(lines, float)


def _faces(text: str) -> np.ndarray:
    """(N, 4, 2) numbers of vertices and of places in the texture; a triangle says its last corner twice."""
    corners = []
    for line in text.splitlines():
        if line.startswith("f "):
            words = [word.split("/")[:2] for word in line.split()[1:5]]
            corners.append(words + words[-1:] * (4 - len(words)))
    return np.array(corners, int) - 1


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There is no mesh {path}.", "The documentation of corpora says how to get it."
        ) from None

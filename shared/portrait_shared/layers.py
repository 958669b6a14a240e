# SPDX-License-Identifier: GPL-3.0-or-later
"""Layered frames, which are OpenEXR files: what layers there are, their channels, and the frames that follow others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

LAYERS: Final = ("rgba", "matte", "depth", "forward", "confidence", "vector")
"""In the order in which a frame's array holds them. `rgba`: the picture; with a matte the person over nothing. `matte`: how
far each pixel is the person. `depth`: in face widths, the plane of the photo 0, smaller is nearer. `forward`: pixels to
where this place is in the next frame asked for, right and up. `confidence`: 1 where the pixel is the photo's own, 0 where
all is made up. `vector`: `forward` as Blender's vector blur takes it, some of whose versions cannot read a layer of two
channels."""
USUAL: Final = LAYERS[:-1]
"""Those that are written where nothing is said."""
FOLLOWING: Final = frozenset({"forward", "vector"})
"""Those that depend on the frame that follows."""
CHANNELS: Final[Mapping[str, tuple[str, ...]]] = {
    "rgba": ("R", "G", "B", "A"), "matte": ("matte.A",), "depth": ("depth.Z",), "forward": ("forward.u", "forward.v"),
    "confidence": ("confidence.Y",), "vector": ("vector.X", "vector.Y", "vector.Z", "vector.W"),
}  # fmt: skip
"""What a layer's channels are called in a file."""
FULL_FLOAT: Final = ("depth",)
"""Layers of 32 bits; all others have 16."""
COLORSPACES: Final = ("rec709", "rec2020", "acescg")
"""Scene-linear spaces that a picture's colours may be written in."""


def in_order(layers: Sequence[str]) -> tuple[str, ...]:
    """The same layers, each once, in the order of `LAYERS`."""
    return tuple(layer for layer in LAYERS if layer in layers)


def channels_of(layers: Sequence[str]) -> list[str]:
    """Names of all channels of some layers, in the order of a frame's array."""
    return [channel for layer in in_order(layers) for channel in CHANNELS[layer]]


def bytes_of_pixel(layers: Sequence[str]) -> int:
    """What a pixel takes in a file that is not compressed."""
    return sum(len(CHANNELS[layer]) * (4 if layer in FULL_FLOAT else 2) for layer in in_order(layers))


def followed_rows(frames: Sequence[int], layers: Sequence[str]) -> np.ndarray:
    """Which rows of points are sent for frames: of each its own; then, with `FOLLOWING`, of each the next frame's.

    Args:
        frames: T numbers, no two alike, one for each row. The last is followed by itself: nothing moves after it.

    Returns:
        (T,) or (2 T,) int.
    """
    rows = np.arange(len(frames))
    if FOLLOWING.isdisjoint(layers):
        return rows
    order = np.argsort(np.asarray(frames, np.int64), kind="stable")
    following = np.empty_like(rows)
    following[order] = np.append(order[1:], order[-1:])
    return np.concatenate([rows, following])

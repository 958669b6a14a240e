# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that stays where it is while a head turns: what turns towards it becomes lighter, what turns away darker."""

from __future__ import annotations

import numpy as np

from portrait_server.drawing.frame import Moved
from portrait_server.drawing.opening import patches_around
from portrait_server.drawing.scene import Scene
from portrait_server.geometry.face_mesh import OVAL, VERTEX_COUNT
from portrait_server.geometry.head_body import AROUND_RINGS, BACK_RINGS, FRONT_RINGS
from portrait_server.kernels.base import Kernels

_CELLS = 48  # the longest side of the grid on which the change is found
_REACH = ((0.08, 1.0), (0.25, 1e-3))  # in face sizes, over which a vertex tells of its surroundings, and how strongly
_LEAST = 0.004  # of the levels: a smaller change is not seen
_FARTHEST = np.float32(-40)  # exponent: products of smaller numbers are denormal, and processors multiply those slowly
_LARGE = np.float32(2.0**40)  # a change is small, too: times so much its products are not
# Vertices that tell: every third of the face's, and of the head's body some rings outwards.
_FACE = np.arange(0, VERTEX_COUNT, 3)
_BEYOND = FRONT_RINGS + BACK_RINGS
_RINGS = (1, 3, FRONT_RINGS - 2, FRONT_RINGS - 1, _BEYOND + 2, _BEYOND + AROUND_RINGS - 1, _BEYOND + AROUND_RINGS + 1)
_LINES = np.arange(0, len(OVAL), 3)
_BODY = VERTEX_COUNT + np.add.outer(len(OVAL) * np.array(_RINGS), _LINES).ravel()


def lit(kernels: Kernels, scene: Scene, moved: Moved) -> Moved:
    """Persons who were moved, in the light of the photo, which does not turn with them; their colours are changed in place."""
    if scene.light is None:
        return moved
    motion, mesh = moved.motion, scene.mesh
    face = scene.light.change(motion.pose.rotation)
    # Hair goes with the skin beside it, and what does not turn keeps its light.
    outline = np.tile(face[:, np.array(OVAL)[_LINES]], len(_RINGS))
    change = np.concatenate([face[:, _FACE], mesh.follow[_BODY] * outline], axis=1)
    head = motion.vertices[:, mesh.follow > 0, :2]
    patches = patches_around(head, 0.0, scene.size).only(np.abs(face).max(1) >= _LEAST)
    if not patches.there.any():
        return moved
    told = motion.vertices[:, np.concatenate([_FACE, _BODY]), :2]
    size = mesh.size * float(scene.scale.min()) * motion.pose.scale
    factor = kernels.put(np.exp(_spread(change, told, scene.size, size)))
    plane = kernels.resized(factor, scene.size, patches)
    # The draft, too: what differs from it is taken for paint.
    for picture in (moved.person,) if moved.draft is None else (moved.person, moved.draft):
        kernels.laid(picture, patches, kernels.scaled(kernels.taken(picture, patches), plane))
    return moved


def _spread(change: np.ndarray, at: np.ndarray, extent: tuple[int, int], size: np.ndarray) -> np.ndarray:
    """A change (N, V) at places (N, V, 2), smoothly over frames of (width, height): (N, rows, columns) float32.

    Args:
        size: (N,) of the faces, pixels.
    """
    cell = max(1.0, max(extent) / _CELLS)
    centres = [((np.arange(n := -(-side // cell)) + 0.5) * side / n - 0.5).astype(np.float32) for side in extent]
    # In one order in memory, as products want them: chosen vertices come in another.
    change, at = (values.astype(np.float32, order="C") for values in (change[:, None], at))
    change *= _LARGE
    total, weight = (np.zeros((len(at), len(centres[1]), len(centres[0])), np.float32) for _ in range(2))
    for reach, strength in _REACH:
        # No less than a cell: of a small face each would take one vertex's change, and jump from one to the next.
        narrow = (1 / np.maximum(reach * size, cell)).astype(np.float32)[:, None, None]
        across, down = (
            np.exp(np.maximum(-0.5 * (narrow * (line[:, None] - at[:, None, :, axis])) ** 2, _FARTHEST))
            for axis, line in enumerate(centres)
        )  # (N, columns, V), (N, rows, V)
        across = np.float32(strength) * across.swapaxes(-1, -2)
        total += (down * change) @ across
        weight += down @ across
    return total / np.maximum(weight, np.float32(1e-12)) / _LARGE

# SPDX-License-Identifier: GPL-3.0-or-later
"""A place for a new portrait where it can be seen: beside other portraits, and before what would cover it.

Nothing of the user's is moved, hidden or deleted.
"""

from __future__ import annotations

from typing import Final

import bpy
import numpy as np
from mathutils import Vector

from .scene_portraits import portraits_of

_SOLID_TYPES: Final = {"MESH", "CURVE", "SURFACE", "META", "FONT", "VOLUME", "POINTCLOUD", "CURVES", "GREASEPENCIL"}
_GAP: Final = 0.1  # of the picture's longer side
_REACH: Final = 2.0  # of the same: what stands farther before the picture is not avoided but reported
_OVERLAP: Final = 1e-4  # metres; bounds that only touch do not cover

Box = tuple[np.ndarray, np.ndarray]
"""(3,) least and (3,) largest corner, metres of the world."""


def make_room(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, plane: bpy.types.Object) -> list[str]:
    """Moves a new plane, which faces -Y, to where it is seen from the front.

    Returns:
        Names of what covers it all the same, because it stands far before it.
    """
    layer.update()  # a new plane's matrix is not known yet
    depsgraph = layer.depsgraph
    pictures = [item.plane for item in portraits_of(scene).items if item.plane not in (None, plane)]
    beside = [_box(depsgraph, item) for item in pictures if _is_seen(layer, item)]
    rigs = {item.rig for item in portraits_of(scene).items}
    others = {
        item.name: _box(depsgraph, item)
        for item in layer.objects
        if item.type in _SOLID_TYPES and item != plane and item not in pictures and item not in rigs
        and item.display_type not in ("WIRE", "BOUNDS") and _is_seen(layer, item)
    }  # fmt: skip
    own = _box(depsgraph, plane)
    size = float((own[1] - own[0]).max())
    gap, reach = _GAP * size, _REACH * size
    while True:
        _step_aside(plane, own, beside, gap, reach)
        moved = _moved(own, plane)
        near = [box for box in others.values() if _covers(box, moved) and box[0][1] > moved[0][1] - reach]
        if not near:
            return [name for name, box in others.items() if _covers(box, moved)]
        plane.location.y += min(box[0][1] for box in near) - gap - moved[0][1]


def _step_aside(plane: bpy.types.Object, own: Box, pictures: list[Box], gap: float, reach: float) -> None:
    """To the right, until no other portrait is at the same place or before it."""
    moved = own
    while True:
        there = [box for box in pictures if _overlap(box, moved, 0) and _overlap(box, moved, 2) and
                 box[0][1] - gap < moved[1][1] and moved[0][1] - reach < box[1][1]]  # fmt: skip
        if not there:
            break
        plane.location.x += max(box[1][0] for box in there) + gap - moved[0][0]
        moved = _moved(own, plane)


def _moved(own: Box, plane: bpy.types.Object) -> Box:
    """The box now, from the one that it had where its matrix was last worked out."""
    shift = np.array(plane.location - plane.matrix_world.translation)
    return own[0] + shift, own[1] + shift


def _overlap(one: Box, other: Box, axis: int) -> bool:
    return bool(one[0][axis] < other[1][axis] - _OVERLAP and other[0][axis] < one[1][axis] - _OVERLAP)


def _covers(box: Box, picture: Box) -> bool:
    """Whether a part of it is seen before the picture, from the front; a floor is seen on edge."""
    if min(box[1][0] - box[0][0], box[1][2] - box[0][2]) < _OVERLAP:
        return False
    return _overlap(box, picture, 0) and _overlap(box, picture, 2) and bool(box[0][1] < picture[1][1] + _OVERLAP)


def _is_seen(layer: bpy.types.ViewLayer, item: bpy.types.Object) -> bool:
    return item.name in layer.objects and item.visible_get(view_layer=layer)


def _box(depsgraph: bpy.types.Depsgraph, item: bpy.types.Object) -> Box:
    shape = item.evaluated_get(depsgraph)
    corners = np.array([shape.matrix_world @ Vector(corner) for corner in shape.bound_box])
    return corners.min(0), corners.max(0)

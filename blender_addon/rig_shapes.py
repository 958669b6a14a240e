# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rig's bones look like: custom shapes shared by all rigs of a file, and a colour for each group."""

from __future__ import annotations

from typing import Final

import bpy
import numpy as np

GROUP_COLORS: Final[dict[str, tuple[float, float, float]]] = {
    "jaw": (0.95, 0.80, 0.30),
    "right_brow": (0.35, 0.75, 0.95),
    "left_brow": (0.95, 0.45, 0.45),
    "nose_bridge": (0.60, 0.85, 0.45),
    "nose_base": (0.40, 0.70, 0.35),
    "right_eye": (0.25, 0.55, 0.95),
    "left_eye": (0.90, 0.30, 0.30),
    "outer_lip": (0.95, 0.45, 0.75),
    "inner_lip": (0.75, 0.35, 0.85),
    "right_pupil": (0.55, 0.95, 0.95),
    "left_pupil": (0.98, 0.70, 0.55),
}
HEAD_COLOR: Final = (0.95, 0.95, 0.95)

_POINT_SHAPE = "WGT-portrait_point"
_HEAD_SHAPE = "WGT-portrait_head"


def point_shape() -> bpy.types.Object:
    """A small octahedron of radius 1 around the bone's head: the same seen from any side."""
    corners = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    faces = [(a, b, c) for a in (0, 1) for b in (2, 3) for c in (4, 5)]
    return _shape(_POINT_SHAPE, corners, [], faces)


def head_shape() -> bpy.types.Object:
    """A halo above the crown and a pointer to the front, in units of the face's width; drawn as lines.

    In the bone's own axes: x is the picture's right, y up, z towards the viewer.
    """
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    halo = [(0.62 * np.sin(a), 1.05, 0.62 * np.cos(a)) for a in turn]
    edges = [(i, (i + 1) % len(halo)) for i in range(len(halo))]
    first = len(halo)
    pointer = [(-0.14, 1.05, 0.68), (0, 1.05, 0.92), (0.14, 1.05, 0.68)]
    edges += [(first, first + 1), (first + 1, first + 2), (first + 2, first)]
    cross = [(-0.08, 0, 0), (0.08, 0, 0), (0, -0.08, 0), (0, 0.08, 0), (0, 0, -0.08), (0, 0, 0.08)]
    edges += [(first + 3 + i, first + 4 + i) for i in (0, 2, 4)]
    return _shape(_HEAD_SHAPE, halo + pointer + cross, edges, [])


def color_bone(bone: bpy.types.Bone, color: tuple[float, float, float]) -> None:
    bone.color.palette = "CUSTOM"
    bone.color.custom.normal = color
    bone.color.custom.select = tuple(min(1.0, 0.4 + 0.6 * channel) for channel in color)
    bone.color.custom.active = (1.0, 1.0, 1.0)


def _shape(name: str, vertices: list, edges: list, faces: list) -> bpy.types.Object:
    """The widget of that name; it belongs to no scene, so it is never rendered or picked by itself."""
    shape = bpy.data.objects.get(name)
    if shape is None or shape.type != "MESH":
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(vertices, edges, faces)
        shape = bpy.data.objects.new(name, mesh)
    return shape

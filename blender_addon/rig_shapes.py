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
HEAD_COLOR: Final = (1.0, 0.50, 0.05)

_POINT_SHAPE = "WGT-portrait_point"
_HEAD_SHAPE = "WGT-portrait_head"
_HALO_SEGMENTS, _HALO_SIDES = 40, 8
_HALO_RADIUS, _HALO_TUBE, _HALO_HEIGHT = 0.6, 0.03, 1.3  # of the face's width
_HALO_LEAN_DEGREES = 18


def point_shape() -> bpy.types.Object:
    """A small octahedron of radius 1 around the bone's head: the same seen from any side."""
    corners = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    faces = [(a, b, c) for a in (0, 1) for b in (2, 3) for c in (4, 5)]
    return _shape(_POINT_SHAPE, corners, [], faces)


def head_shape() -> bpy.types.Object:
    """A solid halo above the crown with an arrow to the front, in units of the face's width.

    In the bone's own axes: x is the picture's right, y up, z towards the viewer. It leans to the viewer, so that
    it is a ring and not a line from the front, where it is easy to see and to pick.
    """
    along = np.linspace(0, 2 * np.pi, _HALO_SEGMENTS, endpoint=False)
    around = np.linspace(0, 2 * np.pi, _HALO_SIDES, endpoint=False)
    reach = _HALO_RADIUS + _HALO_TUBE * np.cos(around)
    ring = np.stack(
        (
            np.outer(np.sin(along), reach),
            np.broadcast_to(_HALO_TUBE * np.sin(around), (_HALO_SEGMENTS, _HALO_SIDES)),
            np.outer(np.cos(along), reach),
        ),
        axis=2,
    ).reshape(-1, 3)
    faces: list[tuple[int, ...]] = []
    for segment in range(_HALO_SEGMENTS):
        for side in range(_HALO_SIDES):
            after, above = (segment + 1) % _HALO_SEGMENTS, (side + 1) % _HALO_SIDES
            corners = ((segment, side), (after, side), (after, above), (segment, above))
            faces.append(tuple(a * _HALO_SIDES + b for a, b in corners))
    arrow = _HALO_RADIUS * np.array([(-0.24, 0, 1.1), (0.24, 0, 1.1), (0, 0, 1.5), (0, 0.07, 1.1), (0, -0.07, 1.1)])
    first = len(ring)
    faces += [
        tuple(first + corner for corner in face) for face in ((0, 2, 3), (3, 2, 1), (1, 2, 4), (4, 2, 0), (0, 3, 1, 4))
    ]
    x, y, z = np.concatenate((ring, arrow)).T
    lean = np.radians(_HALO_LEAN_DEGREES)
    y, z = y * np.cos(lean) - z * np.sin(lean), y * np.sin(lean) + z * np.cos(lean)
    return _shape(_HEAD_SHAPE, np.column_stack((x, y + _HALO_HEIGHT, z)).tolist(), [], faces)


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

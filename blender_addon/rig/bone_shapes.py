# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rig's bones look like: custom shapes shared by all rigs of a file, and a colour for each group."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
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
HANDLE_COLORS: Final[dict[str, tuple[float, float, float]]] = {
    "right": (0.20, 0.55, 1.00),
    "left": (1.00, 0.25, 0.25),
    "middle": (1.00, 0.85, 0.10),
    "gaze": (0.20, 0.95, 0.85),
}

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


def handle_shape(name: str) -> bpy.types.Object:
    """A handle's shape, one of `HANDLE_SHAPES`: flat, facing the viewer, within a circle of about radius 1."""
    vertices, faces = _facing(name)
    return _shape(f"WGT-portrait_{name}", vertices, [], faces)


@cache
def _facing(name: str) -> _Flat:
    vertices, faces = HANDLE_SHAPES[name]()
    return vertices, [face if _area(np.array(vertices)[list(face)]) > 0 else face[::-1] for face in faces]


def _area(corners: np.ndarray) -> float:
    """Twice the area, above 0 where the corners run counter-clockwise: Blender fills a shape from that side alone."""
    x, y = corners[:, 0], corners[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


_Flat = tuple[list[tuple[float, float, float]], list[tuple[int, ...]]]


def _outline(corners: list[tuple[float, float]]) -> _Flat:
    return [(x, y, 0.0) for x, y in corners], [tuple(range(len(corners)))]


def _band(first: float, last: float, inner: float, outer: float, taper: bool = False) -> _Flat:
    """A part of a ring, between two angles in degrees from the picture's right, counter-clockwise."""
    angles = np.radians(np.linspace(first, last, _BAND_SEGMENTS))
    middle, half = (inner + outer) / 2, (outer - inner) / 2
    width = half * (np.sin(np.linspace(0.12, np.pi - 0.12, _BAND_SEGMENTS)) if taper else np.ones(_BAND_SEGMENTS))
    rims = [(np.cos(angles) * (middle + way * width), np.sin(angles) * (middle + way * width)) for way in (-1, 1)]
    vertices = [(float(x), float(y), 0.0) for rim in rims for x, y in zip(*rim, strict=True)]
    count = _BAND_SEGMENTS
    return vertices, [(i, i + 1, count + i + 1, count + i) for i in range(count - 1)]


def _moved(flat: _Flat, x: float = 0.0, y: float = 0.0, scale: float = 1.0) -> _Flat:
    return [(scale * a + x, scale * b + y, 0.0) for a, b, _ in flat[0]], flat[1]


def _joined(*parts: _Flat) -> _Flat:
    vertices: list[tuple[float, float, float]] = []
    faces: list[tuple[int, ...]] = []
    for some, among in parts:
        faces += [tuple(len(vertices) + corner for corner in face) for face in among]
        vertices += some
    return vertices, faces


def _rectangle(left: float, right: float, bottom: float, top: float) -> _Flat:
    return _outline([(left, bottom), (right, bottom), (right, top), (left, top)])


def _ring() -> _Flat:
    return _band(0, 360, 0.93, 1.0)


def _crosshair() -> _Flat:
    ticks = [_rectangle(-0.06, 0.06, 0.35, 1.2), _rectangle(-0.06, 0.06, -1.2, -0.35),
             _rectangle(0.35, 1.2, -0.06, 0.06), _rectangle(-1.2, -0.35, -0.06, 0.06)]  # fmt: skip
    return _joined(_band(0, 360, 0.75, 0.9), *ticks)


def _lips_frame() -> _Flat:
    """A pad with a sign at each edge for the mouth's shape there: an open ring above, a small one at the right, a line at
    the left, two lines below."""
    edges = [_rectangle(-1, 1, 0.97, 1.0), _rectangle(-1, 1, -1.0, -0.97),
             _rectangle(-1.0, -0.97, -1, 1), _rectangle(0.97, 1.0, -1, 1)]  # fmt: skip
    return _joined(
        *edges,
        _moved(_band(0, 360, 0.7, 1.0), y=1.32, scale=0.24),
        _moved(_band(0, 360, 0.5, 1.0), x=1.25, scale=0.13),
        _rectangle(-1.45, -1.12, -0.03, 0.03),
        _rectangle(-0.2, 0.2, -1.22, -1.16), _rectangle(-0.2, 0.2, -1.38, -1.32),
    )  # fmt: skip


_BAND_SEGMENTS = 25
HANDLE_SHAPES: Final[dict[str, Callable[[], _Flat]]] = {
    "chevron": lambda: _outline([(-1, -0.55), (0, 0.15), (1, -0.55), (1, -0.05), (0, 0.75), (-1, -0.05)]),
    "upper_arc": lambda: _moved(_band(35, 145, 1.0, 1.3, taper=True), y=-1.15),
    "lower_arc": lambda: _moved(_band(215, 325, 1.0, 1.3, taper=True), y=1.15),
    "ring": _ring,
    "crosshair": _crosshair,
    "diamond": lambda: _outline([(0, -1), (1, 0), (0, 1), (-1, 0)]),
    "knob": lambda: _outline([(np.cos(a), np.sin(a)) for a in np.linspace(0, 2 * np.pi, 20, endpoint=False)]),
    "double_arrow": lambda: _outline(
        [(-1, 0), (-0.6, 0.32), (-0.6, 0.1), (0.6, 0.1), (0.6, 0.32),
         (1, 0), (0.6, -0.32), (0.6, -0.1), (-0.6, -0.1), (-0.6, -0.32)]
    ),
    "jaw": lambda: _joined(
        _moved(_band(215, 325, 1.05, 1.3), y=1.2), _outline([(-0.28, -0.25), (0, -0.62), (0.28, -0.25)])
    ),
    "lips_frame": _lips_frame,
}  # fmt: skip


def color_bone(bone: bpy.types.Bone, color: tuple[float, float, float]) -> None:
    bone.color.palette = "CUSTOM"
    bone.color.custom.normal = color
    bone.color.custom.select = tuple(min(1.0, 0.4 + 0.6 * channel) for channel in color)
    bone.color.custom.active = (1.0, 1.0, 1.0)


def _shape(name: str, vertices: list, edges: list, faces: list) -> bpy.types.Object:
    """The object of that name; it is in no scene, so it is neither rendered nor selectable."""
    shape = bpy.data.objects.get(name)
    if shape is None or shape.type != "MESH":
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(vertices, edges, faces)
        shape = bpy.data.objects.new(name, mesh)
    return shape

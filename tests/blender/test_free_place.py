# SPDX-License-Identifier: GPL-3.0-or-later
"""A new portrait is seen: nothing stands before it, and it is framed in what no sidebar covers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.portraits import free_place, portrait_parts, viewport  # noqa: E402


def cube(name: str, place: tuple[float, float, float], size: float = 1.0) -> Any:
    """As in Blender's default scene: two metres wide."""
    corners = [(x, y, z) for x in (-size, size) for y in (-size, size) for z in (-size, size)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], faces)
    made = bpy.data.objects.new(name, mesh)
    made.location = place
    bpy.context.scene.collection.objects.link(made)
    bpy.context.view_layer.update()
    return made


def place(plane: Any) -> tuple[list[str], np.ndarray]:
    """(what still covers it, where it is now)."""
    told = free_place.make_room(bpy.context.scene, bpy.context.view_layer, plane)
    return told, np.array(plane.location)


def seen_through(plane: Any, points: int = 5) -> list[str]:
    """What a ray from far before each part of the picture meets first."""
    layer = bpy.context.view_layer
    layer.update()
    half_x, half_z = np.abs(np.array(plane.data.vertices[0].co))[[0, 2]] * 0.98
    met = []
    for x in np.linspace(-half_x, half_x, points):
        for z in np.linspace(-half_z, half_z, points):
            middle = plane.matrix_world.translation
            start = (middle.x + x, middle.y - 100, middle.z + z)
            hit, _, _, _, item, _ = bpy.context.scene.ray_cast(layer.depsgraph, start, (0, 1, 0))
            met.append(item.name if hit else "")
    return met


def test_the_default_cube_does_not_cover_it(scene: Any, photo_file: Path) -> None:
    standing = cube("Cube", (0, 0, 0))
    portrait = portrait_parts.add(scene, str(photo_file))
    assert "Cube" in seen_through(portrait.plane), "what this is about"
    told, where = place(portrait.plane)
    assert told == [] and where[1] < -1 and where[0] == where[2] == 0
    assert set(seen_through(portrait.plane)) == {portrait.plane.name}
    assert tuple(standing.location) == (0, 0, 0) and standing.visible_get()


def test_several_in_a_row_are_passed(scene: Any, photo_file: Path) -> None:
    for number in range(3):
        cube(f"cube {number}", (0.5 * number, -1.5 * number, 0), 0.5)
    portrait = portrait_parts.add(scene, str(photo_file))
    assert place(portrait.plane)[0] == []
    assert set(seen_through(portrait.plane)) == {portrait.plane.name}


def test_what_does_not_cover_it_leaves_it_at_the_cursor(scene: Any, photo_file: Path) -> None:
    cube("behind", (0, 3, 0))
    cube("aside", (5, 0, 0))
    cube("hidden", (0, 0, 0)).hide_set(True)
    cube("wires", (0, 0, 0)).display_type = "WIRE"
    floor = cube("floor", (0, 0, 0), 0.0)
    floor.data.clear_geometry()
    floor.data.from_pydata([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], [], [(0, 1, 2, 3)])
    scene.cursor.location = (0.25, 0.5, 0.1)
    portrait = portrait_parts.add(scene, str(photo_file))
    told, where = place(portrait.plane)
    assert told == []
    np.testing.assert_allclose(where, (0.25, 0.5, 0.1), atol=1e-6)


def test_what_stands_far_before_it_is_told(scene: Any, photo_file: Path) -> None:
    cube("wall", (0, -40, 0))
    portrait = portrait_parts.add(scene, str(photo_file))
    told, where = place(portrait.plane)
    assert told == ["wall"] and tuple(where) == (0, 0, 0)


def test_a_second_portrait_stands_beside_the_first(portrait: Any, photo_file: Path) -> None:
    for _ in range(2):
        made = portrait_parts.add(bpy.context.scene, str(photo_file))
        assert place(made.plane)[0] == []
    across = [item.plane.location.x for item in bpy.context.scene.talking_portraits.items]
    assert np.diff(across).min() > 2 * portrait.space.half_size[0]
    assert all(set(seen_through(item.plane)) == {item.plane.name} for item in bpy.context.scene.talking_portraits.items)


def test_several_portraits_by_the_default_cube_are_all_seen(scene: Any, photo_file: Path) -> None:
    cube("Cube", (0, 0, 0))
    for _ in range(3):
        made = portrait_parts.add(scene, str(photo_file))
        assert place(made.plane)[0] == []
    for item in scene.talking_portraits.items:
        assert set(seen_through(item.plane)) == {item.plane.name}


def region(kind: str, x: int, y: int, width: int, height: int) -> Any:
    return SimpleNamespace(type=kind, x=x, y=y, width=width, height=height)


def test_the_free_part_is_what_nothing_lies_on() -> None:
    window = region("WINDOW", 100, 50, 1000, 800)
    bars = [
        region("HEADER", 100, 824, 1000, 26), region("TOOL_HEADER", 100, 798, 1000, 26),
        region("TOOLS", 100, 50, 56, 748), region("UI", 860, 50, 240, 748), region("ASSET_SHELF", 156, 50, 704, 100),
        region("HUD", 160, 60, 200, 90), region("XR", 100, 50, 1, 1),
    ]  # fmt: skip
    area = SimpleNamespace(regions=[*bars, window])
    assert viewport.free_part(area, window) == (56, 100, 760, 748)
    apart = [region("HEADER", 100, 850, 1000, 26), region("UI", 1100, 50, 240, 800)]  # without region overlap
    assert viewport.free_part(SimpleNamespace(regions=[*apart, window]), window) == (0, 0, 1000, 800)
    wide = region("UI", 200, 50, 900, 800)
    assert viewport.free_part(SimpleNamespace(regions=[wide, window]), window) == (0, 0, 1000, 800), "next to nothing"


def test_the_picture_lies_within_the_free_part(portrait: Any) -> None:
    space = next(a for s in bpy.data.screens for a in s.areas if a.type == "VIEW_3D").spaces.active
    width, height, free = 1000, 800, viewport.Rectangle(56, 100, 760, 748)
    portrait.plane.location = (3, -2, 1)
    bpy.context.view_layer.update()
    viewport.look_from_front(space, width, height, portrait, free)
    view = space.region_3d
    pixel = view.view_distance * 2 * 36 / space.lens / max(width, height)  # metres
    corners = []
    for vertex in portrait.plane.data.vertices:
        seen = view.view_rotation.inverted() @ (portrait.plane.matrix_world @ vertex.co - view.view_location)
        corners.append((width / 2 + seen.x / pixel, height / 2 + seen.y / pixel))
    least, largest = np.min(corners, 0), np.max(corners, 0)
    assert (least > free[:2]).all() and (largest < free[2:]).all()
    np.testing.assert_allclose((least + largest) / 2, (408, 424), atol=0.5, err_msg="in its middle")
    assert max((largest - least) / (704, 648)) == pytest.approx(0.8, abs=0.01)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Pose looks at the face, and leaves a view alone in which it is seen well."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Quaternion, Vector  # noqa: E402

from blender_addon.portraits import viewport  # noqa: E402


def places(*corners: tuple[float, float]) -> list[Any]:
    return [Vector(corner) for corner in corners]


FREE = viewport.Rectangle(50, 0, 700, 600)


@pytest.mark.parametrize(
    ("corners", "well"),
    [
        (places((200, 100), (500, 100), (200, 500), (500, 500)), True),
        (places((200, 100), (260, 100), (200, 180), (260, 180)), False),
        (places((500, 100), (800, 100), (500, 500), (800, 500)), False),
        ([None, *places((500, 100), (200, 500), (500, 500))], False),
    ],
    ids=["well", "small", "under the sidebar", "behind"],
)
def test_what_is_seen_well(corners: list[Any], well: bool) -> None:
    assert viewport._is_seen_well(corners, FREE) == well


def test_the_face_comes_to_the_middle_of_what_is_free(portrait: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bpy.context.view_layer.update()
    region = SimpleNamespace(width=800, height=600)
    view = SimpleNamespace(
        view_perspective="PERSP", view_rotation=Quaternion((0, 0, 1), 2.0), view_location=Vector(), view_distance=10.0
    )
    space = SimpleNamespace(region_3d=view, lens=50.0)
    seen: list[Any] = [None]
    monkeypatch.setattr(viewport, "location_3d_to_region_2d", lambda *_: seen[0])
    assert viewport.look_at_face(region, space, portrait, FREE), "seen from behind: it is turned to"
    front = portrait.plane.matrix_world.to_quaternion() @ Quaternion((0.7071068, 0.7071068, 0, 0))
    assert abs(view.view_rotation.dot(front)) == pytest.approx(1.0, abs=1e-5)
    pixel = view.view_distance * 72.0 / 50.0 / 800
    corners = np.array(viewport._face_corners(portrait))
    right, up = view.view_rotation @ Vector((1, 0, 0)), view.view_rotation @ Vector((0, 1, 0))
    flat = (corners - view.view_location) @ np.array((right, up)).T / pixel + (400, 300)
    assert flat[:, 0].min() >= 50 and flat[:, 0].max() <= 700 and flat[:, 1].min() >= 0 and flat[:, 1].max() <= 600
    np.testing.assert_allclose(flat.mean(0), (375, 300), atol=0.5)
    view.view_perspective = "CAMERA"
    kept = view.view_distance
    assert not viewport.look_at_face(region, space, portrait, FREE) and view.view_distance == kept


def test_the_outer_handles_are_in_the_picture_too(portrait: Any) -> None:
    bpy.context.view_layer.update()
    low, high = (
        np.array(viewport._face_corners(portrait))[index][[0, 2]] for index in (0, 3)
    )  # lower left, upper right
    for name in ("head", "lips", "jaw"):
        bone = portrait.rig.pose.bones[name]
        for corner in bone.custom_shape.data.vertices:
            spot = portrait.rig.matrix_world @ bone.matrix @ (corner.co * bone.bone.length)
            assert low[0] <= spot.x <= high[0] and low[1] <= spot.z <= high[1], name

# SPDX-License-Identifier: GPL-3.0-or-later
"""The handles at turned heads, as the viewer sees them from the front: on what they move, and beside the mouth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from portrait_shared.landmarks import GROUPS

bpy = pytest.importorskip("bpy")

from blender_addon.rig import armature as rig_module  # noqa: E402
from blender_addon.rig.handles import FRAME_BONE, HANDLES, RigFrame  # noqa: E402
from blender_addon.rig.sampling import points_as_evaluated  # noqa: E402
from tests.blender.test_rig_controls import inside  # noqa: E402

TURNS = [
    (0, 0, 0), (0, 20, 0), (0, -20, 0), (0, 35, 0), (0, -35, 0), (20, 0, 0), (-20, 0, 0), (0, 0, 20), (0, 0, -20),
    (20, 30, -20), (-20, -30, 20),
]  # fmt: skip
EYES = {"eye.R": (68, "right_eye"), "eye.L": (69, "left_eye")}


def pose(portrait: Any, turn: tuple[float, float, float], opened: float) -> None:
    portrait.rig.pose.bones["head"].rotation_euler = np.radians(turn)
    portrait.rig["jawOpen"] = opened
    portrait.rig.update_tag()
    bpy.context.view_layer.update()


def seen(portrait: Any) -> np.ndarray:
    """(70, 2) pixels."""
    return points_as_evaluated(portrait.rig, bpy.context.view_layer, portrait.space)[:, :2]


def outline(portrait: Any, name: str) -> tuple[list[np.ndarray], np.ndarray]:
    """The faces of a handle's shape as polygons in pixels, and where its bone is."""
    bone = portrait.rig.evaluated_get(bpy.context.view_layer.depsgraph).pose.bones[name]
    mesh = bone.custom_shape.data
    corners = [bone.matrix @ (vertex.co * bone.bone.length) for vertex in mesh.vertices]
    flat = portrait.space.to_pixels(np.array(corners))[:, :2]
    middle = portrait.space.to_pixels(np.array(bone.matrix.translation))[:2]
    return [flat[list(face.vertices)] for face in mesh.polygons], middle


@pytest.fixture(params=[0, 20, -20], ids=lambda yaw: f"photo{yaw}")
def turned_photo(portrait: Any, face: np.ndarray, request: pytest.FixtureRequest) -> Any:
    """The portrait of a photo on which the head is turned already."""
    angle = np.radians(request.param)
    about = np.array(((np.cos(angle), 0, np.sin(angle)), (0, 1, 0), (-np.sin(angle), 0, np.cos(angle))))
    middle = face.mean(0)
    rig_module.fit(bpy.context, portrait.rig, portrait.space, (face - middle) @ about.T + middle)
    return portrait


def test_handles_stay_on_what_they_move(turned_photo: Any) -> None:
    for turn in TURNS:
        for opened in (0.0, 1.0):
            pose(turned_photo, turn, opened)
            check_handles(turned_photo, f"{turn} {opened}")


def check_handles(turned_photo: Any, told: str) -> None:
    points = seen(turned_photo)
    rest = rig_module.rest_points(turned_photo.rig, turned_photo.space)
    unit = RigFrame.of(rest, turned_photo.space).unit / turned_photo.space.metres_per_pixel
    for name, (pupil, group) in EYES.items():
        faces, middle = outline(turned_photo, name)
        assert np.linalg.norm(middle - points[pupil]) < 0.02 * unit, (name, told)
        hull = np.concatenate(faces)
        around = np.array([hull[np.argmax(hull @ way)] for way in _directions()])
        assert all(inside(around, points[number]) for number in GROUPS[group]), (
            name,
            told,
            "the ring is around the eye",
        )
    _, middle = outline(turned_photo, "gaze")
    assert np.linalg.norm(middle - points[[68, 69]].mean(0)) < 0.02 * unit, told
    for name, control in HANDLES.items():
        if control.rides:
            _, middle = outline(turned_photo, name)
            away = np.linalg.norm(middle - points[list(control.anchors)].mean(0))
            assert away < (np.linalg.norm(control.offset) + 0.03) * unit, (name, told)


def test_the_lips_pad_covers_no_lip(turned_photo: Any) -> None:
    for turn in TURNS:
        for opened in (0.0, 1.0):
            pose(turned_photo, turn, opened)
            check_pad(turned_photo, f"{turn} {opened}")


def check_pad(turned_photo: Any, told: str) -> None:
    points = seen(turned_photo)
    hull = np.concatenate(outline(turned_photo, FRAME_BONE)[0])
    around = np.array([hull[np.argmax(hull @ way)] for way in _directions()])
    lips = points[[*GROUPS["outer_lip"], *GROUPS["inner_lip"]]]
    assert not [tuple(lip) for lip in lips if inside(around, lip)], told
    _, corner = outline(turned_photo, "mouth_corner.L")
    assert not inside(around, corner), (told, "nor the handle of the mouth's corner")


def _directions() -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.column_stack((np.cos(angles), np.sin(angles)))

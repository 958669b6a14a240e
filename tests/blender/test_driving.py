# SPDX-License-Identifier: GPL-3.0-or-later
"""Other rigs drive a portrait: empties, bones, vertices and shape keys, through views, at rest, scaled, baked, broken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from portrait_shared.landmarks import INDEX_OF, NAMES

from blender_addon.rig.blendshapes import combine

bpy = pytest.importorskip("bpy")

from mathutils import Euler, Matrix, Vector  # noqa: E402

from blender_addon.blender import modes  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.driving import mechanism, names, sources  # noqa: E402
from blender_addon.interface.panels import driving_panel  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from blender_addon.rig import armature as rig_module  # noqa: E402
from blender_addon.rig.sampling import sample_now  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402
from tests.blender.test_panels import CheckedLayout  # noqa: E402
from tests.pose_bones import select_pose_bone  # noqa: E402

TOLERANCE = 0.02  # pixels of a face 50 pixels wide
_UPRIGHT = Matrix.Rotation(math.radians(90), 4, "X")  # a face's right, up, out as an object's X, Z, -Y


def posed(portrait: Any, frame: int = 1) -> np.ndarray:
    return sample(bpy.context.scene, portrait.rig, portrait.space, [frame]).points[0]


def now(portrait: Any) -> np.ndarray:
    return sample_now(portrait.rig, bpy.context.view_layer, portrait.space).points


def rest(portrait: Any) -> np.ndarray:
    return rig_module.rest_points(portrait.rig, portrait.space)


def own_metres(portrait: Any) -> np.ndarray:
    """(70, 3) right, up, out."""
    return portrait.space.to_local(rest(portrait)) @ rig_module.BONE_AXES.T


def empties(portrait: Any, place: Matrix, scale: float = 1.0, wanted: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """The portrait's own face as empties, anywhere."""
    made = {}
    for name in wanted:
        item = bpy.data.objects.new(name, None)
        bpy.context.scene.collection.objects.link(item)
        item.location = place @ Vector(own_metres(portrait)[INDEX_OF[name]] * scale)
        made[name] = item
    return made


def select(*chosen: Any) -> None:
    for item in bpy.context.view_layer.objects:
        item.select_set(item in chosen)
    bpy.context.view_layer.objects.active = chosen[0] if chosen else None
    bpy.context.view_layer.update()


def map_by_name(portrait: Any, *chosen: Any, **settings: Any) -> None:
    for name, value in settings.items():
        setattr(portrait.driving, name, value)
    select(*chosen)
    assert bpy.ops.portrait.map_by_name() == {"FINISHED"}
    assert bpy.ops.portrait.set_driver_rest() == {"FINISHED"}


def empty_plane(place: Matrix) -> Any:
    plane = bpy.data.objects.new("view", None)
    bpy.context.scene.collection.objects.link(plane)
    plane.matrix_world = place
    return plane


def camera(place: Matrix, kind: str = "PERSP") -> Any:
    made = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    made.data.type = kind
    bpy.context.scene.collection.objects.link(made)
    made.matrix_world = place
    bpy.context.scene.camera = made
    return made


def armature(name: str, bones: Mapping[str, tuple[Any, Any]], children_of: str | None = None) -> Any:
    data = bpy.data.armatures.new(name)
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    with modes.editing(bpy.context, made):
        for bone, (head, tail) in bones.items():
            new = data.edit_bones.new(bone)
            new.head, new.tail = head, tail
        for bone in bones:
            if children_of is not None and bone != children_of:
                data.edit_bones[bone].parent = data.edit_bones[children_of]
    return made


def mesh(name: str, places: list[Any]) -> Any:
    data = bpy.data.meshes.new(name)
    data.from_pydata([tuple(place) for place in places], [], [])
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    return made


def moved(portrait: Any, offsets: Mapping[str, tuple[float, float, float]]) -> np.ndarray:
    """The photo with points moved right, up and out, metres."""
    points = own_metres(portrait)
    for name, offset in offsets.items():
        points[INDEX_OF[name]] += offset
    return portrait.space.to_pixels(points @ rig_module.BONE_AXES)


ANYWHERE = Matrix.LocRotScale(Vector((7, -3, 11)), Euler((0.4, -0.9, 2.1)), None)


def test_names_of_many_kinds_stand_for_points() -> None:
    rigify = names.match(
        ["DEF-lip.T.L", "DEF-lip.B.L", "DEF-lip.T.L.001", "lip.T.L", "DEF-lid.T.R.001", "DEF-spine.006"]
    )
    assert rigify["outer_lip_52"] == names.Match("DEF-lip.T.L", 0) and rigify["head"].name == "DEF-spine.006"
    assert rigify["outer_lip_55"] == names.Match("DEF-lip.T.L.001", 1)
    counted = names.match([f"landmark.{number:03d}" for number in range(1, 69)])
    assert counted["jaw_09"].name == "landmark.009" and "left_pupil" not in counted
    from_zero = names.match([f"dlib_{number}" for number in range(68)])
    assert from_zero["jaw_09"].name == "dlib_8"
    mesh_points = names.match([f"cgt_face_vertex_{number}" for number in range(468)])
    assert mesh_points["jaw_09"].name == "cgt_face_vertex_152"
    assert not names.match(["Cube.001", "Cube.002", "Cube.003", "nose", "chin", "Point.004"])
    sliders = names.match_sliders(["jaw_open", "MouthSmile_L", "eyeBlinkRight", "Basis", "rig:mouthLeft"])
    assert sliders == {
        "jawOpen": "jaw_open", "mouthSmileLeft": "MouthSmile_L", "eyeBlinkRight": "eyeBlinkRight",
        "mouthLeft": "rig:mouthLeft",
    }  # fmt: skip


@pytest.mark.parametrize("view", ["PLANE", "CAMERA", "FRONT"])
@pytest.mark.parametrize("separate_head", [True, False])
def test_at_rest_the_portrait_is_the_photo(portrait: Any, view: str, separate_head: bool) -> None:
    drivers = empties(portrait, ANYWHERE @ Matrix.Translation((0, 0, -9)), 0.13)
    camera(ANYWHERE)
    map_by_name(portrait, *drivers.values(), view=view, plane=empty_plane(ANYWHERE), separate_head=separate_head)
    assert len(portrait.driving.entries) == 70 and portrait.driving.face is not None
    np.testing.assert_array_equal(posed(portrait), rest(portrait))
    drivers["jaw_09"].location.x += 0.02
    assert np.abs(now(portrait) - rest(portrait)).max() > 1


def test_empties_through_a_turned_plane_at_the_drivers_scale(portrait: Any) -> None:
    plane = empty_plane(ANYWHERE)
    drivers = empties(portrait, ANYWHERE, 0.25)
    map_by_name(portrait, *drivers.values(), view="PLANE", plane=plane, separate_head=False)
    turn = ANYWHERE.to_3x3()
    drivers["outer_lip_52"].location += turn @ Vector((0.01, 0.02, 0.03))
    wanted = moved(portrait, {"outer_lip_52": (0.04, 0.08, 0.12)})
    np.testing.assert_allclose(now(portrait), wanted, atol=TOLERANCE)
    # A plane that moves along with its drivers sees no motion.
    for item in (plane, *drivers.values()):
        item.matrix_world = Matrix.Rotation(0.7, 4, "Z") @ Matrix.Translation((1, 2, 3)) @ item.matrix_world
    np.testing.assert_allclose(now(portrait), wanted, atol=TOLERANCE)


def test_a_scale_of_ones_own(portrait: Any) -> None:
    drivers = empties(portrait, _UPRIGHT, wanted=("jaw_09",))
    map_by_name(portrait, *drivers.values(), view="FRONT", automatic_scale=False, scale=0.5)
    drivers["jaw_09"].location.z -= 0.1
    np.testing.assert_allclose(now(portrait), moved(portrait, {"jaw_09": (0, -0.05, 0)}), atol=TOLERANCE)


def test_one_driver_has_no_scale_and_that_is_said(portrait: Any) -> None:
    (chin,) = empties(portrait, _UPRIGHT, wanted=("jaw_09",)).values()
    select(chin)
    bpy.ops.portrait.map_by_name()
    with pytest.raises(RuntimeError, match="turn Automatic Scale off") as caught:
        bpy.ops.portrait.set_driver_rest()
    assert "Traceback" not in str(caught.value)
    assert not [each for each in bpy.data.collections if each.name.startswith(mechanism.COLLECTION)]
    portrait.driving.automatic_scale = False
    assert bpy.ops.portrait.set_driver_rest() == {"FINISHED"}
    before = now(portrait)
    chin.location.z -= 0.05
    bpy.context.view_layer.update()
    assert (now(portrait) - before)[8, 1] == pytest.approx(0.05 / portrait.space.metres_per_pixel, abs=0.05)


def test_what_a_turned_camera_sees(portrait: Any) -> None:
    made = camera(ANYWHERE)
    before = Matrix.Translation((0.3, -0.2, -6))
    drivers = empties(portrait, ANYWHERE @ before, 0.5)
    map_by_name(portrait, *drivers.values(), view="CAMERA", separate_head=False)
    at = np.array(before @ Vector(own_metres(portrait)[INDEX_OF["jaw_09"]] * 0.5))
    step = np.array((0.1, -0.15, 0.4))  # nearer too: the camera sees it farther from the middle
    drivers["jaw_09"].location += made.matrix_world.to_3x3() @ Vector(step)
    seen = [place[:2] / -place[2] for place in (at, at + step)]
    all_at = np.array([before @ Vector(point * 0.5) for point in own_metres(portrait)])
    on_screen = all_at[:, :2] / -all_at[:, 2:]
    own = own_metres(portrait)[:, :2]
    scale = np.sqrt(((own - own.mean(0)) ** 2).sum() / ((on_screen - on_screen.mean(0)) ** 2).sum())
    got = (now(portrait) - rest(portrait))[INDEX_OF["jaw_09"]] * portrait.space.metres_per_pixel
    np.testing.assert_allclose(got[:2] * (1, -1), (seen[1] - seen[0]) * scale, atol=1e-3)
    assert got[2] < 0  # nearer


@pytest.mark.parametrize("mapped", ["points", "head"])
def test_the_heads_motion_goes_to_the_head_control(portrait: Any, mapped: str) -> None:
    drivers = empties(portrait, _UPRIGHT @ Matrix.Translation((0, 0, 3)), 2.0)
    if mapped == "head":
        head = bpy.data.objects.new("head", None)
        bpy.context.scene.collection.objects.link(head)
        drivers["head"] = head
    map_by_name(portrait, *drivers.values(), view="FRONT")
    portrait.driving.view = "PLANE"
    portrait.driving.plane = empty_plane(_UPRIGHT)
    assert bpy.ops.portrait.set_driver_rest() == {"FINISHED"}
    np.testing.assert_array_equal(posed(portrait), rest(portrait))
    turn = Matrix.Rotation(0.3, 4, "Z") @ Matrix.Rotation(-0.2, 4, "X")
    for item in drivers.values():
        item.matrix_world = Matrix.Translation((0.1, 0, 0.2)) @ turn @ item.matrix_world
    got = now(portrait)
    posed_rig = portrait.rig.evaluated_get(bpy.context.view_layer.depsgraph)
    bones = posed_rig.pose.bones
    loose = [(bones[name].matrix_basis.translation.length, bones[name].location.length) for name in NAMES]
    assert max(max(pair) for pair in loose) == 0  # no keys of their own
    still = np.array([portrait.driving.face.evaluated_get(bpy.context.view_layer.depsgraph).pose.bones[
        mechanism.out_bone(name)].location for name in NAMES])  # fmt: skip
    np.testing.assert_allclose(still, 0, atol=1e-4)
    local = own_metres(portrait)
    spread = local - local.mean(0)
    wanted = spread @ np.array((_UPRIGHT.inverted() @ turn @ _UPRIGHT).to_3x3()).T
    got_metres = portrait.space.to_local(got) @ rig_module.BONE_AXES.T
    np.testing.assert_allclose(got_metres - got_metres.mean(0), wanted, atol=2e-3)


def test_bones_named_like_rigifys(portrait: Any) -> None:
    own = {name: (_UPRIGHT @ Vector(point)) * 0.1 for name, point in zip(NAMES, own_metres(portrait), strict=True)}
    up = Vector((0, 0, 0.01))
    rig = armature("metarig", {
        "spine.006": (Vector((0, 0.05, 0)), Vector((0, 0.05, 0.05))),
        "lip.T.L": (own["outer_lip_52"], own["outer_lip_54"]),
        "lip.T.L.001": (own["outer_lip_54"], own["outer_lip_55"]),
        "lip.B.L": (own["outer_lip_58"], own["outer_lip_58"] + up),
        "chin": (own["jaw_09"], own["jaw_09"] + up),
        "brow.T.R.002": (own["right_brow_20"], own["right_brow_20"] + up),
    }, "spine.006")  # fmt: skip
    map_by_name(portrait, rig)
    entries = {entry.target: entry.item for entry in portrait.driving.entries}
    assert entries["head"] == "spine.006" and entries["jaw_09"] == "chin" and entries["outer_lip_55"] == "lip.T.L.001"
    np.testing.assert_array_equal(posed(portrait), rest(portrait))
    rig.pose.bones["chin"].location = (0, -0.02, 0)  # along the bone: down
    scale = 10.0
    here = now(portrait) - rest(portrait)
    assert here[INDEX_OF["jaw_09"], 1] * portrait.space.metres_per_pixel == pytest.approx(0.02 * scale, rel=0.15)
    rig.pose.bones["chin"].location = (0, 0, 0)
    rig.pose.bones["spine.006"].rotation_mode = "XYZ"
    rig.pose.bones["spine.006"].rotation_euler = (0, 0.4, 0)  # about its own axis, up
    turned = now(portrait)
    assert turned[INDEX_OF["nose_bridge_31"], 0] - rest(portrait)[INDEX_OF["nose_bridge_31"], 0] > 3
    rig.data.bones["chin"].name = "my chin"  # Blender tells the constraints
    entry = next(entry for entry in portrait.driving.entries if entry.target == "jaw_09")
    assert mechanism.item_of(portrait.driving, entry) == "my chin"
    assert not sources.problems(bpy.context.scene, portrait)


def test_picked_vertices_follow_shape_keys(portrait: Any) -> None:
    places = [_UPRIGHT @ Vector(own_metres(portrait)[INDEX_OF[name]]) for name in ("outer_lip_49", "outer_lip_55")]
    made = mesh("modelled head", [*places, Vector((9, 9, 9))])
    made.shape_key_add(name="Basis")
    key = made.shape_key_add(name="wide")
    key.value = 0.0
    key.data[0].co.x -= 0.1
    for bone in portrait.rig.pose.bones:
        select_pose_bone(bone, bone.name in ("outer_lip_49", "outer_lip_55"))
    select(made)
    for vertex in made.data.vertices:
        vertex.select = vertex.index < 2
    bpy.ops.object.mode_set(mode="EDIT")
    assert bpy.ops.portrait.map_picked() == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")
    found = {entry.target: entry.vertex for entry in portrait.driving.entries}
    assert found == {"outer_lip_49": 0, "outer_lip_55": 1}
    assert bpy.ops.portrait.set_driver_rest() == {"FINISHED"}
    np.testing.assert_array_equal(posed(portrait), rest(portrait))
    key.value = 0.5
    np.testing.assert_allclose(now(portrait), moved(portrait, {"outer_lip_49": (-0.05, 0, 0)}), atol=TOLERANCE)
    # Another mesh in its place: the points stay as in the photo, and it is said.
    other = bpy.data.meshes.new("other")
    other.from_pydata([(5, 5, 5)], [], [])
    made.data = other
    assert "other vertices" in str(sources.problems(bpy.context.scene, portrait)[0])
    assert bpy.ops.portrait.check_drivers() == {"FINISHED"}
    np.testing.assert_array_equal(now(portrait), rest(portrait))


def test_picked_bones_and_groups(portrait: Any) -> None:
    rig = armature("hand made", {"a": ((0, 0, 0), (0, 0, 1)), "b": ((1, 0, 0), (1, 0, 1))})
    select(rig, portrait.rig)
    bpy.ops.object.mode_set(mode="POSE")
    for bone in (*portrait.rig.pose.bones, *rig.pose.bones):
        select_pose_bone(bone, bone.name in ("jaw_01", "jaw_17", "a", "b"))
    assert bpy.ops.portrait.map_picked() == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")
    assert {entry.target: entry.item for entry in portrait.driving.entries} == {"jaw_01": "a", "jaw_17": "b"}
    grouped = mesh("grouped", [(0, 0, 0), (2, 0, 0)])
    grouped.vertex_groups.new(name="jaw_09").add([0, 1], 1.0, "REPLACE")
    select(grouped)
    assert bpy.ops.portrait.map_by_name() == {"FINISHED"}
    assert bpy.ops.portrait.set_driver_rest() == {"FINISHED"}
    np.testing.assert_array_equal(posed(portrait), rest(portrait))
    grouped.location.z = -0.3
    assert now(portrait)[8, 1] > rest(portrait)[8, 1] + 1


def test_shape_keys_and_properties_drive_the_sliders(portrait: Any) -> None:
    made = mesh("head", [(0, 0, 0)])
    made.shape_key_add(name="Basis")
    key = made.shape_key_add(name="jawOpen")
    key.value = 0.0
    other = bpy.data.objects.new("controls", None)
    bpy.context.scene.collection.objects.link(other)
    other["mouthSmile_L"] = 0.0
    select(made, other)
    assert bpy.ops.portrait.drive_sliders() == {"FINISHED"}
    np.testing.assert_array_equal(posed(portrait), rest(portrait))
    key.value = 0.7
    other["mouthSmile_L"] = 0.4
    other.update_tag()
    wanted = combine(rest(portrait), {"jawOpen": 0.7, "mouthSmileLeft": 0.4})
    np.testing.assert_allclose(now(portrait) - rest(portrait), wanted, atol=TOLERANCE)
    portrait.driving.enabled = False
    portrait.rig["jawOpen"] = portrait.rig["mouthSmileLeft"] = 0.0
    portrait.rig.update_tag()
    np.testing.assert_array_equal(now(portrait), rest(portrait))
    assert bpy.ops.portrait.clear_drivers() == {"FINISHED"}
    assert portrait.rig.driver_remove('["jawOpen"]') is False


def test_baking_keeps_the_motion(portrait: Any) -> None:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 12
    drivers = empties(portrait, _UPRIGHT)
    map_by_name(portrait, *drivers.values(), view="FRONT")
    parent = bpy.data.objects.new("parent", None)
    scene.collection.objects.link(parent)
    for item in drivers.values():
        item.parent = parent
    chin = drivers["jaw_09"]
    for frame, turn, drop in ((1, 0, 0), (6, 0.4, 0.1), (12, -0.2, 0.02)):
        parent.rotation_euler.z = turn
        parent.keyframe_insert("rotation_euler", frame=frame)
        chin.delta_location.z = -drop
        chin.keyframe_insert("delta_location", frame=frame)
    own = portrait.rig.pose.bones["outer_lip_58"]
    own.location[1] = -0.05
    own.keyframe_insert("location", frame=1)
    portrait.driving.view = "PLANE"
    portrait.driving.plane = empty_plane(_UPRIGHT)
    scene.frame_set(1)
    assert bpy.ops.portrait.set_driver_rest() == {"FINISHED"}
    frames = list(range(1, 13))
    driven = sample(scene, portrait.rig, portrait.space, frames).points
    assert np.abs(driven[5] - driven[0]).max() > 3
    before = portrait.rig.animation_data.action
    assert bpy.ops.portrait.bake_drivers(tolerance=0.1) == {"FINISHED"}
    assert not portrait.driving.enabled and portrait.driving.entries
    assert portrait.rig.animation_data.action != before and before.name in bpy.data.actions
    baked = sample(scene, portrait.rig, portrait.space, frames).points
    # Tolerances add up: the point's own, and the head's turn about it.
    np.testing.assert_allclose(baked, driven, atol=4 * 0.001 * rig_module.face_width(rest(portrait)))


def test_what_is_lost_is_said_and_the_others_go_on(portrait: Any) -> None:
    scene = bpy.context.scene
    drivers = empties(portrait, _UPRIGHT)
    map_by_name(portrait, *drivers.values(), view="FRONT", separate_head=False)
    drivers["jaw_09"].location.z -= 0.1
    bpy.data.objects.remove(drivers["jaw_01"])
    drivers["jaw_03"].name = "renamed"
    (problem,) = sources.problems(scene, portrait)
    assert "“jaw_01”, which drives jaw_01, was deleted" in str(problem) and "Remove the entry" in str(problem)
    got = now(portrait)
    np.testing.assert_array_equal(got[0], rest(portrait)[0])
    assert got[8, 1] > rest(portrait)[8, 1] + 1
    assert bpy.ops.portrait.set_driver_rest() == {"FINISHED"}  # the others
    scene.collection.objects.unlink(drivers["jaw_05"])
    assert any("not in this scene" in str(problem) for problem in sources.problems(scene, portrait))
    index = next(i for i, entry in enumerate(portrait.driving.entries) if entry.target == "jaw_09")
    portrait.driving.active_index = index
    assert bpy.ops.portrait.remove_driver() == {"FINISHED"}
    assert len(portrait.driving.entries) == 69 and not list(mechanism.constraints_of(portrait.rig, ["jaw_09"]))
    assert bpy.ops.portrait.clear_drivers() == {"FINISHED"}
    assert not portrait.driving.entries and not [item for item in bpy.data.objects if mechanism.is_helper(item)]
    np.testing.assert_array_equal(posed(portrait), rest(portrait))


def test_a_render_lets_lost_drivers_rest_and_a_removed_portrait_leaves_nothing(portrait: Any) -> None:
    rig = armature("rig", {"jaw_01": ((0, 0, 0), (0, 0, 1)), "jaw_09": ((3, 0, 0), (3, 0, 1))})
    map_by_name(portrait, rig, view="FRONT")
    with modes.editing(bpy.context, rig):
        rig.data.edit_bones.remove(rig.data.edit_bones["jaw_09"])
    assert np.abs(now(portrait) - rest(portrait)).max() > 1  # Blender takes the armature's origin for a lost bone
    RenderJob(portrait.uid, server.launch_plan(bpy.context)).begin()
    np.testing.assert_array_equal(now(portrait), rest(portrait))
    assert bpy.ops.portrait.remove() == {"FINISHED"}
    assert not [item for item in bpy.data.objects if mechanism.is_helper(item)] and rig.name in bpy.data.objects


def test_the_section_shows_drivers_and_what_is_wrong(portrait: Any) -> None:
    drivers = empties(portrait, _UPRIGHT, wanted=NAMES[:5])
    select(*drivers.values())
    bpy.ops.portrait.map_by_name()
    seen: list[str] = []
    context = SimpleNamespace(
        scene=bpy.context.scene, view_layer=bpy.context.view_layer, area=None, region=None,
        preferences=bpy.context.preferences,
    )  # fmt: skip
    driving_panel.draw_driving(CheckedLayout(seen), context)
    assert "portrait.set_driver_rest" in seen and "5 drivers wait for Set Rest." in " ".join(seen)
    bpy.ops.portrait.set_driver_rest()
    bpy.data.objects.remove(drivers["jaw_02"])
    seen.clear()
    driving_panel.draw_driving(CheckedLayout(seen), context)
    assert "At rest on frame 1" in seen and "portrait.bake_drivers" in seen
    assert "was deleted" in " ".join(" ".join(seen).split()) and "wait for Set Rest" not in " ".join(seen)


def test_a_deleted_camera_and_a_deleted_bone_leave_the_face_whole(portrait: Any) -> None:
    made = camera(ANYWHERE)
    drivers = empties(portrait, ANYWHERE @ Matrix.Translation((0, 0, -5)))
    map_by_name(portrait, *drivers.values(), view="CAMERA")
    bpy.data.objects.remove(made)
    np.testing.assert_allclose(now(portrait), rest(portrait), atol=TOLERANCE)
    with pytest.raises(RuntimeError, match="no camera"):
        bpy.ops.portrait.set_driver_rest()
    assert portrait.driving.face is not None
    rig = armature("rig", {"jaw_01": ((0, 0, 0), (0, 0, 1)), "jaw_09": ((3, 0, 0), (3, 0, 1))})
    bpy.ops.portrait.clear_drivers()
    map_by_name(portrait, rig, view="FRONT")
    with modes.editing(bpy.context, rig):
        rig.data.edit_bones.remove(rig.data.edit_bones["jaw_09"])
    (problem,) = sources.problems(bpy.context.scene, portrait)
    assert "The bone “jaw_09” of “rig”" in str(problem)
    assert bpy.ops.portrait.check_drivers() == {"FINISHED"}
    np.testing.assert_array_equal(now(portrait), rest(portrait))


@pytest.mark.parametrize("reason", ["its own rig", "hangs on the rig", "scaled to nothing", "behind the camera"])
def test_what_cannot_drive_is_refused(portrait: Any, reason: str) -> None:
    scene = bpy.context.scene
    drivers = empties(portrait, _UPRIGHT)
    words = "itself follows the rig"
    if reason == "its own rig":
        sources.put(portrait.driving, "jaw_09", sources.Source(portrait.rig, "BONE", "jaw_08"))
    else:
        select(*drivers.values())
        bpy.ops.portrait.map_by_name()
    if reason == "hangs on the rig":
        parent = bpy.data.objects.new("parent", None)
        scene.collection.objects.link(parent)
        parent.constraints.new("COPY_LOCATION").target = portrait.rig
        for item in drivers.values():
            item.parent = parent
    elif reason == "scaled to nothing":
        words = "scale cannot be found"
        for item in drivers.values():
            item.location = (0, 0, 0)
    elif reason == "behind the camera":
        words = "behind the camera"
        camera(Matrix.Translation((0, 0, -50)))
        portrait.driving.view = "CAMERA"
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.portrait.set_driver_rest()
    assert portrait.driving.face is None and not [item for item in bpy.data.objects if mechanism.is_helper(item)]
    np.testing.assert_array_equal(posed(portrait), rest(portrait))


def test_another_portraits_rig_drives_and_hidden_drivers_count(portrait: Any) -> None:
    drivers = empties(portrait, _UPRIGHT)
    for item in drivers.values():
        item.hide_viewport = False
    map_by_name(portrait, *drivers.values(), view="FRONT", separate_head=False)
    for item in drivers.values():
        item.hide_viewport = True
    bpy.context.scene.frame_set(3)
    drivers["jaw_09"].location.z -= 0.1
    np.testing.assert_allclose(now(portrait), moved(portrait, {"jaw_09": (0, -0.1, 0)}), atol=TOLERANCE)
    bpy.ops.wm.save_as_mainfile(filepath=bpy.data.filepath)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    portrait = bpy.context.scene.talking_portraits.items[0]
    assert len(portrait.driving.entries) == 70
    np.testing.assert_allclose(now(portrait), moved(portrait, {"jaw_09": (0, -0.1, 0)}), atol=TOLERANCE)

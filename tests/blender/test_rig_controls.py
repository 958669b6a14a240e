# SPDX-License-Identifier: GPL-3.0-or-later
"""The rig's handles and sliders: they move the points as the maths says, add up, and keep to their limits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from portrait_shared.landmarks import INDEX_OF, MIRROR, NAMES

from blender_addon.rig.blendshapes import ARKIT_NAMES, MIRRORED_NAMES, combine
from blender_addon.rig.expression_library import EXAMPLES, EXPRESSIONS, VISEMES

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from blender_addon.blender import compat  # noqa: E402
from blender_addon.blender.modes import editing  # noqa: E402
from blender_addon.interface.panels import menus, rig_panel  # noqa: E402
from blender_addon.portraits import portrait_parts  # noqa: E402
from blender_addon.rig import armature as rig_module  # noqa: E402
from blender_addon.rig import handles, rig_drivers  # noqa: E402
from blender_addon.rig.handles import HANDLES, LIMIT, RigFrame  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402
from tests.pose_bones import select_pose_bone  # noqa: E402

TOLERANCE = 0.02  # pixels of a face 50 pixels wide: a driver's numbers have six decimals


def posed(portrait: Any, frame: int = 1) -> np.ndarray:
    return sample(bpy.context.scene, portrait.rig, portrait.space, [frame]).points[0]


def rest(portrait: Any) -> np.ndarray:
    return rig_module.rest_points(portrait.rig, portrait.space)


def slide(portrait: Any, weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        portrait.rig[name] = weight
    portrait.rig.update_tag()


def pull(portrait: Any, name: str, share: Mapping[str, float]) -> None:
    """Moves a handle by parts of its travel: {"+y": 1.0}."""
    unit = RigFrame.of(rest(portrait), portrait.space).unit
    for direction, amount in share.items():
        axis, sign = "xyz".index(direction[1]), 1 if direction[0] == "+" else -1
        end = HANDLES[name].limits[axis, (sign + 1) // 2]
        portrait.rig.pose.bones[name].location[axis] = amount * end * unit
    portrait.rig.update_tag()


def old_rig(portrait: Any, face: np.ndarray) -> None:
    """Gives the portrait a rig as it was before there were handles: the head and the points alone."""
    bpy.data.objects.remove(portrait.rig)
    armature = bpy.data.armatures.new("old rig")
    portrait.rig = bpy.data.objects.new("old rig", armature)
    bpy.context.scene.collection.objects.link(portrait.rig)
    portrait.rig.parent = portrait.plane
    rig_module.add_bones(bpy.context, portrait.rig, portrait.space, face, ("head", *NAMES))


def test_every_arkit_name_is_a_slider(portrait: Any) -> None:
    rig = portrait.rig
    for name in ARKIT_NAMES:
        settings = rig.id_properties_ui(name).as_dict()
        assert rig[name] == 0.0 and isinstance(rig[name], float)
        assert (settings["soft_min"], settings["soft_max"]) == (0.0, 1.0) and len(settings["description"]) > 10
        assert rig.is_property_overridable_library(f'["{name}"]')
    assert rig["limits"] == 1


def test_a_rig_at_rest_is_the_photo(portrait: Any) -> None:
    np.testing.assert_array_equal(posed(portrait), rest(portrait))


def test_each_slider_moves_the_points_as_the_maths_says(portrait: Any) -> None:
    for name in ARKIT_NAMES:
        slide(portrait, {name: 0.8})
        moved = posed(portrait) - rest(portrait)
        wanted = combine(rest(portrait), {name: 0.8})
        np.testing.assert_allclose(moved, wanted, atol=TOLERANCE, err_msg=name)
        assert moved.any() == (name != "tongueOut"), name
        slide(portrait, {name: 0.0})


def test_many_sliders_give_what_combine_gives(portrait: Any) -> None:
    for name, weights in {**EXPRESSIONS, **VISEMES}.items():
        bpy.ops.portrait.reset_pose()
        assert bpy.ops.portrait.apply_expression(expression=name) == {"FINISHED"}
        moved, wanted = posed(portrait) - rest(portrait), combine(rest(portrait), weights)
        np.testing.assert_allclose(moved, wanted, atol=2 * TOLERANCE, err_msg=name)


def test_sliders_are_keyed_and_driven(portrait: Any) -> None:
    rig = portrait.rig
    rig["jawOpen"] = 0.0
    rig.keyframe_insert('["jawOpen"]', frame=1)
    rig["jawOpen"] = 1.0
    rig.keyframe_insert('["jawOpen"]', frame=11)
    other = bpy.data.objects.new("another rig", None)
    other["smile"] = 0.5
    driver = rig.driver_add('["mouthSmileLeft"]').driver
    variable = driver.variables.new()
    variable.targets[0].id, variable.targets[0].data_path = other, '["smile"]'
    driver.expression = "var"
    wanted = combine(rest(portrait), {"jawOpen": 1.0, "mouthSmileLeft": 0.5})
    np.testing.assert_allclose(posed(portrait, 11) - rest(portrait), wanted, atol=TOLERANCE)


def test_each_handle_pulls_what_it_says(portrait: Any) -> None:
    layer = bpy.context.view_layer
    for name, control in HANDLES.items():
        for wanted in control.pulls:
            direction = f"{'+' if wanted.sign > 0 else '-'}{'xyz'[wanted.axis]}"
            pull(portrait, name, {direction: 1.0})
            layer.update()
            bones = portrait.rig.evaluated_get(layer.depsgraph).pose.bones
            for channel, weight in wanted.channels.items():
                got = bones[rig_drivers.sum_bone(channel)].location[0]
                assert got == pytest.approx(weight, abs=1e-3), (name, direction, channel)
            assert np.abs(posed(portrait) - rest(portrait)).max() > 0.1, (name, direction)
            portrait.rig.pose.bones[name].location = (0, 0, 0)


def test_handles_and_sliders_add_up_with_keys_on_points(portrait: Any) -> None:
    slide(portrait, {"jawOpen": 0.3})
    pull(portrait, "jaw", {"-y": 0.5})
    metres = portrait.space.metres_per_pixel
    portrait.rig.pose.bones["jaw_09"].location = (3 * metres, 0, 0)
    wanted = combine(rest(portrait), {"jawOpen": 0.8})
    wanted[INDEX_OF["jaw_09"], 0] += 3
    np.testing.assert_allclose(posed(portrait) - rest(portrait), wanted, atol=TOLERANCE)


def test_one_target_and_single_eyes_add_up(portrait: Any) -> None:
    pull(portrait, "gaze", {"+x": 0.6})
    pull(portrait, "eye.L", {"-x": 0.6})
    wanted = combine(rest(portrait), {"eyeLookInRight": 0.6})
    np.testing.assert_allclose(posed(portrait) - rest(portrait), wanted, atol=TOLERANCE)


def test_the_eyes_follow_an_object(portrait: Any) -> None:
    bone = portrait.rig.pose.bones["gaze"]
    target = bpy.data.objects.new("target", None)
    bpy.context.scene.collection.objects.link(target)
    follow = bone.constraints.new("COPY_LOCATION")
    follow.target = target
    target.location = portrait.plane.location + bpy.context.scene.cursor.location
    target.location.x += 5
    target.location.y -= 0.1
    pupils = (posed(portrait) - rest(portrait))[[68, 69], 0]
    assert (pupils > 0.5).all(), "both look to the picture's right, where the target is"


def test_what_aims_the_eyes_has_no_limits(portrait: Any) -> None:
    for name in ("gaze", "eye.R", "eye.L"):
        bone = portrait.rig.pose.bones[name]
        assert HANDLES[name].aims and LIMIT not in bone.constraints and not any(bone.lock_location), name


def test_limits_hold_and_can_be_lifted(portrait: Any) -> None:
    slide(portrait, {"jawOpen": 0.9})
    pull(portrait, "jaw", {"-y": 0.6})
    np.testing.assert_allclose(
        posed(portrait) - rest(portrait), combine(rest(portrait), {"jawOpen": 1.0}), atol=TOLERANCE
    )
    portrait.rig["limits"] = False
    portrait.rig.update_tag()
    np.testing.assert_allclose(
        posed(portrait) - rest(portrait), combine(rest(portrait), {"jawOpen": 1.5}), atol=TOLERANCE
    )


def test_a_handle_stops_at_its_limit(portrait: Any) -> None:
    pull(portrait, "mouth_corner.L", {"+y": 3.0})
    layer = bpy.context.view_layer
    bone = portrait.rig.pose.bones["mouth_corner.L"]

    def height() -> float:
        layer.update()
        evaluated = portrait.rig.evaluated_get(layer.depsgraph).pose.bones[bone.name]
        return float((evaluated.matrix.translation - bone.bone.matrix_local.translation).length)

    unit = RigFrame.of(rest(portrait), portrait.space).unit
    own = HANDLES[bone.name].limits[1, 1] * unit
    assert height() < 1.1 * own
    portrait.rig["limits"] = False
    portrait.rig.update_tag()
    assert height() > 2.5 * own
    assert bone.constraints[LIMIT].use_transform_limit


def test_handles_ride_on_the_face(portrait: Any) -> None:
    layer = bpy.context.view_layer
    lip = portrait.rig.pose.bones["lip_lower"]

    def place() -> np.ndarray:
        layer.update()
        head = portrait.rig.evaluated_get(layer.depsgraph).pose.bones[lip.name].head
        return portrait.space.to_pixels(np.array(head))

    before = place()
    slide(portrait, {"jawOpen": 1.0})
    dropped = combine(rest(portrait), {"jawOpen": 1.0})[INDEX_OF["outer_lip_58"]]
    np.testing.assert_allclose(place() - before, dropped, atol=TOLERANCE)


def test_a_turned_head_foreshortens_its_far_side(portrait: Any) -> None:
    """Turned to the picture's right, the half of the face on that side is the far one, and narrows."""
    at_rest = rest(portrait)
    portrait.rig.pose.bones["head"].rotation_euler[1] = np.radians(30)
    turned = posed(portrait)

    def halves(points: np.ndarray) -> np.ndarray:
        nose = points[27, 0]
        return np.array((nose - points[36, 0], points[45, 0] - nose))

    near, far = halves(turned) / halves(at_rest)
    assert far < 0.85 and far < near - 0.2
    slide(portrait, {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0})
    smile = posed(portrait) - turned
    assert abs(smile[54, 0]) < abs(smile[48, 0]), "and a smile goes less far sideways on it"


def test_the_head_scales_the_face_about_its_pivot(portrait: Any) -> None:
    pivot = rig_module.head_pivot(rest(portrait))
    portrait.rig.pose.bones["head"].scale = (1.2, 1.2, 1.2)
    np.testing.assert_allclose(posed(portrait), (rest(portrait) - pivot) * 1.2 + pivot, atol=5e-3)


def busy_pose(portrait: Any) -> None:
    slide(portrait, {"jawOpen": 0.4, "mouthSmileLeft": 0.7, "eyeBlinkRight": 0.9, "jawLeft": 0.3})
    pull(portrait, "brow_inner.L", {"+y": 0.5})
    pull(portrait, "gaze", {"+x": 0.4, "+y": 0.2})
    portrait.rig.pose.bones["head"].rotation_euler = (0.1, 0.3, -0.2)
    portrait.rig.pose.bones["head"].location = (0.02, 0.01, 0)
    portrait.rig.pose.bones["left_brow_23"].location = (0.01, 0.02, -0.01)


def test_mirroring_exchanges_left_and_right(portrait: Any) -> None:
    busy_pose(portrait)
    before = posed(portrait)
    assert bpy.ops.portrait.mirror_pose() == {"FINISHED"}
    rig = portrait.rig
    assert rig["mouthSmileRight"] == pytest.approx(0.7) and rig["mouthSmileLeft"] == 0
    assert rig.pose.bones["brow_inner.R"].location[1] > 0 and not any(rig.pose.bones["brow_inner.L"].location)
    assert rig.pose.bones["head"].rotation_euler[1] == pytest.approx(-0.3)
    assert any(rig.pose.bones["right_brow_22"].location) and not any(rig.pose.bones["left_brow_23"].location)
    middle = rest(portrait)[27, 0]
    mirrored = posed(portrait)
    flipped = before[list(MIRROR)] * (-1, 1, 1) + (2 * middle, 0, 0)
    assert np.abs(mirrored - flipped).max() < 0.1, "the test's face is symmetric, so its picture is mirrored too"
    bpy.ops.portrait.mirror_pose()
    np.testing.assert_allclose(posed(portrait), before, atol=2e-3)


@pytest.mark.parametrize("mode", ["QUATERNION", "AXIS_ANGLE", "XYZ"])
def test_mirroring_twice_changes_nothing_however_the_head_is_turned(portrait: Any, mode: str) -> None:
    head = portrait.rig.pose.bones["head"]
    head.rotation_mode = mode
    if mode == "QUATERNION":
        head.rotation_quaternion = (0.9, 0.2, 0.3, 0.1)
    elif mode == "AXIS_ANGLE":
        head.rotation_axis_angle = (0.5, 0.6, 0.8, 0)
    else:
        head.rotation_euler = (0.2, 0.4, 0.1)
    before = posed(portrait)
    bpy.ops.portrait.mirror_pose()
    assert np.abs(posed(portrait) - before).max() > 1
    bpy.ops.portrait.mirror_pose()
    np.testing.assert_allclose(posed(portrait), before, atol=2e-3)
    bpy.ops.portrait.reset_pose()
    np.testing.assert_array_equal(posed(portrait), rest(portrait))


def test_reset_gives_the_photo_back(portrait: Any) -> None:
    busy_pose(portrait)
    assert bpy.ops.portrait.reset_pose() == {"FINISHED"}
    np.testing.assert_array_equal(posed(portrait), rest(portrait))


def test_reset_of_the_selected_leaves_the_rest(portrait: Any) -> None:
    busy_pose(portrait)
    for bone in portrait.rig.pose.bones:
        select_pose_bone(bone, bone.name == "gaze")
    assert bpy.ops.portrait.reset_pose(scope="SELECTED") == {"FINISHED"}
    assert not any(portrait.rig.pose.bones["gaze"].location)
    assert portrait.rig["jawOpen"] == pytest.approx(0.4) and any(portrait.rig.pose.bones["brow_inner.L"].location)
    select_pose_bone(portrait.rig.pose.bones["gaze"], False)
    assert bpy.ops.portrait.reset_pose(scope="SELECTED") == {"CANCELLED"}


def test_a_viseme_leaves_the_eyes_and_auto_keying_keys(portrait: Any) -> None:
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = True
    slide(portrait, {"eyeBlinkLeft": 0.7, "mouthSmileLeft": 0.5})
    bpy.ops.portrait.apply_expression(expression="aa", amount=0.5)
    assert portrait.rig["eyeBlinkLeft"] == pytest.approx(0.7) and portrait.rig["mouthSmileLeft"] == 0
    assert portrait.rig["jawOpen"] == pytest.approx(0.5 * VISEMES["aa"]["jawOpen"])
    keyed = {curve.data_path for curve in compat.fcurves_of(portrait.rig)}
    assert '["jawOpen"]' in keyed and '["eyeBlinkLeft"]' not in keyed


def warnings(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().out


def test_auto_keying_names_locked_channels(portrait: Any, capfd: pytest.CaptureFixture[str]) -> None:
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = True
    portrait.rig["jawOpen"] = 0.5
    portrait.rig.keyframe_insert('["jawOpen"]', frame=1)
    for curve in compat.fcurves_of(portrait.rig):
        curve.lock = True
    capfd.readouterr()
    assert bpy.ops.portrait.apply_expression(expression="surprised") == {"FINISHED"}
    assert "Locked channels got no key: jawOpen. Unlock" in warnings(capfd)
    curves = {curve.data_path: curve for curve in compat.fcurves_of(portrait.rig)}
    assert curves['["jawOpen"]'].evaluate(1) == 0.5 and len(curves) > 40, "all others are keyed"
    portrait.rig.pose.bones["head"].location[0] = 0.1
    portrait.rig.pose.bones["head"].keyframe_insert("location", frame=1)
    for curve in compat.fcurves_of(portrait.rig):
        curve.lock = True
    bpy.ops.portrait.reset_pose()
    said = warnings(capfd)
    assert "location of head" in said and "more" in said
    bpy.ops.portrait.mirror_pose()
    assert "Locked channels got no key" in warnings(capfd)


def test_auto_keying_into_a_linked_action_is_told(
    portrait: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    portrait.rig["jawOpen"] = 0.5
    portrait.rig.keyframe_insert('["jawOpen"]', frame=1)
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {portrait.rig.animation_data.action}, fake_user=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.actions = source.actions
    portrait.rig.animation_data.action = target.actions[0]
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = True
    capfd.readouterr()
    for run in (
        lambda: bpy.ops.portrait.apply_expression(expression="surprised"),
        bpy.ops.portrait.mirror_pose,
        bpy.ops.portrait.reset_pose,
    ):
        assert run() == {"FINISHED"}
        said = warnings(capfd)
        assert "is linked" in said and "Make Single User" in said
        assert said.count("Warning") == 1, "once, not for each channel"
    assert portrait.rig["jawOpen"] == 0.0, "the pose itself is set"
    assert bpy.ops.portrait.demo_motion() == {"FINISHED"}, "a new action is no change of the linked one"


def test_an_old_rig_gets_handles_and_keeps_its_keys(portrait: Any, face: np.ndarray) -> None:
    old_rig(portrait, face)
    rig = portrait.rig
    for name, value in (("jaw_09", (0, -0.1, 0)), ("left_pupil", (0.02, 0, 0))):
        rig.pose.bones[name].location = value
        rig.pose.bones[name].keyframe_insert("location", frame=1)
    rig.pose.bones["head"].rotation_euler[1] = 0.3
    rig.pose.bones["head"].keyframe_insert("rotation_euler", frame=1)
    own = rig.pose.bones["outer_lip_58"].driver_add("location", 1)
    own.driver.expression = "0.01"
    before = posed(portrait)
    assert "jaw" in rig_module.missing_handles_and_sliders(rig)
    assert bpy.ops.portrait.add_controls() == {"FINISHED"}
    assert not rig_module.missing_handles_and_sliders(rig)
    np.testing.assert_allclose(posed(portrait), before, atol=2e-3)
    np.testing.assert_allclose(rest(portrait), face, atol=1e-3)
    slide(portrait, {"jawOpen": 1.0})
    assert posed(portrait)[8, 1] > before[8, 1] + 2
    assert any(curve.data_path == 'pose.bones["outer_lip_58"].location' for curve in rig.animation_data.drivers)


def test_adding_controls_twice_adds_nothing(portrait: Any) -> None:
    busy_pose(portrait)
    before, bones = posed(portrait), len(portrait.rig.data.bones)
    drivers = len(portrait.rig.animation_data.drivers)
    bpy.ops.portrait.add_controls()
    np.testing.assert_allclose(posed(portrait), before, atol=2e-3)
    assert (len(portrait.rig.data.bones), len(portrait.rig.animation_data.drivers)) == (bones, drivers)


@pytest.mark.parametrize("names", [["jaw"], ["MCH-jaw_09", "gaze"], ["SUM-jawOpen"], ["MCH-guard-outer_lip_58"]])
def test_a_rig_without_a_control_renders_and_is_mended(portrait: Any, names: list[str]) -> None:
    rig = portrait.rig
    rig.pose.bones["gaze"].location[0] = 0.02
    rig.pose.bones["gaze"].keyframe_insert("location", frame=1)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name in names:
        rig.data.edit_bones.remove(rig.data.edit_bones[name])
    bpy.ops.object.mode_set(mode="OBJECT")
    assert np.isfinite(posed(portrait)).all()
    assert set(rig_module.missing_handles_and_sliders(rig)) & {*names, "jaw_09", "outer_lip_58"}
    assert portrait_parts.rebuild(bpy.context, bpy.context.scene, portrait) == ["controls"]
    assert portrait_parts.rebuild(bpy.context, bpy.context.scene, portrait) == []
    slide(portrait, {"jawOpen": 1.0})
    wanted = combine(rest(portrait), {"jawOpen": 1.0})
    moved = posed(portrait) - rest(portrait)
    np.testing.assert_allclose(moved[:17], wanted[:17], atol=TOLERANCE)
    assert moved[68, 0] > 0.1, "the gaze's keys are there again"


def test_a_deleted_slider_is_missed_and_mended(portrait: Any) -> None:
    del portrait.rig["mouthSmileLeft"]
    assert rig_module.missing_handles_and_sliders(portrait.rig) == ["mouthSmileLeft"]
    assert np.isfinite(posed(portrait)).all()
    bpy.ops.portrait.add_controls()
    assert portrait.rig["mouthSmileLeft"] == 0.0


def test_the_pose_library_gives_its_expressions_to_any_rig(portrait: Any) -> None:
    assert bpy.ops.portrait.make_pose_library() == {"FINISHED"}
    assert bpy.ops.portrait.make_pose_library() == {"FINISHED"}
    assets = {action.name: action for action in bpy.data.actions if action.asset_data is not None}
    assert len(assets) == len(EXPRESSIONS) + len(VISEMES)
    assert "Talking Portraits" in assets["Expression smile"].asset_data.tags
    icon = np.array(assets["Expression smile"].preview.image_pixels_float).reshape(-1, 4)
    assert 0.02 < icon[:, 3].mean() < 0.5 and (icon[:, :3] <= icon[:, 3:]).all(), "lines on nothing, premultiplied"
    portrait.rig.name = "renamed"
    portrait.rig.pose.apply_pose_from_action(assets["Expression smile"], evaluation_time=1)
    assert portrait.rig["mouthSmileLeft"] == pytest.approx(EXPRESSIONS["smile"]["mouthSmileLeft"])
    portrait.rig.pose.blend_pose_from_action(assets["Expression neutral"], blend_factor=0.5, evaluation_time=1)
    assert portrait.rig["mouthSmileLeft"] == pytest.approx(0.5 * EXPRESSIONS["smile"]["mouthSmileLeft"])


def test_a_pose_of_ones_own_is_kept_whole(portrait: Any) -> None:
    busy_pose(portrait)
    before = posed(portrait)
    assert bpy.ops.portrait.save_pose(name="Mine") == {"FINISHED"}
    assert bpy.data.objects.get("Mine") is None, "nothing is left in the file but the asset"
    bpy.ops.portrait.reset_pose()
    portrait.rig.pose.apply_pose_from_action(bpy.data.actions["Mine"], evaluation_time=1)
    portrait.rig.update_tag()
    np.testing.assert_allclose(posed(portrait), before, atol=2e-3)


def test_controls_show_first_and_points_on_demand(portrait: Any) -> None:
    collections = portrait.rig.data.collections_all
    assert collections["Controls"].is_visible
    assert not collections["Points"].is_visible and not collections["Mechanism"].is_visible
    assert {bone.name for bone in collections["Points"].bones_recursive} == set(NAMES)
    assert {"head", *HANDLES} <= {bone.name for bone in collections["Controls"].bones}
    # Blender draws dashed lines from a selected bone to its children where both are shown.
    hidden = {bone.name for bone in collections["Mechanism"].bones}
    assert {portrait.rig.data.bones[name].parent.name for name in (*NAMES, *HANDLES)} <= hidden


def test_no_handle_covers_a_pupil_or_the_mouth(portrait: Any) -> None:
    """Seen from the front, no face of a handle's shape lies over a pupil or over the opening of the lips."""
    points = rest(portrait)[:, :2]
    targets = [points[68], points[69], points[60:68].mean(0)]
    for name in HANDLES:
        bone = portrait.rig.pose.bones[name]
        mesh = bone.custom_shape.data
        corners = [bone.bone.matrix_local @ (vertex.co * bone.bone.length) for vertex in mesh.vertices]
        flat = portrait.space.to_pixels(np.array(corners))[:, :2]
        for face in mesh.polygons:
            for target in targets:
                assert not inside(flat[list(face.vertices)], target), name


def inside(polygon: np.ndarray, point: np.ndarray) -> bool:
    """The even-odd rule."""
    x, y = (polygon - point).T
    following_x, following_y = np.roll(x, -1), np.roll(y, -1)
    crosses = (y > 0) != (following_y > 0)
    at = x[crosses] - y[crosses] * (following_x - x)[crosses] / (following_y - y)[crosses]
    return bool(np.count_nonzero(at > 0) % 2)


def test_drivers_need_no_python(portrait: Any) -> None:
    drivers = [curve.driver for curve in portrait.rig.animation_data.drivers]
    assert all(driver.is_valid and driver.is_simple_expression for driver in drivers)
    variables = sum(len(driver.variables) for driver in drivers)
    scene = bpy.context.scene
    for index, name in enumerate(ARKIT_NAMES):
        for frame in (1, 50):
            portrait.rig[name] = float((index + frame) % 2)
            portrait.rig.keyframe_insert(f'["{name}"]', frame=frame)
    started = time.perf_counter()
    for frame in range(1, 51):
        scene.frame_set(frame)
    milliseconds = (time.perf_counter() - started) / 50 * 1e3
    print(f"{len(drivers)} drivers, {variables} variables, {milliseconds:.1f} ms a frame")  # for pytest -s


class Layout:
    """Takes a panel's calls; holds properties and operators against what is there."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def __getattr__(self, name: str) -> Any:
        if name not in bpy.types.UILayout.bl_rna.functions:
            raise AttributeError(name)

        def call(*positional: Any, **named: Any) -> Any:
            assert set(named) <= set(bpy.types.UILayout.bl_rna.functions[name].parameters.keys()), (name, named)
            if name == "prop":
                positional[0].path_resolve(positional[1])
                self.seen.append(positional[1])
            if name in ("operator", "operator_menu_enum"):
                area, operator = positional[0].split(".")
                assert getattr(getattr(bpy.ops, area), operator).get_rna_type()
                self.seen.append(positional[0])
                return SimpleNamespace()
            if name == "menu":
                assert getattr(bpy.types, positional[0]).is_registered
                self.seen.append(positional[0])
            if name == "label":
                self.seen.append(named["text"])
            return Layout(self.seen)

        return call


def drawn() -> str:
    seen: list[str] = []
    for panel in rig_panel.CLASSES:
        assert panel.is_registered
        if panel.poll(bpy.context):
            panel.draw(SimpleNamespace(layout=Layout(seen)), bpy.context)
    if "PORTRAIT_MT_expressions" in seen:
        menus.PORTRAIT_MT_expressions.draw(SimpleNamespace(layout=Layout(seen)), bpy.context)
    return "\n".join(seen)


def test_the_panel_shows_every_slider_and_what_is_missing(portrait: Any, face: np.ndarray) -> None:
    text = drawn()
    assert all(f'["{name}"]' in text for name in (*ARKIT_NAMES, "limits"))
    for operator in ("apply_expression", "mirror_pose", "reset_pose", "save_pose", "make_pose_library"):
        assert f"portrait.{operator}" in text
    assert "portrait.key_all" in text
    assert text.count("is_visible") == 4 and "lacks controls" not in text
    old_rig(portrait, face)
    text = drawn()
    assert "lacks controls" in text.replace("\n", " ") and "portrait.add_controls" in text


def test_the_menu_of_expressions_has_all_of_them_in_columns(portrait: Any) -> None:
    texts: list[tuple[int, str]] = []
    chosen: list[SimpleNamespace] = []

    class Column:
        number = 0

        def row(self) -> Column:
            return Column()

        def column(self) -> Column:
            Column.number += 1
            made = Column()
            made.number = Column.number
            return made

        def separator(self) -> None:
            pass

        def label(self, text: str) -> None:
            pass

        def operator(self, idname: str, text: str) -> SimpleNamespace:
            assert idname == "portrait.apply_expression"
            texts.append((self.number, text))
            chosen.append(SimpleNamespace())
            return chosen[-1]

    menus.PORTRAIT_MT_expressions.draw(SimpleNamespace(layout=Column()), bpy.context)
    assert [each.expression for each in chosen] == [*EXPRESSIONS, *VISEMES]
    assert (2, "PP (p in “put”)") in texts and set(EXAMPLES) == set(VISEMES)
    numbers = [number for number, _ in texts]
    assert max(numbers.count(number) for number in (1, 2, 3)) <= 10


def test_what_the_hint_says_of_the_heads_turns_is_true(portrait: Any) -> None:
    """R, R Z and R X as Blender does them: about the way one looks from the front, and the world's Z and X."""
    head, at_rest = portrait.rig.pose.bones["head"], rest(portrait)
    stand = (portrait.rig.matrix_world @ head.bone.matrix_local).to_3x3()
    wide = np.linalg.norm(at_rest[16] - at_rest[0])
    moved = {}
    for key, axis in (("R", (0, 1, 0)), ("R Z", (0, 0, 1)), ("R X", (1, 0, 0))):
        head.rotation_euler = (stand.inverted() @ Matrix.Rotation(0.3, 3, axis) @ stand).to_euler("ZXY")
        points = posed(portrait)
        nose, jaw = points[30] - at_rest[30], points[16] - points[0]
        moved[key] = (abs(nose[0]) / wide, abs(nose[1]) / wide, abs(np.arctan2(jaw[1], jaw[0])))
    assert moved["R"][2] == pytest.approx(0.3, abs=0.02), "tilts"
    assert moved["R Z"][0] > 0.1 and moved["R Z"][1] < 0.01 and moved["R Z"][2] < 0.01, "turns to a side"
    assert moved["R X"][1] > 0.1 and moved["R X"][0] < 0.01 and moved["R X"][2] < 0.01, "nods"
    for words in ("R tilts", "R Z turns", "R X nods"):
        assert words in rig_panel.HEAD_HINT


def test_without_a_rig_operators_are_greyed(scene: Any) -> None:
    assert drawn() == ""
    for name in ("add_controls", "apply_expression", "mirror_pose", "reset_pose", "save_pose", "make_pose_library"):
        assert not getattr(bpy.ops.portrait, name).poll()
        assert getattr(bpy.ops.portrait, name).get_rna_type().description


def test_a_saved_file_has_it_all(portrait: Any) -> None:
    busy_pose(portrait)
    before = posed(portrait)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    loaded = bpy.context.scene.talking_portraits.active
    np.testing.assert_array_equal(posed(loaded), before)
    assert not rig_module.missing_handles_and_sliders(loaded.rig)


def test_names_pair_left_with_right() -> None:
    for name, control in HANDLES.items():
        if name.endswith(".R"):
            other = HANDLES[name.removesuffix(".R") + ".L"]
            assert {MIRRORED_NAMES[handles.property_of(c)] for p in control.pulls for c in p.channels} == {
                handles.property_of(c) for p in other.pulls for c in p.channels
            }


def as_an_older_version_made_it(rig: Any) -> None:
    """The handles of the gaze before the eyes, that of the lips above the mouth, and no version."""
    with editing(bpy.context, rig):
        for name in ("eye.L", "eye.R", "gaze", "lips"):
            bone = rig.data.edit_bones[name]
            bone.head.y, bone.tail.y = bone.head.y - 0.3, bone.tail.y - 0.3
    del rig.data["talking_portrait_rig"]


@pytest.mark.parametrize("version", (2, 3))
def test_a_rig_whose_eyes_did_not_meet_or_that_smiled_in_a_v_is_outdated(portrait: Any, version: int) -> None:
    portrait.rig.data["talking_portrait_rig"] = version
    assert rig_module.is_outdated(portrait.rig)
    assert portrait_parts.rebuild(bpy.context, bpy.context.scene, portrait) == ["the handles of an older version"]
    assert not rig_module.is_outdated(portrait.rig)


@pytest.mark.parametrize("mend", ("add_controls", "rebuild"))
def test_handles_of_an_older_version_are_offered_their_places(portrait: Any, mend: str) -> None:
    rig, scene = portrait.rig, bpy.context.scene
    assert not rig_module.is_outdated(rig)
    for frame, value in ((1, 0.0), (10, 0.05)):
        for name in ("gaze", "eye.L", "lips"):
            rig.pose.bones[name].location = (value, value / 2, 0)
            rig.pose.bones[name].keyframe_insert("location", frame=frame)
    places = {bone.name: np.array(bone.head_local) for bone in rig.data.bones}
    points = sample(scene, rig, portrait.space, range(1, 11)).points
    as_an_older_version_made_it(rig)
    assert rig_module.is_outdated(rig)
    getattr(bpy.ops.portrait, mend)()
    assert not rig_module.is_outdated(rig)
    assert {bone.name for bone in rig.data.bones} == set(places)
    for bone in rig.data.bones:
        np.testing.assert_allclose(bone.head_local, places[bone.name], atol=1e-6)
    np.testing.assert_array_equal(sample(scene, rig, portrait.space, range(1, 11)).points, points)


def test_a_rig_that_lacks_controls_is_not_called_outdated(portrait: Any) -> None:
    as_an_older_version_made_it(portrait.rig)
    del portrait.rig["jawOpen"]
    assert not rig_module.is_outdated(portrait.rig)

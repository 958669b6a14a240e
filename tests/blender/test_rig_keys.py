# SPDX-License-Identifier: GPL-3.0-or-later
"""Key All, Insert Keyframe with the sliders, and the portrait's keying sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.landmarks import NAMES

from blender_addon.rig.blendshapes import ARKIT_NAMES, REGIONS

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat  # noqa: E402
from blender_addon.curves.rig_curves import SLIDER_GROUP, bone_path, property_path  # noqa: E402
from blender_addon.interface.operators.keys import KEYING_SETS  # noqa: E402
from blender_addon.interface.panels import menus  # noqa: E402
from blender_addon.rig import rig_keys  # noqa: E402
from blender_addon.rig.handles import HANDLES  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402
from tests.pose_bones import select_pose_bone  # noqa: E402


def curves(portrait: Any) -> dict[tuple[str, int], Any]:
    return {(curve.data_path, curve.array_index): curve for curve in compat.fcurves_of(portrait.rig)}


def paths(portrait: Any) -> set[str]:
    return {path for path, _ in curves(portrait)}


def points(portrait: Any, frame: int) -> np.ndarray:
    return sample(bpy.context.scene, portrait.rig, portrait.space, [frame]).points[0]


def pose_mode(portrait: Any, *selected: str) -> None:
    bpy.context.view_layer.objects.active = portrait.rig
    portrait.rig.select_set(True)
    bpy.ops.object.mode_set(mode="POSE")
    for bone in portrait.rig.pose.bones:
        select_pose_bone(bone, bone.name in selected)


def in_viewport() -> Any:
    """Blender's own operators for keys ask for an editor."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window, area=area, region=region)


def test_an_expression_and_key_all_stay(portrait: Any) -> None:
    """With auto keying off: what was lost when the frame changed."""
    scene = bpy.context.scene
    scene.frame_set(1)
    assert bpy.ops.portrait.key_all() == {"FINISHED"}
    scene.frame_set(20)
    bpy.ops.portrait.apply_expression(expression="surprised")
    portrait.rig.pose.bones["head"].rotation_euler[1] = 0.3
    portrait.rig.pose.bones["jaw_09"].location[1] = -0.05
    assert bpy.ops.portrait.key_all(part="ALL") == {"FINISHED"}
    shown = points(portrait, 20)
    scene.frame_set(1)
    scene.frame_set(20)
    np.testing.assert_array_equal(points(portrait, 20), shown)
    assert portrait.rig["browInnerUp"] == pytest.approx(0.9)
    made = curves(portrait)
    assert {property_path(name) for name in ARKIT_NAMES} <= paths(portrait)
    assert {bone_path(name, "location") for name in HANDLES} <= paths(portrait)
    assert {(bone_path("head", "rotation_euler"), 1), (bone_path("head", "scale"), 2)} <= set(made)
    assert bone_path("jaw_09", "location") in paths(portrait) and bone_path("jaw_10", "location") not in paths(portrait)
    assert {key.co[0] for curve in made.values() for key in curve.keyframe_points} == {1.0, 20.0}
    assert {made[property_path(name), 0].group.name for name in ARKIT_NAMES} == {SLIDER_GROUP}
    assert made[bone_path("jaw", "location"), 1].group.name == "jaw"


def test_keys_are_like_those_that_a_user_sets(portrait: Any) -> None:
    portrait.rig["jawOpen"] = 0.5
    portrait.rig.keyframe_insert('["jawOpen"]', frame=30)
    bpy.context.scene.frame_set(40)
    bpy.ops.portrait.key_all()
    theirs, ours = curves(portrait)['["jawOpen"]', 0].keyframe_points
    for name in ("interpolation", "easing", "handle_left_type", "handle_right_type", "type"):
        assert getattr(theirs, name) == getattr(ours, name), name


@pytest.mark.parametrize("part", [part for part in rig_keys.PARTS if part != "ALL"])
def test_a_part_is_keyed_alone(portrait: Any, part: str) -> None:
    bpy.context.scene.frame_set(7)
    bpy.ops.portrait.key_all(part=part)
    sliders = {name for name in ARKIT_NAMES if property_path(name) in paths(portrait)}
    regions = {
        "MOUTH": ("Mouth", "Jaw"),
        "EYES": ("Eyes",),
        "BROWS": ("Brows",),
        "CHEEKS": ("Cheeks and Nose",),
        "HEAD": (),
        "BODY": (),
    }
    assert sliders == {name for region in regions[part] for name in REGIONS[region]}
    handles = {name for name in HANDLES if bone_path(name, "location") in paths(portrait)}
    some = {"MOUTH": "jaw", "EYES": "gaze", "BROWS": "brow_inner.L", "CHEEKS": None, "HEAD": None, "BODY": None}[part]
    assert (some in handles) if some else not handles
    assert (bone_path("head", "location") in paths(portrait)) == (part == "HEAD")
    assert (property_path("breathing") in paths(portrait)) == (part == "BODY")


def test_the_parts_are_the_whole(portrait: Any) -> None:
    for name in NAMES:
        portrait.rig.pose.bones[name].location[0] = 0.01
    whole = rig_keys.channels(portrait.rig, "ALL")
    assert len(whole) == len(set(whole)) == 52 + 2 + 3 + len(HANDLES) + len(NAMES)


def test_what_is_locked_or_driven_or_linked_is_told(
    portrait: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rig = portrait.rig
    rig.keyframe_insert('["jawOpen"]', frame=1)
    curves(portrait)['["jawOpen"]', 0].lock = True
    rig.driver_add('["mouthSmileLeft"]').driver.expression = "0.5"
    bpy.context.scene.frame_set(9)
    capfd.readouterr()
    assert bpy.ops.portrait.key_all(part="MOUTH") == {"FINISHED"}
    said = capfd.readouterr().out
    assert "Locked channels got no key: jawOpen" in said and "1 driven channels need no keys" in said
    assert len(curves(portrait)['["jawOpen"]', 0].keyframe_points) == 1
    assert ('["mouthSmileLeft"]', 0) not in curves(portrait)
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {rig.animation_data.action}, fake_user=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.actions = source.actions
    rig.animation_data.action = target.actions[0]
    with pytest.raises(RuntimeError, match=r"(?s)is linked from.*Make Single User"):
        bpy.ops.portrait.key_all()


def test_a_linked_rig_is_refused(portrait: Any, tmp_path: Path) -> None:
    name = portrait.rig.name
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {portrait.rig, portrait.plane}, fake_user=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.objects = source.objects
    portrait.rig = next(item for item in target.objects if item.name == name)
    assert not bpy.ops.portrait.key_all.poll()
    with pytest.raises(RuntimeError, match="library override"):
        bpy.ops.portrait.key_all()


def test_insert_keyframe_keys_the_changed_sliders_too(portrait: Any) -> None:
    scene = bpy.context.scene
    scene.frame_set(12)
    pose_mode(portrait, "jaw")
    assert not bpy.ops.portrait.insert_keys.poll(), "nothing was changed: the key is Blender's own"
    bpy.ops.portrait.apply_expression(expression="smile")
    portrait.rig.pose.bones["jaw"].location[1] = -0.01
    with in_viewport():
        assert bpy.ops.portrait.insert_keys() == {"FINISHED"}
    assert bone_path("jaw", "location") in paths(portrait), "what is selected"
    assert '["mouthSmileLeft"]' in paths(portrait) and '["browInnerUp"]' not in paths(portrait), "and what was changed"
    assert not bpy.ops.portrait.insert_keys.poll(), "all is keyed now"
    scene.frame_set(20)
    bpy.ops.portrait.apply_expression(expression="neutral")
    assert bpy.ops.portrait.insert_keys() == {"FINISHED"}
    scene.frame_set(12)
    assert portrait.rig["mouthSmileLeft"] == pytest.approx(0.75)
    scene.frame_set(20)
    assert portrait.rig["mouthSmileLeft"] == 0.0
    for bone in portrait.rig.pose.bones:
        select_pose_bone(bone, False)
    bpy.ops.portrait.apply_expression(expression="angry")
    assert bpy.ops.portrait.insert_keys() == {"FINISHED"}, "with nothing selected, too"
    bpy.ops.object.mode_set(mode="OBJECT")


def test_the_keying_sets_key_what_key_all_keys(portrait: Any) -> None:
    scene = bpy.context.scene
    pose_mode(portrait)
    for cls in KEYING_SETS:
        assert cls.is_registered
        part = cls.bl_idname.removeprefix("PORTRAIT_KSI_").upper()
        scene.frame_set(3)
        if portrait.rig.animation_data is not None:
            portrait.rig.animation_data.action = None
        bpy.ops.portrait.key_all(part=part)
        wanted = set(curves(portrait))
        portrait.rig.animation_data.action = None
        with in_viewport():
            assert bpy.ops.anim.keyframe_insert_by_name(type=cls.bl_idname) == {"FINISHED"}
        assert set(curves(portrait)) == wanted, part
        groups = {
            curve.group.name for path, curve in ((p[0], c) for p, c in curves(portrait).items()) if path[0] == "["
        }
        assert groups <= {SLIDER_GROUP}
    assert "Portrait: Whole Face" in {each.bl_label for each in scene.keying_sets_all}
    scene.keying_sets_all.active = next(
        each for each in scene.keying_sets_all if each.bl_label == "Portrait: Mouth and Jaw"
    )
    portrait.rig.animation_data.action = None
    scene.frame_set(5)
    bpy.ops.portrait.apply_expression(expression="smile")
    assert not bpy.ops.portrait.insert_keys.poll(), "the active keying set says what I keys"
    with in_viewport():
        assert bpy.ops.anim.keyframe_insert() == {"FINISHED"}
    assert '["mouthSmileLeft"]' in paths(portrait) and '["browInnerUp"]' not in paths(portrait)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_one_undo_takes_the_keys_back(portrait: Any) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.portrait.key_all()
    bpy.ops.ed.undo_push(message="keyed")
    assert curves(portrait)
    bpy.ops.ed.undo()
    assert not compat.fcurves_of(bpy.context.scene.talking_portraits.active.rig)


def test_the_key_of_insert_keyframe_reaches_us_first(addon: Any) -> None:
    keys = bpy.context.window_manager.keyconfigs.addon
    if keys is None:
        pytest.skip("this Blender has no keymaps without a window")
    items = [item for item in keys.keymaps["Pose"].keymap_items if item.idname == "portrait.insert_keys"]
    assert [(item.type, item.value) for item in items] == [(menus.INSERT_KEY["type"], "PRESS")]

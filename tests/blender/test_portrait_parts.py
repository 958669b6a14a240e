# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait's parts: lost ones come back with their keys, a moved photo is found again, files survive a reload."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError

bpy = pytest.importorskip("bpy")

from blender_addon.blender.problems import Fix, SceneError  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import photo as photo_module  # noqa: E402
from blender_addon.portraits import portrait_parts  # noqa: E402
from blender_addon.portraits.portrait_parts import check_plane  # noqa: E402
from blender_addon.rig import armature  # noqa: E402
from blender_addon.rig.sampling import check_rig  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402


def delete(*objects: Any) -> None:
    """As the Delete key does."""
    for item in bpy.context.view_layer.objects:
        item.select_set(item in objects)
    bpy.ops.object.delete()


def rebuild(portrait: Any) -> list[str]:
    return portrait_parts.rebuild(bpy.context, bpy.context.scene, portrait)


def key_the_chin(portrait: Any) -> np.ndarray:
    bone = portrait.rig.pose.bones["jaw_09"]
    bone.keyframe_insert("location", frame=1)
    bone.location[1] = -0.2
    bone.keyframe_insert("location", frame=5)
    return sample(bpy.context.scene, portrait.rig, portrait.space, [1, 5]).points


def test_a_portrait_survives_saving_and_loading(portrait: Any, face: np.ndarray) -> None:
    points = key_the_chin(portrait)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    loaded = bpy.context.scene.talking_portraits.active
    np.testing.assert_array_equal(sample(bpy.context.scene, loaded.rig, loaded.space, [1, 5]).points, points)
    np.testing.assert_array_equal(loaded.detected_points, face)
    assert photo_module.check(loaded.photo, tuple(loaded.size)) == loaded.photo


def test_nothing_missing_nothing_mended(portrait: Any) -> None:
    assert rebuild(portrait) == []


def test_a_deleted_plane_is_told_and_comes_back(portrait: Any) -> None:
    scene = bpy.context.scene
    delete(portrait.plane)
    with pytest.raises(SceneError) as caught:
        check_plane(scene, portrait)
    assert caught.value.fix is Fix.REBUILD
    assert rebuild(portrait) == ["plane"]
    check_plane(scene, portrait)
    check_rig(scene, portrait.rig)


def test_a_plane_removed_by_a_script_comes_back_with_the_rig_on_it(portrait: Any) -> None:
    points = key_the_chin(portrait)
    bpy.data.objects.remove(portrait.plane)
    assert rebuild(portrait) == ["plane", "rig's parent"]
    np.testing.assert_array_equal(sample(bpy.context.scene, portrait.rig, portrait.space, [1, 5]).points, points)


def test_a_deleted_rig_comes_back_with_its_keys(portrait: Any) -> None:
    scene, points = bpy.context.scene, key_the_chin(portrait)
    delete(portrait.rig)
    with pytest.raises(SceneError) as caught:
        check_rig(scene, portrait.rig)
    assert caught.value.fix is Fix.REBUILD
    assert rebuild(portrait) == ["rig"]
    np.testing.assert_array_equal(sample(scene, portrait.rig, portrait.space, [1, 5]).points, points)


def test_a_rig_removed_by_a_script_is_built_anew(portrait: Any, face: np.ndarray) -> None:
    bpy.data.objects.remove(portrait.rig)
    with pytest.raises(SceneError):
        check_rig(bpy.context.scene, portrait.rig)
    assert rebuild(portrait) == ["rig"]
    np.testing.assert_allclose(armature.rest_points(portrait.rig, portrait.space), face, atol=1e-3)


@pytest.mark.parametrize("names", [["jaw_09"], ["head"], ["left_pupil", "head"]])
def test_deleted_bones_come_back_in_place(portrait: Any, face: np.ndarray, names: list[str]) -> None:
    bpy.context.view_layer.objects.active = portrait.rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name in names:
        portrait.rig.data.edit_bones.remove(portrait.rig.data.edit_bones[name])
    bpy.ops.object.mode_set(mode="OBJECT")
    assert armature.missing_bones(portrait.rig) == sorted(names, key=lambda name: name != "head")
    assert rebuild(portrait) == ["1 bone" if len(names) == 1 else f"{len(names)} bones"]
    portrait.rig.pose.bones["head"].rotation_euler[1] = 0.3
    np.testing.assert_allclose(armature.rest_points(portrait.rig, portrait.space), face, atol=1e-3)
    posed = sample(bpy.context.scene, portrait.rig, portrait.space, [1]).points[0]
    assert (np.abs(posed - face).max(axis=1) > 0.1).all(), "every point hangs on the head again"


def test_renamed_bones_get_their_names_and_keys_again(portrait: Any) -> None:
    """Blender lets keys follow a bone's new name: a bone made anew would have none."""
    scene, points = bpy.context.scene, key_the_chin(portrait)
    bones = portrait.rig.data.bones
    bones["jaw_09"].name, bones["head"].name, bones["jaw"].name = "chin", "skull", "Kiefer"
    with pytest.raises(SceneError, match="head, jaw_09") as caught:
        check_rig(scene, portrait.rig)
    assert caught.value.fix is Fix.REBUILD
    assert rebuild(portrait) == ["the names of 3 bones"]
    assert not {"chin", "skull", "Kiefer"} & set(bones.keys()) and rebuild(portrait) == []
    np.testing.assert_array_equal(sample(scene, portrait.rig, portrait.space, [1, 5]).points, points)


def test_a_bone_of_the_users_own_is_no_renamed_one(portrait: Any) -> None:
    """It lies where the chin lies, and has another shape."""
    bpy.context.view_layer.objects.active = portrait.rig
    bpy.ops.object.mode_set(mode="EDIT")
    bones = portrait.rig.data.edit_bones
    own = bones.new("own")
    own.head, own.tail = bones["jaw_09"].head, bones["jaw_09"].tail
    bones.remove(bones["jaw_09"])
    bpy.ops.object.mode_set(mode="OBJECT")
    assert rebuild(portrait) == ["1 bone"]
    assert {"own", "jaw_09"} <= set(portrait.rig.data.bones.keys())


def test_a_lost_material_comes_back(portrait: Any) -> None:
    portrait.plane.data.materials.clear()
    with pytest.raises(SceneError) as caught:
        check_plane(bpy.context.scene, portrait)
    assert caught.value.fix is Fix.REBUILD
    assert rebuild(portrait) == ["material"]
    assert image_plane.texture_node(portrait.plane).image == portrait.photo


def test_a_node_that_only_has_the_pictures_name_is_not_taken_for_it(portrait: Any) -> None:
    nodes = portrait.plane.active_material.node_tree.nodes
    nodes.remove(nodes[image_plane.TEXTURE_NODE])
    nodes.new("ShaderNodeMath").name = image_plane.TEXTURE_NODE
    with pytest.raises(PortraitError, match="material"):
        portrait_parts.check_plane(bpy.context.scene, portrait)
    bpy.ops.portrait.rebuild()
    assert image_plane.texture_node(portrait.plane).image == portrait.photo


def test_a_moved_photo_is_told_and_found_again(portrait: Any, photo_file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.png"
    shutil.move(photo_file, moved)
    with pytest.raises(SceneError) as caught:
        photo_module.check(portrait.photo, tuple(portrait.size))
    assert caught.value.code is ErrorCode.FILE_MISSING and caught.value.fix is Fix.RELOCATE_PHOTO
    assert portrait_parts.relocate(portrait, str(moved)) is True
    assert image_plane.texture_node(portrait.plane).image == portrait.photo
    photo_module.check(portrait.photo, tuple(portrait.size))


def test_a_photo_is_found_again_for_a_plane_without_its_material(
    portrait: Any, photo_file: Path, tmp_path: Path
) -> None:
    """An error half-way would leave Blender's undo a state it was never told of, and a crash at the next Ctrl-Z."""
    moved = tmp_path / "elsewhere.png"
    shutil.move(photo_file, moved)
    portrait.plane.data.materials.clear()
    assert portrait_parts.relocate(portrait, str(moved)) is True
    assert rebuild(portrait) == ["material"]
    assert image_plane.texture_node(portrait.plane).image == portrait.photo


def test_a_rig_hidden_in_pose_mode_is_mended_all_the_same(portrait: Any) -> None:
    bpy.ops.portrait.pose()
    del portrait.rig["jawOpen"]
    portrait.rig.hide_viewport = True
    assert bpy.ops.portrait.add_controls() == {"FINISHED"}
    assert portrait.rig["jawOpen"] == 0.0
    assert portrait.rig.hide_viewport and portrait.rig.mode == "POSE"


def test_another_picture_of_that_size_is_taken_and_told(
    portrait: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    assert portrait_parts.relocate(portrait, str(write(tmp_path / "other.png", photo[::-1]))) is False


def test_a_picture_of_another_size_is_refused(portrait: Any, photo: np.ndarray, photo_file: Path, write: Any) -> None:
    write(photo_file, photo[:32])
    with pytest.raises(SceneError, match="96x32") as caught:
        photo_module.check(portrait.photo, tuple(portrait.size))
    assert caught.value.code is ErrorCode.SIZE_MISMATCH
    before, images = portrait.photo, len(bpy.data.images)
    with pytest.raises(PortraitError):
        portrait_parts.relocate(portrait, str(photo_file))
    assert portrait.photo == before and len(bpy.data.images) == images


def test_a_packed_photo_needs_no_file(portrait: Any, photo: np.ndarray, photo_file: Path) -> None:
    portrait.photo.pack()
    photo_file.unlink()
    np.testing.assert_array_equal(photo_module.pixels(photo_module.check(portrait.photo, (96, 64))), photo)


def test_frames_go_beside_a_saved_file_only(portrait: Any, scene: Any) -> None:
    assert portrait.folder() == Path(bpy.data.filepath).parent.resolve() / "portrait_frames" / "anna"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    unsaved = bpy.context.scene.talking_portraits.add("anna")
    with pytest.raises(SceneError) as caught:
        unsaved.folder()
    assert caught.value.fix is Fix.SAVE


def test_portraits_of_one_name_get_folders_of_their_own(portrait: Any, photo_file: Path) -> None:
    second = portrait_parts.add(bpy.context.scene, str(photo_file))
    first = bpy.context.scene.talking_portraits.items[0]
    assert first.name != second.name and first.folder() != second.folder() and first.uid != second.uid


def test_an_empty_range_is_told(portrait: Any) -> None:
    portrait.use_scene_range, portrait.frame_start, portrait.frame_end = False, 10, 9
    with pytest.raises(PortraitError, match="10 to 9"):
        portrait.frames(bpy.context.scene)


def test_removing_leaves_nothing_behind(portrait: Any) -> None:
    bpy.ops.portrait.remove()
    scene = bpy.context.scene
    assert not scene.talking_portraits.items and not scene.objects
    assert bpy.ops.portrait.render.poll() is False

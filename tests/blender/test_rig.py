# SPDX-License-Identifier: GPL-3.0-or-later
"""The rig: what it is made of, and that sampling gives the pixels that the bones stand for."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import GROUPS, INDEX_OF, NAMES
from portrait_shared.track import LandmarkTrack

bpy = pytest.importorskip("bpy")

from blender_addon.importers.track import import_track  # noqa: E402
from blender_addon.plane.plane_space import PlaneSpace, snap  # noqa: E402
from blender_addon.portraits import portrait_parts  # noqa: E402
from blender_addon.rig import armature as rig_module  # noqa: E402
from blender_addon.rig.handles import HANDLES  # noqa: E402
from blender_addon.rig.rig_drivers import MECHANISM_PREFIXES  # noqa: E402
from blender_addon.rig.sampling import is_at_work, sample_rows  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402


def rotation_y_up(angle: float) -> np.ndarray:
    """Turn about the picture's vertical axis, in pixel axes (x right, y down, z away)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array(((c, 0, s), (0, 1, 0), (-s, 0, c)))


def test_mapping_goes_there_and_back() -> None:
    space = PlaneSpace(640, 480)
    points = np.random.default_rng(0).uniform(-100, 700, (50, 3))
    np.testing.assert_allclose(space.to_pixels(space.to_local(points)), points, atol=1e-9)


def test_mapping_is_upright_and_near_points_come_towards_the_viewer() -> None:
    space = PlaneSpace(640, 480)
    x, z = space.half_size
    np.testing.assert_allclose(space.to_local(np.array((0, 0))), (-x, 0, z))
    np.testing.assert_allclose(space.to_local(np.array((640, 480))), (x, 0, -z))
    assert space.to_local(np.array((320, 240, -50)))[1] < 0, "the front view looks from -Y"
    assert (x / z) == pytest.approx(640 / 480)


def test_bones_have_standard_names_under_one_head(portrait: object) -> None:
    bones = portrait.rig.data.bones
    shown = {bone.name for bone in bones if not bone.name.startswith(MECHANISM_PREFIXES)}
    assert shown == {"head", *NAMES, *HANDLES}
    assert all(bones["head"] in bones[name].parent_recursive for name in (*NAMES, *HANDLES))
    assert portrait.rig.parent == portrait.plane
    assert portrait.rig.show_in_front


def test_every_bone_has_a_shape_a_colour_and_its_groups_collection(portrait: object) -> None:
    for group, indices in GROUPS.items():
        collection = portrait.rig.data.collections_all[group]
        assert {bone.name for bone in collection.bones} == {NAMES[index] for index in indices}
    colors = {tuple(portrait.rig.data.bones[NAMES[i[0]]].color.custom.normal) for i in GROUPS.values()}
    assert len(colors) == len(GROUPS)
    for name in ("head", *NAMES, *HANDLES):
        assert portrait.rig.pose.bones[name].custom_shape is not None


def test_building_keeps_the_users_mode_and_selection(scene: object, photo_file: object, face: np.ndarray) -> None:
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.active_object
    bpy.ops.object.mode_set(mode="EDIT")
    made = portrait_parts.add(scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, made, face)
    assert bpy.context.view_layer.objects.active == cube
    assert cube.mode == "EDIT"
    assert made.rig.mode == "OBJECT"
    bpy.ops.object.mode_set(mode="OBJECT")


def test_at_rest_the_points_are_exactly_the_reference(portrait: object, face: np.ndarray) -> None:
    track = sample(bpy.context.scene, portrait.rig, portrait.space, [1, 2])
    reference = rig_module.rest_points(portrait.rig, portrait.space)
    assert np.abs(reference - face).max() < 1e-3
    np.testing.assert_array_equal(track.points, np.stack((reference, reference)))


def test_at_rest_in_a_large_photo(scene: object, face: np.ndarray) -> None:
    space = PlaneSpace(4096, 4096)
    points = (face * 40).astype(np.float32)
    plane = bpy.data.objects.new("plane", None)
    scene.collection.objects.link(plane)
    rig = rig_module.build(bpy.context, "big", plane, space, points)
    rest = rig_module.rest_points(rig, space)
    assert np.abs(rest - points).max() < 1e-3
    np.testing.assert_array_equal(sample(scene, rig, space, [1]).points[0], rest)


def test_moving_the_plane_changes_no_point(portrait: object, face: np.ndarray) -> None:
    scene = bpy.context.scene
    portrait.rig.pose.bones["head"].rotation_euler = (0.1, 0.3, 0.05)
    before = sample(scene, portrait.rig, portrait.space, [1]).points
    portrait.plane.location, portrait.plane.scale = (130, -70, 9), (3, 0.2, 5)
    portrait.plane.rotation_euler = (1, 2, 3)
    np.testing.assert_array_equal(sample(scene, portrait.rig, portrait.space, [1]).points, before)


@pytest.mark.parametrize("degrees", [-40, 25])
def test_yaw_foreshortens_as_a_head_does(portrait: object, degrees: float) -> None:
    """Turning the control gives what numpy gives for a rigid head about the pivot, seen from the front."""
    rest = rig_module.rest_points(portrait.rig, portrait.space).astype(np.float64)
    pivot = rig_module.head_pivot(rest)
    # The control's own y points up, the picture's down: a positive turn about one is negative about the other,
    # and moves the nose to the picture's right.
    portrait.rig.pose.bones["head"].rotation_euler[1] = np.radians(degrees)
    posed = sample(bpy.context.scene, portrait.rig, portrait.space, [1]).points[0]
    expected = (rest - pivot) @ rotation_y_up(-np.radians(degrees)).T + pivot
    np.testing.assert_allclose(posed, expected, atol=2e-3)
    nose = INDEX_OF["nose_bridge_31"]
    assert np.sign(posed[nose, 0] - rest[nose, 0]) == np.sign(degrees)
    width = np.ptp(posed[[36, 45], 0]) / np.ptp(rest[[36, 45], 0])
    assert width < np.cos(np.radians(degrees)) + 0.05


def test_the_head_turns_about_a_point_between_the_ears(portrait: object, face: np.ndarray) -> None:
    pivot = rig_module.head_pivot(face)
    assert pivot[2] > face[[0, 16], 2].max(), "behind the jaw's ends"
    assert face[0, 0] < pivot[0] < face[16, 0]
    assert face[36, 1] < pivot[1] < face[8, 1]
    flat = face.copy()
    flat[:, 2] = 0
    assert rig_module.head_pivot(flat)[2] > 0.4 * rig_module.face_width(flat)


def test_moving_a_point_moves_only_this_point(portrait: object) -> None:
    scene, name = bpy.context.scene, "outer_lip_58"
    bone = portrait.rig.pose.bones[name]
    bone.keyframe_insert("location", frame=1)
    bone.location = (2 * portrait.space.metres_per_pixel, -3 * portrait.space.metres_per_pixel, 0)
    bone.keyframe_insert("location", frame=11)
    points = sample(scene, portrait.rig, portrait.space, [1, 11]).points
    moved = points[-1] - points[0]
    np.testing.assert_allclose(moved[INDEX_OF[name]], (2, 3, 0), atol=2e-3)
    assert not np.delete(moved, INDEX_OF[name], axis=0).any()


def test_drivers_and_constraints_count(portrait: object) -> None:
    scene, rig = bpy.context.scene, portrait.rig
    driver = rig.pose.bones["jaw_09"].driver_add("location", 1).driver
    driver.expression = "-frame / 100"
    aim = bpy.data.objects.new("aim", None)
    scene.collection.objects.link(aim)
    limit = rig.pose.bones["right_pupil"].constraints.new("COPY_LOCATION")
    limit.target = aim
    track = sample(scene, rig, portrait.space, [10, 20])
    rest = rig_module.rest_points(rig, portrait.space)
    chin = track.points[[0, -1], INDEX_OF["jaw_09"], 1] - rest[8, 1]
    np.testing.assert_allclose(chin, np.array((0.1, 0.2)) / portrait.space.metres_per_pixel, atol=2e-3)
    pupil = track.points[0, INDEX_OF["right_pupil"]]
    np.testing.assert_allclose(pupil, portrait.space.to_pixels(np.zeros(3)), atol=2e-3)


def test_frame_and_unkeyed_pose_come_back(portrait: object) -> None:
    scene, bone = bpy.context.scene, portrait.rig.pose.bones["head"]
    bone.keyframe_insert("location", frame=1)
    bone.location = (1, 0, 0)
    bone.keyframe_insert("location", frame=20)
    scene.frame_set(7, subframe=0.5)
    bone.location = (5, 5, 5)
    rows = sample_rows(scene, portrait.rig, portrait.space, [1, 2, 3])
    next(rows)
    rows.close()
    assert (scene.frame_current, scene.frame_subframe) == (7, 0.5)
    assert tuple(bone.location) == (5, 5, 5)


def test_frame_step_holds_the_frames_between(portrait: object) -> None:
    bone = portrait.rig.pose.bones["jaw_09"]
    bone.keyframe_insert("location", frame=1)
    bone.location[0] = 0.3
    bone.keyframe_insert("location", frame=9)
    track = sample(bpy.context.scene, portrait.rig, portrait.space, [1, 5, 9])
    assert len(track) == 9 and track.start == 1
    np.testing.assert_array_equal(track.points[1], track.points[0])
    assert (track.points[4] != track.points[3]).any()


@pytest.mark.parametrize("way", ["object", "eye", "collection", "excluded"])
def test_a_hidden_rig_is_sampled_all_the_same(portrait: object, way: str) -> None:
    scene, rig = bpy.context.scene, portrait.rig
    bone = rig.pose.bones["jaw_09"]
    bone.keyframe_insert("location", frame=1)
    bone.location[1] = -0.2
    bone.keyframe_insert("location", frame=5)
    shown = sample(scene, rig, portrait.space, [1, 5]).points
    group = bpy.data.collections.new("group")
    scene.collection.children.link(group)
    group.objects.link(rig)
    scene.collection.objects.unlink(rig)
    layer = bpy.context.view_layer.layer_collection.children["group"]
    if way == "object":
        rig.hide_viewport = True
    elif way == "eye":
        rig.hide_set(True)
    elif way == "collection":
        group.hide_viewport = True
    else:
        layer.exclude = True
    np.testing.assert_array_equal(sample(scene, rig, portrait.space, [1, 5]).points, shown)
    assert rig.hide_viewport == (way == "object")
    assert group.hide_viewport == (way == "collection")
    assert [found.name for found in rig.users_collection] == ["group"]


def test_a_track_becomes_keys_that_give_it_back(portrait: object, face: np.ndarray) -> None:
    random = np.random.default_rng(3)
    turned = [(face - face.mean(0)) @ rotation_y_up(a).T + face.mean(0) for a in np.linspace(-0.5, 0.5, 12)]
    points = np.stack(turned) + random.normal(0, 0.8, (12, 70, 3))
    track = LandmarkTrack(points, (portrait.size[0], portrait.size[1]), 24, 5)
    portrait.rig.animation_data_create().action = old = bpy.data.actions.new("old")
    import_track(portrait.rig, portrait.space, track)
    sampled = sample(bpy.context.scene, portrait.rig, portrait.space, range(5, 17))
    assert np.abs(sampled.points - track.points).max() < 2e-3
    assert sampled.start == 5
    assert old.use_fake_user, "an action that was there is kept"
    bpy.context.scene.frame_set(5)
    head = portrait.rig.pose.bones["head"]
    assert abs(head.rotation_euler[1]) > 0.4, "the turn is on the head control"


def test_a_flat_track_moves_points_alone(portrait: object, face: np.ndarray) -> None:
    points = face[None, :, :2] + np.array((3.0, -2.0))
    import_track(portrait.rig, portrait.space, LandmarkTrack(points, (portrait.size[0], portrait.size[1])))
    sampled = sample(bpy.context.scene, portrait.rig, portrait.space, [1]).points[0]
    np.testing.assert_allclose(sampled[:, :2], points[0], atol=2e-3)
    np.testing.assert_allclose(sampled[:, 2], snap(face)[:, 2], atol=2e-3)


def test_a_track_of_another_size_is_refused(portrait: object, face: np.ndarray) -> None:
    with pytest.raises(PortraitError) as caught:
        import_track(portrait.rig, portrait.space, LandmarkTrack(face[None], (512, 512)))
    assert caught.value.code is ErrorCode.SIZE_MISMATCH


def test_deleted_and_renamed_bones_are_named(portrait: object) -> None:
    portrait.rig.data.bones["jaw_03"].name = "cheek"
    with pytest.raises(PortraitError, match="jaw_03") as caught:
        sample(bpy.context.scene, portrait.rig, portrait.space, [1])
    assert caught.value.code is ErrorCode.SCENE and caught.value.remedy


def test_points_that_are_not_finite_are_named(portrait: object) -> None:
    portrait.rig.pose.bones["left_pupil"].scale = (1, 1, 1)
    portrait.rig.pose.bones["left_pupil"].location = (float("inf"), 0, 0)
    with pytest.raises(PortraitError, match="left_pupil") as caught:
        sample(bpy.context.scene, portrait.rig, portrait.space, [3])
    assert caught.value.code is ErrorCode.BAD_TRACK and "Frame 3" in caught.value.message


def test_sampling_that_is_left_half_done_tells_of_no_change(acting: bpy.types.PropertyGroup) -> None:
    scene, told = bpy.context.scene, []

    def note(*_: object) -> None:
        told.append(is_at_work())

    scene.frame_set(5)
    bpy.app.handlers.depsgraph_update_post.append(note)
    try:
        rows = sample_rows(scene, acting.rig, acting.space, range(1, 10))
        next(rows)
        rows.close()
        bpy.context.view_layer.update()  # as Blender's own loop does next
    finally:
        bpy.app.handlers.depsgraph_update_post.remove(note)
    assert scene.frame_current == 5
    assert told and all(told), "what sampling does is not the user's"

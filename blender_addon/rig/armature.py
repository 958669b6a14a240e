# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark rig: one armature of 70 points under the head's handle, whose rest pose is the photo's landmarks.

Above the points lie the handles (see `handles`), and between the two the mechanism of `rig_drivers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import bpy
import numpy as np
from portrait_shared.landmarks import GROUPS, INDEX_OF, NAMES

from ..blender.modes import editing
from ..blender.problems import Fix, SceneError, listed
from ..plane.plane_space import PlaneSpace, snap
from . import bone_shapes, handles, rig_drivers
from .blendshapes import ARKIT_NAMES
from .body_sliders import BODY_SLIDERS, add_body_sliders
from .handles import HANDLES, HANDLES_COLLECTION, MECHANISM_COLLECTION, PICTURE_AXES, POINTS_COLLECTION, RigFrame

HEAD_BONE: Final = "head"
_POINT_LENGTH_OF_FACE = 0.022
_SMALL_POINT_LENGTH_OF_FACE = 0.009
_SMALL_GROUPS = ("right_eye", "left_eye", "right_pupil", "left_pupil", "inner_lip")
"""Groups with small markers: these points lie on pupils and teeth, which an animator has to see."""
_MECHANISM_SIZE = 0.05  # of the distance between the outer eye corners
_VERSION_KEY: Final = "talking_portrait_rig"
_VERSION: Final = 4
"""Of handles and hidden bones, kept as a property of the armature; a rig without the property is older.

To be raised whenever `add_handles_and_sliders` changes what an animator sees of an older rig.
"""
_UP = np.array((0.0, 0.0, 1.0))
BONE_AXES: Final = PICTURE_AXES
"""Of the head's bone and of every point's: rows are its own x, y, z in the armature's space."""


def head_pivot(points: np.ndarray) -> np.ndarray:
    """Where the head turns: behind the face, between the ears and a little below them.

    The joint of skull and neck lies about a quarter of the way from the temples to the chin, and a tenth of
    the face's width behind the jaw's ends.

    Args:
        points: (70, 3) pixels.

    Returns:
        (3,) pixels.
    """
    points = np.asarray(points, np.float64)
    temples = points[[0, 16]].mean(0)
    width = face_width(points)
    down = points[8] - temples
    pivot = temples + 0.25 * down
    nearest = points[27:31, 2].min()
    # Points of a detector without depth lie in one plane: the ears are then taken to be half a face behind the nose.
    depth = max(temples[2] - nearest, 0.5 * width)
    pivot[2] = nearest + depth + 0.1 * width
    return pivot


def face_width(points: np.ndarray) -> float:
    """Distance between the jaw's ends, pixels; never 0."""
    return float(max(np.linalg.norm(points[0, :2] - points[16, :2]), 1.0))


def build(context: bpy.types.Context, name: str, plane: bpy.types.Object, space: PlaneSpace,
          points: np.ndarray) -> bpy.types.Object:  # fmt: skip
    """A new rig with handles and sliders, at rest on the landmarks, a child of the plane.

    Args:
        context: where the rig is linked; its mode and selection stay as they are.
        points: (70, 3) pixels of the picture.
    """
    armature = bpy.data.armatures.new(f"{name} rig")
    rig = bpy.data.objects.new(f"{name} rig", armature)
    context.scene.collection.objects.link(rig)
    rig.parent = plane
    rig.show_in_front = True
    rig.lock_location = rig.lock_rotation = rig.lock_scale = (True, True, True)
    add_bones(context, rig, space, points, (HEAD_BONE, *NAMES))
    add_handles_and_sliders(context, rig, space, points)
    return rig


def add_bones(context: bpy.types.Context, rig: bpy.types.Object, space: PlaneSpace, points: np.ndarray,
              names: Sequence[str]) -> None:  # fmt: skip
    """Adds the named bones, at rest on the landmarks, with their shapes, colours and locks."""
    points = snap(points)
    local = space.to_local(points)
    face = face_width(points) * space.metres_per_pixel
    with editing(context, rig):
        bones = rig.data.edit_bones
        if HEAD_BONE in names:
            _add_bone(bones, HEAD_BONE, space.to_local(head_pivot(points)), face)
            for index_name in INDEX_OF:
                if index_name in bones:
                    bones[index_name].parent = bones[HEAD_BONE]
        for name in names:
            if name != HEAD_BONE:
                _add_bone(bones, name, local[INDEX_OF[name]], face * _point_length(name))
                bones[name].parent = bones.get(HEAD_BONE)
    for name in names:
        _dress(rig, name)


def add_handles_and_sliders(
    context: bpy.types.Context, rig: bpy.types.Object, space: PlaneSpace, points: np.ndarray
) -> None:
    """Gives a rig its handles, its 52 sliders and those of the body, or mends those that it has; keys and values stay.

    Args:
        points: (70, 3) pixels, the photo's landmarks.
    """
    frame = RigFrame.of(snap(points), space)
    check_bones(rig)
    with editing(context, rig):
        _add_mechanism(rig.data.edit_bones, frame)
        for handle in HANDLES.values():
            _add_along(
                rig.data.edit_bones,
                handle.name,
                frame.axes_of(handle),
                frame.place(handle),
                handle.size * frame.unit,
            )
            rig.data.edit_bones[handle.name].parent = rig.data.edit_bones[rig_drivers.ride_bone(handle)]
    rig_drivers.add_properties(rig)
    add_body_sliders(rig)
    _gather_points(rig.data)
    collection = _bone_collection(rig.data, HANDLES_COLLECTION)
    collection.assign(rig.data.bones[HEAD_BONE])
    for handle in HANDLES.values():
        handles.dress(rig, handle, frame.unit)
        collection.assign(rig.data.bones[handle.name])
    handles.dress_frame(rig)
    collection.assign(rig.data.bones[handles.FRAME_BONE])
    hidden = _bone_collection(rig.data, MECHANISM_COLLECTION)
    for bone in rig.data.bones:
        if bone.name.startswith(rig_drivers.MECHANISM_PREFIXES) and bone.name != handles.FRAME_BONE:
            hidden.assign(bone)
    hidden.is_visible = False
    rig.data.relation_line_position = "HEAD"
    rig_drivers.add_drivers(rig, frame)
    rig.data[_VERSION_KEY] = _VERSION


def is_outdated(rig: bpy.types.Object) -> bool:
    """Whether an older version made the rig: with handles in other places, eyes that do not meet at a near target,
    or smiles in the shape of a V.

    False for a rig that lacks some, which is to be completed instead: see `missing_handles_and_sliders`.
    """
    version = rig.data.get(_VERSION_KEY)
    return not (isinstance(version, int) and version >= _VERSION) and not missing_handles_and_sliders(rig)


def fit(context: bpy.types.Context, rig: bpy.types.Object, space: PlaneSpace, points: np.ndarray) -> None:
    """Puts a rig at rest on other landmarks, those of another face; keys, poses and the user's own bones stay.

    Args:
        points: (70, 3) pixels.
    """
    check_bones(rig)
    points = snap(points)
    local = space.to_local(points)
    face = face_width(points) * space.metres_per_pixel
    with editing(context, rig):
        bones = rig.data.edit_bones
        _add_bone(bones, HEAD_BONE, space.to_local(head_pivot(points)), face)
        for name in NAMES:
            _add_bone(bones, name, local[INDEX_OF[name]], face * _point_length(name))
    add_handles_and_sliders(context, rig, space, points)


def _add_mechanism(bones: bpy.types.ArmatureEditBones, frame: RigFrame) -> None:
    """Makes the hidden bones between the head and the points, in place of those that are there."""
    for bone in list(bones):
        if bone.name.startswith(rig_drivers.MECHANISM_PREFIXES):
            bones.remove(bone)
    head, size = bones[HEAD_BONE], _MECHANISM_SIZE * frame.unit
    local = frame.space.to_local(frame.points)
    for channel in handles.CHANNELS:
        _add_along(bones, rig_drivers.sum_bone(channel), frame.axes, np.array(head.head), size)
    # Each visible bone hangs on a hidden one at its own place, so that Blender draws no dashed line to the head.
    for point in range(len(NAMES)):
        parent = head
        names = [rig_drivers.mover_bone(point)]
        if point in rig_drivers.GUARDED:
            names.append(rig_drivers.guard_bone(point))
        for name in names:
            bone = _add_along(bones, name, frame.axes, local[point], size)
            bone.parent, parent = parent, bone
        bones[NAMES[point]].parent = parent
    for handle in HANDLES.values():
        ride = _add_along(bones, rig_drivers.ride_bone(handle), frame.axes, frame.place(handle), size)
        ride.parent = head
    pad = HANDLES[handles.FRAME_HANDLE]
    length = handles.FRAME_SIZE * frame.unit
    edges = _add_along(bones, handles.FRAME_BONE, frame.axes_of(pad), frame.place(pad), length)
    edges.parent = bones[rig_drivers.ride_bone(pad)]


def missing_bones(rig: bpy.types.Object) -> list[str]:
    """Standard names that the rig lacks, because their bones were deleted or renamed."""
    return [name for name in (HEAD_BONE, *NAMES) if name not in rig.data.bones]


def missing_handles_and_sliders(rig: bpy.types.Object) -> list[str]:
    """Handles, sliders and hidden bones that the rig lacks: deleted, renamed, or never there in an old rig.

    The rig can be sampled without them.
    """
    hidden = [rig_drivers.sum_bone(channel) for channel in handles.CHANNELS]
    hidden += [rig_drivers.guard_bone(point) for point in rig_drivers.GUARDED]
    bones = [name for name in (*HANDLES, *hidden) if name not in rig.data.bones]
    loose = [name for name in NAMES if name in rig.data.bones and rig.data.bones[name].parent is None]
    properties = (*ARKIT_NAMES, *BODY_SLIDERS, rig_drivers.LIMITS_PROPERTY)
    return bones + loose + [name for name in properties if name not in rig]


def check_bones(rig: bpy.types.Object) -> None:
    """Raises SCENE, naming the bones that are not there."""
    missing = missing_bones(rig)
    if missing:
        raise SceneError(
            f"The rig “{rig.name}” lacks {'a bone' if len(missing) == 1 else 'bones'}: {listed(missing, 5)}.",
            "Give a renamed bone its standard name again, or rebuild: your keys stay.",
            Fix.REBUILD,
        )


def rest_points(rig: bpy.types.Object, space: PlaneSpace) -> np.ndarray:
    """The photo's landmarks, (70, 3) float32 pixels: the heads of the bones at rest."""
    check_bones(rig)
    local = np.array([rig.data.bones[name].head_local for name in NAMES], np.float64)
    return snap(space.to_pixels(local))


def _point_length(name: str) -> float:
    """Of a point's marker, in widths of the face."""
    return _SMALL_POINT_LENGTH_OF_FACE if name.startswith(_SMALL_GROUPS) else _POINT_LENGTH_OF_FACE


def _add_along(bones: bpy.types.ArmatureEditBones, name: str, axes: np.ndarray, head: np.ndarray,
               length: float) -> bpy.types.EditBone:  # fmt: skip
    """A bone whose own x, y, z are the rows of `axes`; `length` in metres."""
    bone = bones.get(name) or bones.new(name)
    bone.parent = None
    bone.head, bone.tail = head, head + length * axes[1]
    bone.align_roll(axes[2])
    bone.use_connect = bone.use_deform = False
    return bone


def _add_bone(bones: bpy.types.ArmatureEditBones, name: str, head: np.ndarray, length: float) -> None:
    bone = bones.get(name) or bones.new(name)
    bone.head = head
    bone.tail = head + length * _UP
    bone.roll = 0.0
    bone.use_connect = False
    bone.use_deform = False


def _dress(rig: bpy.types.Object, name: str) -> None:
    pose_bone = rig.pose.bones[name]
    bone = pose_bone.bone
    pose_bone.use_custom_shape_bone_size = True
    if name == HEAD_BONE:
        # Yaw outermost, then pitch, then roll: a turned head still nods about its own ear-to-ear axis.
        pose_bone.rotation_mode = "ZXY"
        pose_bone.custom_shape = bone_shapes.head_shape()
        bone_shapes.color_bone(bone, bone_shapes.HEAD_COLOR)
        return
    group = next(group for group, indices in GROUPS.items() if INDEX_OF[name] in indices)
    pose_bone.rotation_mode = "XYZ"
    pose_bone.custom_shape = bone_shapes.point_shape()
    pose_bone.lock_rotation = pose_bone.lock_scale = (True, True, True)
    bone_shapes.color_bone(bone, bone_shapes.GROUP_COLORS[group])
    (rig.data.collections_all.get(group) or rig.data.collections.new(group)).assign(bone)


def _gather_points(armature: bpy.types.Armature) -> None:
    """Puts the points' collections under one that starts hidden: an animator begins with the handles."""
    points = armature.collections_all.get(POINTS_COLLECTION)
    if points is None:
        points = armature.collections.new(POINTS_COLLECTION)
        points.is_visible = False
    for group in GROUPS:
        collection = armature.collections_all.get(group)
        if collection is not None and collection.parent is None:
            collection.parent = points


def _bone_collection(armature: bpy.types.Armature, name: str) -> bpy.types.BoneCollection:
    return armature.collections.get(name) or armature.collections.new(name)

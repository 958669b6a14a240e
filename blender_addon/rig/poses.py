# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to a whole pose: set an expression, mirror, reset; each keys what it changes if asked to.

Each returns what was to be keyed and could not be, because its channel is locked or its action linked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import bpy
import numpy as np
from mathutils import Vector
from portrait_shared.landmarks import INDEX_OF, MIRROR, NAMES

from ..blender import compat
from ..curves.rig_curves import SLIDER_GROUP, action_of
from ..plane.plane_space import PlaneSpace
from .armature import BONE_AXES, HEAD_BONE, rest_points
from .blendshapes import ARKIT_NAMES, MIRRORED_NAMES
from .body_sliders import USUAL_BODY
from .expression_library import EXPRESSIONS, VISEMES
from .handles import HANDLES, RigFrame
from .replaced_sliders import NOTHING_REPLACED

_SPEAKING: Final = ("jaw", "mouth", "tongue")
_ROTATIONS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
POSED_BONES: Final = (HEAD_BONE, *HANDLES, *NAMES)
"""Every bone that an animator moves."""


def library_weights(name: str) -> dict[str, float]:
    """What a shipped expression or viseme sets each slider to.

    An expression is a whole face; a viseme leaves brows, eyes, cheeks and nose as they are.

    Raises:
        KeyError: there is none of that name.
    """
    if name in EXPRESSIONS:
        return {slider: EXPRESSIONS[name].get(slider, 0.0) for slider in ARKIT_NAMES}
    shape = VISEMES[name]
    return {slider: shape.get(slider, 0.0) for slider in ARKIT_NAMES if slider.startswith(_SPEAKING)}


def set_sliders(rig: bpy.types.Object, weights: Mapping[str, float], key: bool = False) -> list[str]:
    """Sets the named sliders; those that the rig lacks are left out."""
    unkeyed: list[str] = []
    for name, weight in weights.items():
        if name in rig:
            rig[name] = float(weight)
            if key and not _key(rig, rig, f'["{name}"]', SLIDER_GROUP):
                unkeyed.append(name)
    rig.update_tag()
    return unkeyed


def linked_action(rig: bpy.types.Object) -> bpy.types.Action | None:
    """The rig's action where it is linked from another file: nothing can be keyed in it."""
    action = action_of(rig)
    return action if action is not None and action.library is not None else None


def reset(rig: bpy.types.Object, bones: Iterable[str] | None = None, key: bool = False) -> list[str]:
    """Back to the photo: these bones alone, or without names everything, the sliders too."""
    unkeyed: list[str] = []
    for name in POSED_BONES if bones is None else bones:
        bone = rig.pose.bones.get(name)
        if bone is not None and name in POSED_BONES:
            unkeyed += _set_pose(bone, Vector(), _no_turn(bone), (1.0, 1.0, 1.0), key)
    if bones is None:
        unkeyed += set_sliders(rig, dict.fromkeys(ARKIT_NAMES, 0.0) | USUAL_BODY | NOTHING_REPLACED, key)
    rig.update_tag()
    return unkeyed


def selected_bones(rig: bpy.types.Object) -> list[str]:
    """The handles and points that are selected."""
    return [name for name in POSED_BONES if name in rig.pose.bones and compat.is_selected(rig.pose.bones[name])]


def mirror(rig: bpy.types.Object, space: PlaneSpace, key: bool = False) -> list[str]:
    """Exchanges left and right: sliders, handles, the head's turn, and the points' own moves."""
    unkeyed = set_sliders(rig, {MIRRORED_NAMES[name]: rig[name] for name in ARKIT_NAMES if name in rig}, key)
    across = np.diag((-1.0, 1.0, 1.0))
    frame = RigFrame.of(rest_points(rig, space), space)
    in_face = frame.axes @ BONE_AXES.T  # a point's bone has the picture's axes, the face may lean
    of_points = in_face.T @ across @ in_face
    partners = {HEAD_BONE: HEAD_BONE} | {name: _other_side(name) for name in HANDLES}
    partners |= {NAMES[index]: NAMES[MIRROR[index]] for index in INDEX_OF.values()}
    poses = {name: _pose_of(rig.pose.bones[name]) for name in POSED_BONES if name in rig.pose.bones}
    for name, (location, rotation, scale) in poses.items():
        other = rig.pose.bones.get(partners[name])
        if other is None:
            continue
        matrix = of_points if name in INDEX_OF else across
        angles = rotation
        if name == HEAD_BONE:
            *kept, y, z = rotation  # the axis or the quaternion's vector part turns like the angles
            angles = (*kept, -y, -z)
        unkeyed += _set_pose(other, Vector(matrix @ np.array(location)), angles, scale, key)
    rig.update_tag()
    return unkeyed


def _other_side(name: str) -> str:
    stem, dot, side = name.rpartition(".")
    return f"{stem}.{'L' if side == 'R' else 'R'}" if dot else name


_Pose = tuple[Vector, tuple[float, ...], tuple[float, ...]]


def _pose_of(bone: bpy.types.PoseBone) -> _Pose:
    rotation = getattr(bone, _ROTATIONS.get(bone.rotation_mode, "rotation_euler"))
    return bone.location.copy(), tuple(rotation), tuple(bone.scale)


def _no_turn(bone: bpy.types.PoseBone) -> tuple[float, ...]:
    """The rotation of a bone at rest, in the bone's own rotation mode."""
    if bone.rotation_mode == "QUATERNION":
        return (1.0, 0.0, 0.0, 0.0)
    return (0.0, 0.0, 1.0, 0.0) if bone.rotation_mode == "AXIS_ANGLE" else (0.0, 0.0, 0.0)


def _set_pose(
    bone: bpy.types.PoseBone, location: Vector, rotation: tuple[float, ...], scale: tuple[float, ...], key: bool
) -> list[str]:
    unkeyed: list[str] = []
    channel = _ROTATIONS.get(bone.rotation_mode, "rotation_euler")
    for name, value in (("location", location), (channel, rotation), ("scale", scale)):
        changed = not np.array_equal(np.float32(value), np.float32(getattr(bone, name)))
        if changed:
            setattr(bone, name, value)
        if key and changed and not _key(bone.id_data, bone, name):
            unkeyed.append(f"{name.partition('_')[0]} of {bone.name}")
    return unkeyed


def _key(rig: bpy.types.Object, owner: bpy.types.bpy_struct, path: str, group: str = "") -> bool:
    return linked_action(rig) is None and compat.insert_key(owner, path, group=group)

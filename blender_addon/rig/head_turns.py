# SPDX-License-Identifier: GPL-3.0-or-later
"""The turns of the head's handle as keys, in whichever rotation mode the handle has."""

from __future__ import annotations

from typing import Final

import bpy
import numpy as np
from mathutils import Euler, Quaternion

from ..blender import compat
from ..curves.rig_curves import bone_path, rest_value, value_now
from .armature import HEAD_BONE

_CHANNELS: Final = {"QUATERNION": ("rotation_quaternion", 4), "AXIS_ANGLE": ("rotation_axis_angle", 4)}


def use_angles(rig: bpy.types.Object) -> str:
    """Lets the head turn by ZXY angles where no frame would change by that; what the user should know, or nothing."""
    head = rig.pose.bones[HEAD_BONE]
    before = head.rotation_mode
    if before == "ZXY" or _is_turned(rig):
        return ""
    head.rotation_mode = "ZXY"
    return f"The head control turned by {before}; it turns by ZXY angles now."


def turn_channel(rig: bpy.types.Object) -> tuple[str, int]:
    """The data path that turns the head, and how many values it has."""
    channel, width = _CHANNELS.get(rig.pose.bones[HEAD_BONE].rotation_mode, ("rotation_euler", 3))
    return bone_path(HEAD_BONE, channel), width


def turn_values(rig: bpy.types.Object, angles: np.ndarray) -> np.ndarray:
    """ZXY angles (N, 3), radians, as values of `turn_channel`, (N, 3 or 4), each going on from the one before."""
    mode = rig.pose.bones[HEAD_BONE].rotation_mode
    if mode == "ZXY":
        return np.asarray(angles, np.float64)
    rows: list[tuple[float, ...]] = []
    turned, euler = Quaternion(), Euler((0.0, 0.0, 0.0))
    for row in np.asarray(angles, np.float64):
        now = Euler(row.tolist(), "ZXY").to_quaternion()
        now.make_compatible(turned)
        turned = now
        if mode == "QUATERNION":
            rows.append(tuple(now))
        elif mode == "AXIS_ANGLE":
            axis, angle = now.to_axis_angle()
            rows.append((angle, *axis))
        else:
            euler = now.to_euler(mode, euler) if rows else now.to_euler(mode)
            rows.append(tuple(euler))
    return np.array(rows)


def _is_turned(rig: bpy.types.Object) -> bool:
    """Whether keys or the pose of now turn the head."""
    path, width = turn_channel(rig)
    if any(curve.data_path == path for curve in compat.fcurves_of(rig)):
        return True
    values = [value_now(rig, path, index) for index in range(width)]
    if path.endswith("axis_angle"):
        return values[0] != 0
    return values != [rest_value(path, index) for index in range(width)]

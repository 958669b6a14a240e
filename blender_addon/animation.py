# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes whole curves of keys onto a rig at once."""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np

from . import compat


def write_keys(
    rig: bpy.types.Object, action_name: str, curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    interpolation: str = "BEZIER",
) -> bpy.types.Action:  # fmt: skip
    """Puts keys into a new action of the rig; an action it had before stays in the file.

    Args:
        curves: {(bone's name, channel such as "location"): (frames (N,), values (N, width of the channel))}.
        interpolation: of every key: BEZIER (eased), LINEAR or CONSTANT.
    """
    before = rig.animation_data.action if rig.animation_data else None
    if before is not None:
        before.use_fake_user = True
    action = bpy.data.actions.new(action_name)
    bag = compat.new_fcurves(rig, action)
    groups = {bone: bag.groups.new(bone) for bone in dict.fromkeys(bone for bone, _ in curves)}
    for (bone, channel), (frames, values) in curves.items():
        path = f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{channel}'
        for axis, column in enumerate(np.asarray(values, np.float32).T):
            curve = bag.fcurves.new(path, index=axis)
            curve.group = groups[bone]
            _fill(curve, np.asarray(frames, np.float32), column, interpolation)
    return action


def _fill(curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray, interpolation: str) -> None:
    keys = curve.keyframe_points
    keys.add(len(frames))
    keys.foreach_set("co", np.column_stack((frames, values)).ravel())
    kind = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items[interpolation].value
    keys.foreach_set("interpolation", np.full(len(frames), kind, np.int32))
    curve.update()

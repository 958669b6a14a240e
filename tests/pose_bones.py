# SPDX-License-Identifier: GPL-3.0-or-later
"""Bones selected as a user would, in any Blender."""

from __future__ import annotations

import bpy


def select_pose_bone(bone: bpy.types.PoseBone, selected: bool) -> None:
    """The selection moved from the bone to the pose bone in 5.0."""
    (bone if bpy.app.version >= (5, 0, 0) else bone.bone).select = selected

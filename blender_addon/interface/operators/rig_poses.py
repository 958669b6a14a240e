# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for the rig's handles and sliders: upgrade, expressions, mirror, reset, poses as assets."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty

from ...blender import problems
from ...rig import armature, pose_library, poses
from ...rig.expression_library import EXAMPLES, EXPRESSIONS, VISEMES
from .common import OnEditableRig, has_window

_LIBRARY = [
    *((name, name.title(), f"Set the expression “{name}” on the whole face") for name in EXPRESSIONS),
    *(
        (name, f"{name} ({EXAMPLES[name]})", f"Set the mouth's shape for {EXAMPLES[name]}; the eyes stay")
        for name in VISEMES
    ),
]


def _keys_itself(context: bpy.types.Context) -> bool:
    return context.scene.tool_settings.use_keyframe_insert_auto


def _tell_unkeyed(operator: bpy.types.Operator, rig: bpy.types.Object, unkeyed: list[str], asked: bool) -> None:
    """The pose is set all the same, and lasts until the frame is changed: as when a bone is moved by hand.

    Args:
        asked: whether it was to be keyed.
    """
    if not asked:
        operator.report(
            {"INFO"}, "Set, not keyed yet: Key All keys it on this frame, I over the viewport in Pose Mode too"
        )
        return
    if not unkeyed:
        return
    linked = poses.linked_action(rig)
    if linked is not None:
        operator.report({"WARNING"}, f"Nothing was keyed: the action “{linked.name}” is linked. Make it local in the "
                        "Action editor (Make Single User)")  # fmt: skip
        return
    operator.report({"WARNING"}, problems.locked_channels(unkeyed))


class PORTRAIT_OT_add_controls(OnEditableRig, bpy.types.Operator):
    """Give the rig its handles and sliders, or mend them; keys are kept"""

    bl_idname = "portrait.add_controls"
    bl_label = "Add Controls"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        points = armature.rest_points(portrait.rig, portrait.space)
        armature.add_handles_and_sliders(context, portrait.rig, portrait.space, points)
        problems.forget(portrait.uid)
        return {"FINISHED"}


class PORTRAIT_OT_apply_expression(OnEditableRig, bpy.types.Operator):
    """Set the sliders to an expression or a mouth shape of speech; auto keying keys them"""

    bl_idname = "portrait.apply_expression"
    bl_label = "Expression"
    bl_options = {"REGISTER", "UNDO"}

    expression: EnumProperty(name="Expression", description="Choose the face or the mouth shape to set", items=_LIBRARY)
    amount: FloatProperty(
        name="Amount", description="Set so much of it; 0 leaves the face at rest", default=1.0, min=0.0, soft_max=1.0,
        max=2.0,
    )  # fmt: skip

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        weights = poses.library_weights(self.expression)
        scaled = {name: weight * self.amount for name, weight in weights.items()}
        keys = _keys_itself(context)
        _tell_unkeyed(self, portrait.rig, poses.set_sliders(portrait.rig, scaled, keys), keys)
        return {"FINISHED"}


class PORTRAIT_OT_mirror_pose(OnEditableRig, bpy.types.Operator):
    """Exchange left and right of the whole pose: sliders, handles, points and the head's turn"""

    bl_idname = "portrait.mirror_pose"
    bl_label = "Mirror"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        keys = _keys_itself(context)
        _tell_unkeyed(self, portrait.rig, poses.mirror(portrait.rig, portrait.space, keys), keys)
        return {"FINISHED"}


class PORTRAIT_OT_reset_pose(OnEditableRig, bpy.types.Operator):
    """Put handles, points and sliders back to the photo; auto keying keys them"""

    bl_idname = "portrait.reset_pose"
    bl_label = "Reset"
    bl_options = {"REGISTER", "UNDO"}

    scope: EnumProperty(
        name="Reset",
        description="Choose what goes back to the photo",
        items=(
            ("ALL", "All", "Reset every handle, point and slider"),
            ("SELECTED", "Selected", "Reset the selected handles and points alone"),
        ),
    )

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        bones = None
        if self.scope == "SELECTED":
            bones = poses.selected_bones(portrait.rig)
            if not bones:
                self.report({"WARNING"}, "Select handles or points in Pose Mode first")
                return {"CANCELLED"}
        keys = _keys_itself(context)
        _tell_unkeyed(self, portrait.rig, poses.reset(portrait.rig, bones, keys), keys)
        return {"FINISHED"}


class PORTRAIT_OT_make_pose_library(OnEditableRig, bpy.types.Operator):
    """Put the shipped expressions and visemes into the asset browser of this file, as poses"""

    bl_idname = "portrait.make_pose_library"
    bl_label = "Make Pose Library"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        made = pose_library.make_library(portrait.rig, portrait.space)
        self.report({"INFO"}, f"{len(made)} poses are in the asset browser, under Current File")
        return {"FINISHED"}


class PORTRAIT_OT_save_pose(OnEditableRig, bpy.types.Operator):
    """Put the pose of now, sliders included, into the asset browser of this file"""

    bl_idname = "portrait.save_pose"
    bl_label = "Save Pose"
    bl_options = {"UNDO"}

    name: StringProperty(name="Name", description="Choose what the pose is called in the asset browser", default="Pose")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self)

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        action = pose_library.save_pose(portrait.rig, portrait.space, self.name.strip() or "Pose")
        self.report({"INFO"}, f"“{action.name}” is in the asset browser, under Current File")
        return {"FINISHED"}


CLASSES = (
    PORTRAIT_OT_add_controls, PORTRAIT_OT_apply_expression, PORTRAIT_OT_mirror_pose, PORTRAIT_OT_reset_pose,
    PORTRAIT_OT_make_pose_library, PORTRAIT_OT_save_pose,
)  # fmt: skip

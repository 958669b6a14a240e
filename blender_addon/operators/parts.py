# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that mend or show a portrait's parts."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty
from portrait_shared.errors import PortraitError

from .. import image_plane, photo, portrait_parts, problems
from ..portrait_parts import check_plane
from ..properties import frames_in
from ..sampling import check_rig
from .common import NeedsPortrait, active_portrait, has_window, report, scene_of


class PORTRAIT_OT_rebuild(NeedsPortrait, bpy.types.Operator):
    """Mend the portrait: put back its plane, material, rig or bones where they are missing; keys are kept"""

    bl_idname = "portrait.rebuild"
    bl_label = "Rebuild Plane and Rig"
    bl_options = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context)
        try:
            mended = portrait_parts.rebuild(context, scene_of(context), portrait)
        except PortraitError as error:
            return report(self, error, portrait.uid)
        problems.forget(portrait.uid)
        self.report({"INFO"}, f"Put back: {', '.join(mended)}" if mended else "Nothing was missing")
        return {"FINISHED"}


class PORTRAIT_OT_relocate_photo(NeedsPortrait, bpy.types.Operator):
    """Say where the photo is now"""

    bl_idname = "portrait.relocate_photo"
    bl_label = "Locate Photo"
    bl_options = {"UNDO"}

    filepath: StringProperty(name="Picture", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default=photo.IMAGE_GLOB, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context)
        try:
            same = portrait_parts.relocate(portrait, self.filepath)
        except PortraitError as error:
            return report(self, error, portrait.uid)
        problems.forget(portrait.uid)
        if not same:
            self.report({"WARNING"}, "The picture differs from the one the landmarks were placed on")
        return {"FINISHED"}


class PORTRAIT_OT_choose_folder(NeedsPortrait, bpy.types.Operator):
    """Choose where the frames go"""

    bl_idname = "portrait.choose_folder"
    bl_label = "Choose Folder"
    bl_options = {"UNDO"}

    directory: StringProperty(name="Folder", subtype="DIR_PATH", options={"SKIP_SAVE"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context)
        portrait.output_folder = self.directory
        problems.forget(portrait.uid)
        return {"FINISHED"}


class PORTRAIT_OT_show_photo(NeedsPortrait, bpy.types.Operator):
    """Show the still photograph on the plane"""

    bl_idname = "portrait.show_photo"
    bl_label = "Show Photo"
    bl_options = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context)
        try:
            check_plane(scene_of(context), portrait)
            image_plane.show_photo(portrait.plane, photo.check(portrait.photo, tuple(portrait.size)))
        except PortraitError as error:
            return report(self, error, portrait.uid)
        return {"FINISHED"}


class PORTRAIT_OT_show_frames(NeedsPortrait, bpy.types.Operator):
    """Play the rendered frames on the plane"""

    bl_idname = "portrait.show_frames"
    bl_label = "Show Frames"
    bl_options = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context)
        try:
            check_plane(scene_of(context), portrait)
            folder = portrait.folder()
            if image_plane.show_frames(portrait.plane, folder, frames_in(folder)) is None:
                self.report({"WARNING"}, "No frames have been rendered yet")
                return {"CANCELLED"}
        except PortraitError as error:
            return report(self, error, portrait.uid)
        return {"FINISHED"}


class PORTRAIT_OT_use_own_colors(bpy.types.Operator):
    """Set the scene's view transform to Standard, so that the photo shows its own colours"""

    bl_idname = "portrait.use_own_colors"
    bl_label = "Use Standard View Transform"
    bl_options = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        image_plane.use_own_colors(scene_of(context))
        return {"FINISHED"}


class PORTRAIT_OT_pose(NeedsPortrait, bpy.types.Operator):
    """Make the portrait's rig active and go to Pose Mode"""

    bl_idname = "portrait.pose"
    bl_label = "Pose"
    bl_options = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context)
        layer = context.view_layer
        try:
            check_rig(scene_of(context), portrait.rig)
        except PortraitError as error:
            return report(self, error, portrait.uid)
        if portrait.rig.name not in layer.objects or not portrait.rig.visible_get(view_layer=layer):
            self.report({"WARNING"}, f"Show the rig “{portrait.rig.name}” first: it is hidden")
            return {"CANCELLED"}
        if layer.objects.active is not None and layer.objects.active.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        for item in context.selected_objects:
            item.select_set(False)
        portrait.rig.select_set(True)
        layer.objects.active = portrait.rig
        bpy.ops.object.mode_set(mode="POSE")
        return {"FINISHED"}


CLASSES = (
    PORTRAIT_OT_rebuild, PORTRAIT_OT_relocate_photo, PORTRAIT_OT_choose_folder, PORTRAIT_OT_show_photo,
    PORTRAIT_OT_show_frames, PORTRAIT_OT_use_own_colors, PORTRAIT_OT_pose,
)  # fmt: skip

# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that mend or show a portrait's parts."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, StringProperty
from portrait_shared.errors import PortraitError

from ...blender import problems
from ...blender.scene_time import stretch
from ...blender.selection import select_only
from ...plane import image_plane, view_colors
from ...portraits import photo, portrait_camera, portrait_copies, portrait_parts
from ...portraits.portrait_parts import check_plane
from ...portraits.properties import PORTRAIT_PG_portrait
from ...portraits.viewport import face_in_window, show_pictures
from ...render.frame_folder import frames_of
from ...rig.sampling import check_rig
from .common import AsksForFile, AsksForPicture, OnPhoto, OnPortrait, SaysWhyNot, has_window, report, scene_of


class PORTRAIT_OT_rebuild(OnPhoto, bpy.types.Operator):
    """Put back the portrait's plane, material, rig or bones where they are missing; keys are kept"""

    bl_idname = "portrait.rebuild"
    bl_label = "Rebuild Plane and Rig"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        mended = portrait_parts.rebuild(context, scene_of(context), portrait)
        problems.forget(portrait.uid)
        self.report({"INFO"}, f"Put back: {', '.join(mended)}" if mended else "Nothing was missing")
        return {"FINISHED"}


class PORTRAIT_OT_adopt(SaysWhyNot, bpy.types.Operator):
    """Make a portrait of the active rig, which was duplicated or appended: with frames and settings of its own"""

    bl_idname = "portrait.adopt"
    bl_label = "Make It a Portrait"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return (
            "Choose a portrait's rig that was duplicated, appended, linked or overridden"
            if portrait_copies.spare_rig(scene_of(context), context.view_layer.objects.active) is None
            else None
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        spare = portrait_copies.spare_rig(scene_of(context), context.view_layer.objects.active)
        assert spare is not None  # see `poll`
        try:
            portrait = portrait_copies.adopt(scene_of(context), spare)
        except PortraitError as error:
            return report(self, error)
        problems.forget("")
        self.report({"INFO"}, f"“{portrait.name}” is a portrait of its own now")
        return {"FINISHED"}


class PORTRAIT_OT_relocate_photo(AsksForPicture, OnPhoto, bpy.types.Operator):
    """Say where the photo is now"""

    bl_idname = "portrait.relocate_photo"
    bl_label = "Locate Photo"
    bl_options = {"UNDO"}

    filepath: StringProperty(
        name="Picture", description="Choose the file of the photo", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    filter_glob: StringProperty(default=photo.IMAGE_GLOB, options={"HIDDEN"})

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        same = portrait_parts.relocate(portrait, self.filepath)
        problems.forget(portrait.uid)
        if not same:
            self.report({"WARNING"}, "The picture differs from the one the landmarks were placed on")
        return {"FINISHED"}


class PORTRAIT_OT_choose_folder(AsksForFile, OnPhoto, bpy.types.Operator):
    """Choose the folder that the portrait's frames go to"""

    bl_idname = "portrait.choose_folder"
    bl_label = "Choose Folder"
    bl_options = {"UNDO"}

    directory: StringProperty(
        name="Folder", description="Choose the folder for the frames", subtype="DIR_PATH", options={"SKIP_SAVE"}
    )
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        portrait.output_folder = self.directory
        problems.forget(portrait.uid)
        return {"FINISHED"}


class PORTRAIT_OT_show_photo(OnPhoto, bpy.types.Operator):
    """Show the still photograph on the plane"""

    bl_idname = "portrait.show_photo"
    bl_label = "Show Photo"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        check_plane(scene_of(context), portrait)
        image_plane.show_photo(portrait.plane, photo.check(portrait.photo, tuple(portrait.size)))
        return {"FINISHED"}


class PORTRAIT_OT_show_frames(OnPhoto, bpy.types.Operator):
    """Play the rendered frames on the plane"""

    bl_idname = "portrait.show_frames"
    bl_label = "Show Frames"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        check_plane(scene_of(context), portrait)
        if (
            image_plane.show_frames(
                portrait.plane,
                portrait.folder(),
                frames_of(portrait),
                stretch(scene_of(context)),
                portrait.frame_prefix,
                portrait.frame_suffix,
            )
            is None
        ):
            self.report({"WARNING"}, "No frames have been rendered yet")
            return {"CANCELLED"}
        return {"FINISHED"}


class PORTRAIT_OT_frame_scene(OnPhoto, bpy.types.Operator):
    """Make the scene's render as large as the photo, seen by a camera squarely before it"""

    bl_idname = "portrait.frame_scene"
    bl_label = "Scene Size and Camera"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        scene = scene_of(context)
        check_plane(scene, portrait)
        before = scene.camera
        camera = portrait_camera.frame(scene, portrait)
        width, height = portrait.frame_size
        self.report({"INFO"}, f"The scene renders {width}x{height} pixels through “{camera.name}”")
        if before not in (None, camera):
            self.report({"INFO"}, f"“{before.name}” stays, but is no longer the scene's camera")
        return {"FINISHED"}


class PORTRAIT_OT_use_own_colors(bpy.types.Operator):
    """Set the scene's view so that the photo shows its own colors"""

    bl_idname = "portrait.use_own_colors"
    bl_label = "Use Standard View Transform"
    bl_options = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not view_colors.use_own_colors(scene_of(context)):
            self.report({"WARNING"}, "This color configuration has no view that leaves colors as they are")
            return {"CANCELLED"}
        return {"FINISHED"}


class PORTRAIT_OT_show_colors(SaysWhyNot, bpy.types.Operator):
    """Show the photo on its plane in this viewport, unlit and in its own colors"""

    bl_idname = "portrait.show_colors"
    bl_label = "Show Photo in Viewport"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        space = context.space_data
        return "Choose it in a 3D viewport" if space is None or space.type != "VIEW_3D" else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        show_pictures(context.space_data)
        return {"FINISHED"}


class PORTRAIT_OT_pose(OnPortrait, bpy.types.Operator):
    """Make the portrait's rig active, go to Pose Mode, and look at the face where it is not seen well"""

    bl_idname = "portrait.pose"
    bl_label = "Pose"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        layer = context.view_layer
        check_rig(scene_of(context), portrait.rig)
        if portrait.rig.name not in layer.objects or not portrait.rig.visible_get(view_layer=layer):
            self.report({"WARNING"}, f"Show the rig “{portrait.rig.name}” first: it is hidden")
            return {"CANCELLED"}
        select_only(layer, portrait.rig)
        bpy.ops.object.mode_set(mode="POSE")
        if has_window(context):
            face_in_window(context, portrait)
        return {"FINISHED"}


CLASSES = (
    PORTRAIT_OT_rebuild, PORTRAIT_OT_adopt, PORTRAIT_OT_relocate_photo, PORTRAIT_OT_choose_folder,
    PORTRAIT_OT_show_photo, PORTRAIT_OT_show_frames, PORTRAIT_OT_use_own_colors, PORTRAIT_OT_show_colors,
    PORTRAIT_OT_frame_scene, PORTRAIT_OT_pose,
)  # fmt: skip

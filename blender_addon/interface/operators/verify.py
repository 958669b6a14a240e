# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that tell what made a picture or a film, and whether it has been altered since."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty
from portrait_shared.errors import PortraitError

from ...blender import compat
from ...blender.problems import SceneError
from ...connection import server
from ...export import shown_files, verify_job
from ...export.shown_files import ShownFiles
from ...export.verify_job import VerifyJob
from ..verified_lines import draw_verified
from .common import AsksForFile, NeedsPortrait, SaysWhyNot, active_portrait, report, scene_of, work_off

_POPUP_WIDTH = 620
_POPUP_CHARACTERS = 100
_POPUP_LINES = 12


class _Verifies(SaysWhyNot):
    """Operators that verify what `shown` gives, in the background."""

    def shown(self, context: bpy.types.Context) -> ShownFiles:
        """Raises: PortraitError: there is no file."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            job = VerifyJob(server.launch_plan(context), self.shown(context))
        except PortraitError as error:
            return report(self, error)
        return work_off(self, context, job)


class PORTRAIT_OT_verify_image(_Verifies, bpy.types.Operator):
    """Tell what made the image in this editor, from what and when, and whether it was altered since"""

    bl_idname = "portrait.verify_image"
    bl_label = "Verify Image"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        space = context.space_data
        if space is None or space.type != "IMAGE_EDITOR":
            return "Call it in an image editor"
        return "There is no image in this editor" if space.image is None else None

    def shown(self, context: bpy.types.Context) -> ShownFiles:
        return shown_files.of_image(context.space_data.image, context.space_data.image_user)


class PORTRAIT_OT_verify_strips(_Verifies, bpy.types.Operator):
    """Tell what made the pictures and movies of the selected strips, from what and when, and whether they were altered since"""

    bl_idname = "portrait.verify_strips"
    bl_label = "Verify Strips"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return None if _selected_strips(context) else "Select image or movie strips first"

    def shown(self, context: bpy.types.Context) -> ShownFiles:
        return shown_files.of_strips(_selected_strips(context))


class PORTRAIT_OT_verify_frames(_Verifies, NeedsPortrait, bpy.types.Operator):
    """Tell what made the portrait's rendered frames, from what and when, and whether they were altered since"""

    bl_idname = "portrait.verify_frames"
    bl_label = "Verify Frames"

    def shown(self, context: bpy.types.Context) -> ShownFiles:
        return shown_files.of_portrait(active_portrait(context).lead)


class PORTRAIT_OT_verify_file(AsksForFile, _Verifies, bpy.types.Operator):
    """Tell what made pictures or films, from what and when, and whether they were altered since"""

    bl_idname = "portrait.verify_file"
    bl_label = "Verify File"

    filepath: StringProperty(name="File", description="Choose what is to be verified", subtype="FILE_PATH",
                             options={"SKIP_SAVE", *compat.path_options()})  # fmt: skip
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE", *compat.path_options()})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def shown(self, context: bpy.types.Context) -> ShownFiles:
        names = [each.name for each in self.files if each.name]
        texts = [str(Path(self.directory, name)) for name in names] or [self.filepath]
        if not texts[0]:
            raise SceneError("It is not said which file is meant.", "Choose one.")
        return ShownFiles(tuple(Path(bpy.path.abspath(text)) for text in texts))


class PORTRAIT_OT_show_verified(SaysWhyNot, bpy.types.Operator):
    """Show what Verify found, file by file"""

    bl_idname = "portrait.show_verified"
    bl_label = "Verified"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "Nothing was verified yet" if verify_job.last() is None else None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_popup(self, width=_POPUP_WIDTH)

    def draw(self, context: bpy.types.Context) -> None:
        draw_verified(self.layout, verify_job.last(), _POPUP_CHARACTERS, _POPUP_LINES)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return {"FINISHED"}


class PORTRAIT_OT_forget_verified(bpy.types.Operator):
    """Put away what Verify found last"""

    bl_idname = "portrait.forget_verified"
    bl_label = "Put Away"

    def execute(self, context: bpy.types.Context) -> set[str]:
        verify_job.forget()
        return {"FINISHED"}


def _selected_strips(context: bpy.types.Context) -> list[bpy.types.Strip]:
    editor = scene_of(context).sequence_editor
    return [] if editor is None else [strip for strip in compat.strips_of(editor) if strip.select]


CLASSES = (
    PORTRAIT_OT_verify_image, PORTRAIT_OT_verify_strips, PORTRAIT_OT_verify_frames, PORTRAIT_OT_verify_file,
    PORTRAIT_OT_show_verified, PORTRAIT_OT_forget_verified,
)  # fmt: skip

# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that write movies, pictures, farm jobs and edits for other programs, and take edits up again."""

from __future__ import annotations

import os
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.rates import exact_rate, frame_of

from ...blender import compat
from ...blender.numbered_names import numbered_names
from ...blender.scene_time import scene_fps
from ...connection import server
from ...export.edit_jobs import EditExportJob, EditImportJob
from ...export.farm_job import FarmJobExport
from ...export.movie_job import SUFFIXES, MovieJob, MovieOptions
from ...export.picture_job import PictureJob
from .common import (
    AsksForFile,
    NeedsFreePortrait,
    SaysWhyNot,
    active_portrait,
    has_window,
    report,
    scene_of,
    work_off,
)


class _WritesFile(AsksForFile):
    """Operators that ask where a file is to be written, and ask again before one is replaced."""

    check_existing: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filepath: StringProperty(name="File", description="Choose where it is written", subtype="FILE_PATH",
                             options={"SKIP_SAVE", *compat.path_options()})  # fmt: skip

    def suffix(self) -> str:
        """Of the file, with its dot."""
        raise NotImplementedError

    def check(self, context: bpy.types.Context) -> bool:
        """Blender calls it when a setting changes: the file's name follows the codec."""
        path = bpy.path.ensure_ext(str(Path(self.filepath).with_suffix("")), self.suffix())
        changed = bool(Path(self.filepath).name) and path != self.filepath
        if changed:
            self.filepath = path
        return changed

    def propose(self, name: str) -> None:
        """A name beside the .blend, where none was given."""
        if not self.filepath:
            self.filepath = bpy.path.abspath(f"//{bpy.path.clean_name(name)}{self.suffix()}")


def _file_of(text: str) -> Path:
    """Raises: PortraitError: SCENE where no file is named, or beside a .blend that was never saved."""
    if not text or (text.startswith("//") and not bpy.data.filepath):
        raise PortraitError(
            ErrorCode.SCENE, "It is not said where the file is.", "Give its whole path, or save the .blend first."
        )
    return Path(bpy.path.abspath(text))


class PORTRAIT_OT_export_movie(_WritesFile, NeedsFreePortrait, bpy.types.Operator):
    """Write the rendered frames as a movie, with the sequencer's sound"""

    bl_idname = "portrait.export_movie"
    bl_label = "Export Movie"

    filter_movie: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    codec: EnumProperty(
        name="Codec", description="Choose how the pictures are kept",
        items=(
            ("h264", "H.264", "Plays everywhere; without transparency"),
            ("prores4444", "ProRes 4444", "For editing; keeps the transparency of frames that were cut out"),
            ("dnxhr", "DNxHR HQX", "For editing; 10 bits, without transparency"),
        ),
        default="h264",
    )  # fmt: skip
    sound: BoolProperty(name="Sound", description="Mix in what the sequencer plays", default=True)
    timecode: StringProperty(
        name="Timecode", description="Of the first frame, such as 01:00:00:00; by the frame's number where empty"
    )

    def suffix(self) -> str:
        return SUFFIXES[self.codec]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.propose(active_portrait(context).lead.name)
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context).lead
        try:
            self.propose(portrait.name)
            if self.timecode:
                frame_of(self.timecode, exact_rate(scene_fps(scene_of(context))))
            options = MovieOptions(_file_of(self.filepath), self.codec, self.sound, self.timecode)
        except PortraitError as error:
            return report(self, error, portrait.uid)
        return work_off(self, context, MovieJob(portrait.uid, server.launch_plan(context), options))


class PORTRAIT_OT_export_picture(_WritesFile, NeedsFreePortrait, bpy.types.Operator):
    """Write the rendered frame that is seen now as a picture of its own, with Content Credentials"""

    bl_idname = "portrait.export_picture"
    bl_label = "Export Picture"

    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    kind: EnumProperty(
        name="Format", description="Choose what kind of picture it is",
        items=(
            (".png", "PNG", "Without loss; keeps the transparency of frames that were cut out"),
            (".jpg", "JPEG", "Small; without transparency"),
            (".tif", "TIFF", "Without loss; for print and for editing"),
        ),
    )  # fmt: skip

    def suffix(self) -> str:
        return self.kind

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self._propose(context)
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context).lead
        try:
            self._propose(context)
            path = _file_of(self.filepath)
        except PortraitError as error:
            return report(self, error, portrait.uid)
        return work_off(self, context, PictureJob(portrait.uid, server.launch_plan(context), path))

    def _propose(self, context: bpy.types.Context) -> None:
        self.propose(f"{active_portrait(context).lead.name}_{scene_of(context).frame_current:04d}")


class PORTRAIT_OT_export_job(AsksForFile, NeedsFreePortrait, bpy.types.Operator):
    """Write a folder from which other machines render the portrait's frames, without Blender and this file"""

    bl_idname = "portrait.export_job"
    bl_label = "Export Job"

    check_existing: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filepath: StringProperty(name="Folder", description="Choose a name for the job's new folder", subtype="FILE_PATH",
                             options={"SKIP_SAVE", *compat.path_options()})  # fmt: skip

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self._propose(context, active_portrait(context).lead.name)
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context).lead
        try:
            self._propose(context, portrait.name)
            folder = _file_of(self.filepath)
        except PortraitError as error:
            return report(self, error, portrait.uid)
        return work_off(self, context, FarmJobExport(portrait.uid, server.launch_plan(context), folder))

    def _propose(self, context: bpy.types.Context, name: str) -> None:
        """A name beside the .blend that is still free, where none was given; the browser's folder before the first save."""
        stem = f"{bpy.path.clean_name(name)}_job"
        if not self.filepath and bpy.data.filepath:
            paths = (bpy.path.abspath(f"//{free}") for free in numbered_names(stem))
            self.filepath = next(path for path in paths if not os.path.lexists(path))
        elif not self.filepath and has_window(context):
            self.filepath = stem


class PORTRAIT_OT_export_timeline(_WritesFile, SaysWhyNot, bpy.types.Operator):
    """Write the sequencer's edit for other programs, as OpenTimelineIO"""

    bl_idname = "portrait.export_timeline"
    bl_label = "Export Timeline"

    filter_glob: StringProperty(default="*.otio", options={"HIDDEN"})
    selected: BoolProperty(name="Selected Strips", description="Leave out strips that are not selected", default=False)

    def suffix(self) -> str:
        return ".otio"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "The sequencer is empty" if scene_of(context).sequence_editor is None else None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.propose(scene_of(context).name)
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            self.propose(scene_of(context).name)
            path = _file_of(self.filepath)
        except PortraitError as error:
            return report(self, error)
        plan = server.launch_plan(context)
        return work_off(self, context, EditExportJob(plan, scene_of(context), path, selected=self.selected))


class PORTRAIT_OT_import_timeline(AsksForFile, SaysWhyNot, bpy.types.Operator):
    """Put an edit of another program, as OpenTimelineIO, into the sequencer, above the strips that are there"""

    bl_idname = "portrait.import_timeline"
    bl_label = "Import Timeline"

    filepath: StringProperty(name="Timeline", description="Choose the file", subtype="FILE_PATH",
                             options={"SKIP_SAVE", *compat.path_options()})  # fmt: skip
    filter_glob: StringProperty(default="*.otio", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            path = _file_of(self.filepath)
        except PortraitError as error:
            return report(self, error)
        return work_off(self, context, EditImportJob(server.launch_plan(context), scene_of(context), path))


CLASSES = (
    PORTRAIT_OT_export_movie, PORTRAIT_OT_export_picture, PORTRAIT_OT_export_job, PORTRAIT_OT_export_timeline,
    PORTRAIT_OT_import_timeline,
)  # fmt: skip

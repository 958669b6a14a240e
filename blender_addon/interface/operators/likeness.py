# SPDX-License-Identifier: GPL-3.0-or-later
"""Further photos of a person, and tuning to them."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty
from portrait_shared.errors import PortraitError

from ...connection import server
from ...jobs.likeness_jobs import FurtherPhotosJob, TuneJob
from ...portraits import likeness, photo
from ...portraits.properties import PORTRAIT_PG_portrait
from .common import AsksForPicture, NeedsFreePortrait, OnPortrait, active_portrait, report, work_off


class PORTRAIT_OT_add_references(AsksForPicture, NeedsFreePortrait, OnPortrait, bpy.types.Operator):
    """Add further photos of the same person: the engine fewshot takes from them what the first one does not show"""

    bl_idname = "portrait.add_references"
    bl_label = "Add Photos"
    bl_options = {"UNDO"}

    filepath: StringProperty(name="Photo", description="Choose a photo", subtype="FILE_PATH", options={"SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_glob: StringProperty(default=photo.IMAGE_GLOB, options={"HIDDEN"})
    filter_image: BoolProperty(default=True, options={"HIDDEN"})

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        chosen = [Path(self.directory, file.name) for file in self.files if file.name]
        paths = [str(path) for path in chosen] or [self.filepath]
        unread: PortraitError | None = None
        known = 0
        for path in paths:
            try:
                known += likeness.add_photo(portrait, path) is None
            except PortraitError as error:  # the other photos are still of use
                unread = unread or error
        if known:
            self.report({"INFO"}, "A photo that is there already was left out")
        done = work_off(self, context, FurtherPhotosJob(portrait.uid, server.launch_plan(context)))
        return done if unread is None else report(self, unread, portrait.uid)


class PORTRAIT_OT_find_reference_faces(NeedsFreePortrait, OnPortrait, bpy.types.Operator):
    """Look for the face on the further photos that have none yet; until then they are not used"""

    bl_idname = "portrait.find_reference_faces"
    bl_label = "Find Faces"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        return work_off(self, context, FurtherPhotosJob(portrait.uid, server.launch_plan(context)))


class PORTRAIT_OT_remove_reference(NeedsFreePortrait, OnPortrait, bpy.types.Operator):
    """Leave the chosen photo out; its file stays"""

    bl_idname = "portrait.remove_reference"
    bl_label = "Remove Photo"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "There is no further photo" if not active_portrait(context).references else None

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        likeness.remove_photo(portrait, min(portrait.reference_index, len(portrait.references) - 1))
        return {"FINISHED"}


class PORTRAIT_OT_tune(NeedsFreePortrait, OnPortrait, bpy.types.Operator):
    """Tune the engine fewshot to this person, on all the photos: some minutes on a processor, and you may go on working"""

    bl_idname = "portrait.tune"
    bl_label = "Tune to Person"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        return work_off(self, context, TuneJob(portrait.uid, server.launch_plan(context)))


CLASSES = (
    PORTRAIT_OT_add_references, PORTRAIT_OT_find_reference_faces, PORTRAIT_OT_remove_reference, PORTRAIT_OT_tune,
)  # fmt: skip

# SPDX-License-Identifier: GPL-3.0-or-later
"""Add Portrait: a picture's plane, the landmarks found on it, and the rig."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.track import LandmarkTrack

from .. import job_queue, photo, portrait_parts, problems, server
from ..detect_job import DetectJob
from ..importers.track import import_track
from ..job import State
from ..sampling import check_rig
from .common import NeedsPortrait, active_portrait, has_window, portraits, report, scene_of


class PORTRAIT_OT_add(bpy.types.Operator):
    """Put a photograph or a painting on a plane, find its face, and give it a rig"""

    bl_idname = "portrait.add"
    bl_label = "Add Portrait"
    bl_options = {"UNDO"}

    filepath: StringProperty(name="Picture", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default=photo.IMAGE_GLOB, options={"HIDDEN"})
    face: IntProperty(
        name="Face", description="Which face of the photo, from 1 at its left; 0 for the largest", default=0, min=0
    )
    without_waiting: BoolProperty(
        description="Return before the face is found", default=False, options={"HIDDEN", "SKIP_SAVE"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        self.without_waiting = True
        self.filepath = ""  # Blender proposes the .blend's own name
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = scene_of(context)
        problems.forget("")
        try:
            portrait = portrait_parts.add(scene, self.filepath)
        except PortraitError as error:
            return report(self, error)
        portrait.face = self.face
        job = DetectJob(portrait.uid, server.launch_plan(context))
        if self.without_waiting:
            job_queue.submit(job)
            return {"FINISHED"}
        job_queue.run(job)
        if job.state is not State.DONE:
            portrait_parts.remove(scene, job.uid)
            error = job.error or PortraitError(ErrorCode.CANCELLED, "Finding the face was cancelled.")
            return report(self, error)
        if job.face_count > 1:
            self.report({"INFO"}, job.note)
        return {"FINISHED"}


class PORTRAIT_OT_find_face(NeedsPortrait, bpy.types.Operator):
    """Look for the face on the photo again"""

    bl_idname = "portrait.find_face"
    bl_label = "Find Face"

    face: IntProperty(
        name="Face", description="Which face of the photo, from 1 at its left; 0 for the largest", default=0, min=0
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context)
        portrait.face = self.face
        job = DetectJob(portrait.uid, server.launch_plan(context))
        if has_window(context):
            job_queue.submit(job)
            return {"FINISHED"}
        job_queue.run(job)
        return {"FINISHED"} if job.state is State.DONE else report(self, job.error, portrait.uid)


class PORTRAIT_OT_remove(NeedsPortrait, bpy.types.Operator):
    """Remove the portrait's plane, rig and strip; rendered frames stay on the disk"""

    bl_idname = "portrait.remove"
    bl_label = "Remove Portrait"
    bl_options = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        uid = active_portrait(context).uid
        job = job_queue.active_of(uid)
        if job is not None:
            job.cancel()
        portrait_parts.remove(scene_of(context), uid)
        held = portraits(context)
        held.active_index = min(held.active_index, len(held.items) - 1)
        return {"FINISHED"}


class PORTRAIT_OT_import_track(NeedsPortrait, bpy.types.Operator):
    """Key the rig with a landmark track (.npz) made for this photo"""

    bl_idname = "portrait.import_track"
    bl_label = "Import Landmark Track"
    bl_options = {"UNDO"}

    filepath: StringProperty(name="Track", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = active_portrait(context)
        try:
            check_rig(scene_of(context), portrait.rig)
            track = LandmarkTrack.load(bpy.path.abspath(self.filepath))
            import_track(portrait.rig, portrait.space, track)
        except PortraitError as error:
            return report(self, error, portrait.uid)
        self.report({"INFO"}, f"{len(track)} frames keyed")
        return {"FINISHED"}


CLASSES = (PORTRAIT_OT_add, PORTRAIT_OT_find_face, PORTRAIT_OT_remove, PORTRAIT_OT_import_track)

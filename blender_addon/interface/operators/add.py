# SPDX-License-Identifier: GPL-3.0-or-later
"""Add Portrait: a picture's plane, the landmarks found on it, and the rig."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.track import LandmarkTrack

from ...blender import problems
from ...blender.selection import select_only
from ...connection import preferences, server
from ...demo import acting
from ...demo.keying import animate
from ...importers.track import import_track
from ...jobs import job_queue
from ...jobs.detect_job import DetectJob
from ...jobs.job import JobState
from ...portraits import face_choice, free_place, photo, portrait_parts, viewport
from ...portraits.properties import PORTRAIT_PG_portrait
from ...preview import live_preview
from ...rig import key_notes
from ...rig.key_checks import check_animation
from ...rig.sampling import check_rig
from ...shots.source import MOVIE_GLOB, is_movie, of_file
from .common import (
    AsksForFile,
    AsksForPicture,
    NeedsIdle,
    NeedsPortrait,
    NeedsRig,
    OnEditableRig,
    OnPortrait,
    active_portrait,
    has_window,
    portraits,
    report,
    scene_of,
    tell,
    work_off,
)
from .shots import add_filmed

_FACE = {
    "name": "Face", "description": "Choose which face of the photo is meant: 0 takes the largest, 1 the first from the left", "default": 0,
    "min": 0, "options": {"SKIP_SAVE"},
}  # fmt: skip


class PORTRAIT_OT_add(AsksForPicture, bpy.types.Operator):
    """Put a photograph, a painting or a movie on a plane, find its face, and give it a rig"""

    bl_idname = "portrait.add"
    bl_label = "Add Portrait"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="Picture",
        description="Choose the file of the photo, the painting or the movie",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    filter_glob: StringProperty(default=f"{photo.IMAGE_GLOB};{MOVIE_GLOB}", options={"HIDDEN"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    face: IntProperty(**_FACE)
    choice: EnumProperty(**face_choice.CHOICE)
    every_face: BoolProperty(
        name="Every Face",
        description="Give each face of the picture a rig; else one has it, and the others can get theirs afterwards",
        default=False,
        options={"SKIP_SAVE"},
    )
    look_from_front: BoolProperty(
        name="Look From Front",
        description="Put the picture where nothing covers it, turn the 3D viewport squarely to it, and show its own colors",
        default=True,
    )
    by_hand: BoolProperty(
        name="Place Points by Hand",
        description="Look for no face: put its points onto the picture yourself, as for drawings, animals and statues",
        default=False,
        options={"SKIP_SAVE"},
    )
    without_waiting: BoolProperty(
        description="Return before the face is found", default=False, options={"HIDDEN", "SKIP_SAVE"}
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Beside the file browser's files."""
        column = self.layout.column()
        row = column.row()
        row.enabled = not self.every_face
        row.prop(self, "choice")
        column.prop(self, "every_face")
        column.prop(self, "look_from_front")
        column.prop(self, "by_hand")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if has_window(context):
            self.without_waiting = True
            self.filepath = ""  # Blender proposes the .blend's own name
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if is_movie(self.filepath):
            return add_filmed(self, context, lambda: of_file(self.filepath, 1), use_framerate=True)
        scene = scene_of(context)
        problems.forget("")
        try:
            portrait = portrait_parts.add(scene, self.filepath)
        except PortraitError as error:
            return report(self, error)
        portrait.face = self.face
        portrait.use_strip = preferences.of(context).use_strip
        context.view_layer.update()  # else a desktop Blender 5.2 does not count the new plane among its objects
        if portrait.plane.name in context.view_layer.objects:
            if self.look_from_front:
                self._make_room(context, portrait.plane)
            select_only(context.view_layer, portrait.plane)
        if self.look_from_front and has_window(context):
            viewport.look_in_window(context, portrait)
        if self.by_hand:
            if has_window(context):
                bpy.ops.portrait.place_points("INVOKE_DEFAULT")
            return {"FINISHED"}
        job = DetectJob(portrait.uid, server.launch_plan(context), every_face=self.every_face)
        if self.without_waiting:
            job_queue.submit(job)
            return {"FINISHED"}
        job_queue.run(job)
        if job.state is not JobState.DONE:
            portrait_parts.remove(scene, job.uid)
            error = job.error or PortraitError(ErrorCode.CANCELLED, "Finding the face was cancelled.")
            return report(self, error)
        if job.face_count > 1:
            self.report({"INFO"}, job.note)
        return {"FINISHED"}

    def _make_room(self, context: bpy.types.Context, plane: bpy.types.Object) -> None:
        covering = free_place.make_room(scene_of(context), context.view_layer, plane)
        if covering:
            self.report({"WARNING"}, f"“{covering[0]}” stands before the portrait: hide it, or press / on the numpad")


class _FindsFace(NeedsIdle, OnPortrait):
    """Operators that look for a face on the photo."""

    _again = False

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        portrait.face = self.face
        return work_off(self, context, DetectJob(portrait.uid, server.launch_plan(context), again=self._again))


class PORTRAIT_OT_find_face(_FindsFace, bpy.types.Operator):
    """Look for the face on the photo again"""

    bl_idname = "portrait.find_face"
    bl_label = "Find Face"

    face: IntProperty(**_FACE)


class PORTRAIT_OT_choose_face(NeedsRig, _FindsFace, bpy.types.Operator):
    """Put the rig on another face of the photo; keys and settings are kept"""

    bl_idname = "portrait.choose_face"
    bl_label = "Choose Another Face"

    face: IntProperty(**_FACE)
    choice: EnumProperty(**face_choice.CHOICE)
    _again = True

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.prop(self, "choice")

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        rig = active_portrait(context).rig
        return (
            "The rig is linked: choose the face in its own file"
            if rig.library is not None or rig.data.library is not None
            else None
        )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        self.face = active_portrait(context).face
        return context.window_manager.invoke_props_dialog(self)


class PORTRAIT_OT_remove(NeedsPortrait, bpy.types.Operator):
    """Remove the portrait's plane, rig and strip; rendered frames stay on the disk"""

    bl_idname = "portrait.remove"
    bl_label = "Remove Portrait"
    bl_options = {"UNDO"}

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        portrait = active_portrait(context)
        if portrait is not None and len(portrait.members) > 1:
            return "Remove this face's rig; the picture, its other faces and rendered frames stay"
        return ""  # the tooltip above

    def execute(self, context: bpy.types.Context) -> set[str]:
        held = portraits(context)
        uid, index = active_portrait(context).uid, held.list_index
        job = job_queue.active_of(uid)
        if job is not None:
            job.cancel()
        live_preview.stop(uid)
        portrait_parts.remove(scene_of(context), uid)
        held.choose(context, max(0, min(index, len(held.items) - 1)))
        return {"FINISHED"}


class PORTRAIT_OT_import_track(AsksForFile, OnPortrait, bpy.types.Operator):
    """Key the rig with a landmark track (.npz) made for this photo"""

    bl_idname = "portrait.import_track"
    bl_label = "Import Landmark Track"
    bl_options = {"UNDO"}

    filepath: StringProperty(
        name="Track", description="Choose the file of the track", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        check_rig(scene_of(context), portrait.rig)
        check_animation(portrait.rig)
        track = LandmarkTrack.load(bpy.path.abspath(self.filepath))
        first, last = track.frame_numbers[0], track.frame_numbers[-1]
        over_strips = key_notes.over_strips(portrait.rig, key_notes.face_paths(portrait.rig), first, last)
        import_track(portrait.rig, portrait.space, track)
        return tell(self, f"{len(track)} frames keyed", (*over_strips, *key_notes.of_rig(portrait.rig)))


class PORTRAIT_OT_demo_motion(OnEditableRig, bpy.types.Operator):
    """Key six seconds of acting onto the rig, to see the portrait move; the frames to render are set to it"""

    bl_idname = "portrait.demo_motion"
    bl_label = "Demo Motion"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        check_animation(portrait.rig)
        paths = key_notes.face_paths(portrait.rig)
        over_strips = key_notes.over_strips(portrait.rig, paths, acting.FIRST, acting.LAST)
        animate(portrait.rig)
        lead = portrait.lead
        lead.use_scene_range = False
        lead.frame_start, lead.frame_end = acting.FIRST, acting.LAST
        line = f"Frames {acting.FIRST} to {acting.LAST} are keyed; now render them"
        return tell(self, line, (*over_strips, *key_notes.of_rig(portrait.rig)))


CLASSES = (
    PORTRAIT_OT_add, PORTRAIT_OT_find_face, PORTRAIT_OT_choose_face, PORTRAIT_OT_remove, PORTRAIT_OT_import_track,
    PORTRAIT_OT_demo_motion,
)  # fmt: skip

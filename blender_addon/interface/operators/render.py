# SPDX-License-Identifier: GPL-3.0-or-later
"""Render Portrait: without blocking Blender from the panel, blocking from a script, over the same job."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty
from portrait_shared.errors import ErrorCode, PortraitError

from ...connection import server
from ...jobs import job_queue
from ...jobs.job import Job, JobState
from ...portraits import portrait_copies, sequencer
from ...render.ray_render_job import render_job
from ...render.render_job import RenderJob
from .common import NeedsFreePortrait, SaysWhyNot, active_portrait, has_window, report, scene_of, tell, work_off

_LOOK_SECONDS = 0.2


class _Render(NeedsFreePortrait):
    """Begins a render, and looks after it."""

    _again = False
    _job: Job | None = None
    _timer: bpy.types.Timer | None = None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        try:
            self._job = self._new_job(context)
        except PortraitError as error:
            return report(self, error)
        job_queue.submit(self._job)
        manager = context.window_manager
        self._timer = manager.event_timer_add(_LOOK_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self._job.active:
            self.cancel(context)
            return self._ended(self._job)
        return {"PASS_THROUGH"}  # also Esc, which a person means for playback, or for a tool that they are in

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender calls it when it ends the operator itself; the job goes on."""
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            job = self._new_job(context)
        except PortraitError as error:
            return report(self, error)
        job_queue.run(job)
        return self._ended(job)

    def _new_job(self, context: bpy.types.Context) -> RenderJob:
        portrait_copies.separate()  # a script may have copied the scene just now, and Blender told nobody yet
        portrait = active_portrait(context)
        if portrait is None:  # the scene was made with the settings of another, and has none of its own
            raise PortraitError(ErrorCode.SCENE, "The scene has no portrait.", "Add one.")
        return render_job(portrait.uid, server.launch_plan(context), again=self._again)

    def _ended(self, job: Job) -> set[str]:
        if job.state is JobState.DONE:
            return tell(self, job.note, job.notes)
        if job.state is JobState.CANCELLED:
            self.report({"WARNING"}, "Cancelled; render again to go on where it stopped")
            return {"CANCELLED"}
        return report(self, job.error, job.uid)


class PORTRAIT_OT_render(_Render, bpy.types.Operator):
    """Render the portrait's frames that are missing or have changed; those that are still valid are kept"""

    bl_idname = "portrait.render"
    bl_label = "Render Portrait"


class PORTRAIT_OT_render_again(_Render, bpy.types.Operator):
    """Render all of the portrait's frames anew, also those that are there and valid; asks first"""

    bl_idname = "portrait.render_again"
    bl_label = "Render All Again"

    _again = True
    _asked = False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        self._asked = True
        return context.window_manager.invoke_confirm(
            self, event, title="Render all frames again?", message="Those that are there and valid are replaced, too.",
            confirm_text="Render All Again",
        )  # fmt: skip

    def execute(self, context: bpy.types.Context) -> set[str]:
        """From a script, or once the question was answered: an operator that asked cannot stay, so the panel reports."""
        if not self._asked:
            return super().execute(context)
        try:
            job_queue.submit(self._new_job(context))
        except PortraitError as error:
            return report(self, error)
        return {"FINISHED"}


class PORTRAIT_OT_cancel(SaysWhyNot, bpy.types.Operator):
    """Stop all work on portraits; frames that are there are kept"""

    bl_idname = "portrait.cancel"
    bl_label = "Cancel"

    uid: StringProperty(
        description="Stop the work on this portrait alone; where none is named, all of it",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        if properties.is_property_set("uid"):
            return "Stop this work; frames that are there are kept, and other portraits that wait go on"
        return ""  # the tooltip above

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "Nothing is being worked on" if job_queue.current() is None else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = self.properties.is_property_set("uid")
        for job in job_queue.waiting():
            if not chosen or job.uid == self.uid:
                job.cancel()
        return {"FINISHED"}


class PORTRAIT_OT_redo_strip(SaysWhyNot, bpy.types.Operator):
    """Render the active strip's frames again with the settings that are kept on it"""

    bl_idname = "portrait.redo_strip"
    bl_label = "Render Strip Again"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        editor = scene_of(context).sequence_editor
        strip = editor.active_strip if editor is not None else None
        return (
            "Choose a strip that a portrait was rendered to"
            if strip is None or sequencer.PORTRAIT_KEY not in strip
            else None
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = scene_of(context)
        strip = scene.sequence_editor.active_strip
        held = scene.talking_portraits
        portrait = next((item for item in held.items if item.group_uid == strip[sequencer.PORTRAIT_KEY]), None)
        if portrait is None:
            return report(self, PortraitError(ErrorCode.SCENE, "The strip's portrait was removed.", "Add it again."))
        portrait.apply_settings(sequencer.settings_of(strip))
        held.choose(context, list(held.items).index(portrait))
        return work_off(self, context, render_job(portrait.uid, server.launch_plan(context)))


CLASSES = (PORTRAIT_OT_render, PORTRAIT_OT_render_again, PORTRAIT_OT_cancel, PORTRAIT_OT_redo_strip)

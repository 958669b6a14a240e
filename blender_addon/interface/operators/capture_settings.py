# SPDX-License-Identifier: GPL-3.0-or-later
"""What capture's operators share: their settings, where their source comes from, and how they run a job."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty
from portrait_shared.errors import ErrorCode, PortraitError

from ...capture import jobs, media_parts
from ...capture.takes import VideoOptions
from ...jobs import job_queue
from ...jobs.job import JobState
from .common import AsksForFile, has_window, report, scene_of, tell

_DIALOG_WIDTH = 360
_SHOWN = ("first_frame", "choice", "neutral", "neutral_frame", "onto", "smoothing", "expression", "head", "tolerance",
          "markers")  # fmt: skip


class KeySettings:
    """How captured values become keys."""

    tolerance: FloatProperty(
        name="Tolerance",
        description="Let a point be so far from where it was captured, in parts of the face's width; "
        "more gives fewer keys",
        subtype="PERCENTAGE", default=0.5, min=0.01, soft_max=3.0, max=20.0, precision=2,
    )  # fmt: skip

    def key_options(self) -> jobs.KeyOptions:
        return jobs.KeyOptions(self.tolerance)


class VideoSettings(KeySettings):
    """How a video's performance becomes the portrait's."""

    neutral: EnumProperty(
        name="Neutral",
        description="Choose which frame shows the performer's face at rest; all others are compared with it",
        items=(
            ("FIRST", "First Frame", "Take the first frame in which the face is seen"),
            ("AUTO", "Most Neutral", "Take the frame whose face is most at rest"),
            ("FRAME", "Chosen Frame", "Take a frame of the scene that you choose"),
        ),
    )
    neutral_frame: IntProperty(
        name="Neutral Frame", description="Choose the scene's frame that shows the performer's face at rest", default=1
    )
    onto: EnumProperty(
        name="Onto",
        description="Choose what gets the keys",
        items=(
            ("CONTROLS", "Controls and Points", "Key the face controls, and the points where these do not reach"),
            ("POINTS", "Points Only", "Key the 70 points alone"),
        ),
    )
    smoothing: FloatProperty(
        name="Smoothing", description="Take out so much of the trembling; blinks and speech are kept",
        default=1.0, min=0.0, max=1.0,
    )  # fmt: skip
    expression: FloatProperty(
        name="Expression",
        description="Strengthen or weaken the face's motion; 1 is as performed",
        default=1.0,
        min=0.0,
        soft_max=2.0,
        max=5.0,
    )
    head: FloatProperty(
        name="Head",
        description="Strengthen or weaken the head's motion; 1 is as performed",
        default=1.0,
        min=0.0,
        soft_max=2.0,
        max=5.0,
    )

    markers: BoolProperty(
        name="Mark Gaps", description="Put markers on the timeline where no face was seen, and at cuts", default=True
    )

    def draw(self, context: bpy.types.Context) -> None:
        """What the video is first, what becomes of it after; a neutral frame can be chosen where it counts alone."""
        column = self.layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        known = self.properties.bl_rna.properties
        for name in (name for name in _SHOWN if name in known):
            row = column.row()
            row.enabled = name != "neutral_frame" or self.neutral == "FRAME"
            row.prop(self, name)

    def key_options(self) -> jobs.KeyOptions:
        return jobs.KeyOptions(self.tolerance, self.markers)

    def video_options(self) -> VideoOptions:
        return VideoOptions(
            self.neutral, self.neutral_frame, self.onto == "CONTROLS", self.smoothing, self.expression, self.head
        )


def begin_at_current_frame(operator: Any, context: bpy.types.Context) -> None:
    """Where a performance of a file lands, unless another frame was asked for."""
    if not operator.properties.is_property_set("first_frame"):
        operator.first_frame = scene_of(context).frame_current


class InBackground:
    """Operators that let their job go on in the background where a person calls them in the program's window."""

    without_waiting: BoolProperty(
        description="Return before the capture is done", default=False, options={"HIDDEN", "SKIP_SAVE"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if has_window(context):
            self.without_waiting = True
        return super().invoke(context, event)


class FromFile(AsksForFile):
    """Operators that ask for the file of a performance, and where in the scene it begins."""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if has_window(context):
            self.filepath = ""  # Blender proposes the .blend's own name
            begin_at_current_frame(self, context)
        return super().invoke(context, event)

    def source(self, context: bpy.types.Context) -> media_parts.MediaPart:
        return media_parts.of_file(scene_of(context), self.filepath, self.first_frame)


class FromStrip:
    """Operators for the sequencer's active strip."""

    kinds: tuple[str, ...] = ()
    kind_words = ""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return (
            f"Make {cls.kind_words} of the sequencer active"
            if media_parts.active_strip(scene_of(context), cls.kinds) is None
            else None
        )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, width=_DIALOG_WIDTH)

    def source(self, context: bpy.types.Context) -> media_parts.MediaPart:
        scene = scene_of(context)
        return media_parts.of_strip(scene, media_parts.active_strip(scene, self.kinds))


def run_job(operator: Any, context: bpy.types.Context, job: Any) -> set[str]:
    """In the background, or to the end and with the outcome in words."""
    if operator.without_waiting:
        job_queue.submit(job)
        return {"FINISHED"}
    job_queue.run(job)
    if job.state is JobState.DONE:
        if has_window(context):
            bpy.ops.ed.undo_push(message=operator.bl_label)
        return tell(operator, job.report.line, job.report.notes)
    return report(operator, job.error or PortraitError(ErrorCode.CANCELLED, "Cancelled."), job.uid)

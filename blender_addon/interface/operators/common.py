# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operators share: which portrait is meant, whether there is a window, errors in words."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
from bpy.props import BoolProperty, EnumProperty
from portrait_shared.errors import ErrorCode, PortraitError

from ...blender import compat, problems
from ...connection import server
from ...jobs import job_queue
from ...jobs.job import Job, JobState
from ...portraits.properties import PORTRAIT_PG_portrait
from ...portraits.scene_portraits import PORTRAIT_PG_portraits, portraits_of
from ...rig.sampling import check_rig


def scene_of(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose portraits the editor under the mouse shows."""
    area = context.area
    if area is not None and area.type == "SEQUENCE_EDITOR":
        return compat.sequencer_scene(context)
    return context.scene


def portraits(context: bpy.types.Context) -> PORTRAIT_PG_portraits:
    return portraits_of(scene_of(context))


def active_portrait(context: bpy.types.Context) -> PORTRAIT_PG_portrait | None:
    """The portrait whose plane or rig is active, else the one chosen in the list."""
    return portraits(context).meant(context.view_layer)


def has_window(context: bpy.types.Context) -> bool:
    """Whether timers tick and modal operators run."""
    return not bpy.app.background and context.window is not None


def report(operator: bpy.types.Operator, error: PortraitError, uid: str = "") -> set[str]:
    """Says what is wrong, keeps it for the panel, and ends the operator."""
    problems.keep(uid, error)
    operator.report({"ERROR"}, str(error))
    return {"CANCELLED"}


def tell(operator: bpy.types.Operator, line: str, notes: Iterable[str]) -> set[str]:
    """Says what was done, then what the user should know of it as warnings, and ends the operator."""
    operator.report({"INFO"}, line)
    for note in notes:
        operator.report({"WARNING"}, note)
    return {"FINISHED"}


def work_off(operator: bpy.types.Operator, context: bpy.types.Context, job: Job) -> set[str]:
    """Works a job off: in the background where there is a window, else to its end, with its outcome in words."""
    if has_window(context):
        job_queue.submit(job)
        return {"FINISHED"}
    job_queue.run(job)
    if job.state is not JobState.DONE:
        return report(operator, job.error or PortraitError(ErrorCode.CANCELLED, "Cancelled."), job.uid)
    return tell(operator, job.note, job.notes)


class SaysWhyNot:
    """Operators that are greyed out where something is in their way, with a sentence that says what."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        """What is in the way, as a tooltip says it; None where nothing is."""
        return None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        obstacle = cls.obstacle(context)
        if obstacle is not None:
            cls.poll_message_set(obstacle)
        return obstacle is None


class NeedsPortrait(SaysWhyNot):
    """Operators for the active portrait."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "Add a portrait first" if active_portrait(context) is None else None


class NeedsFace(NeedsPortrait):
    """Operators for a portrait whose face was found."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "The portrait has no face yet" if active_portrait(context).detected_points is None else None


class NeedsIdle(NeedsPortrait):
    """Operators for a portrait on which nothing works now."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return (
            "The portrait is being worked on" if job_queue.active_of(active_portrait(context).uid) is not None else None
        )


class NeedsFreePortrait(NeedsIdle, NeedsFace):
    """Operators for a portrait with a face, on which nothing works now."""


class NeedsRig(NeedsPortrait):
    """Operators for a portrait that has a rig."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "The portrait has no rig yet: find its face first" if active_portrait(context).rig is None else None


class NeedsFreeRig(NeedsIdle, NeedsRig):
    """Operators for a portrait with a rig, on which nothing works now."""


class NeedsEditableRig(NeedsRig):
    """Operators that change the rig, which they cannot where it is linked without an override."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return (
            "The rig is linked: make a library override of it first"
            if active_portrait(context).rig.library is not None
            else None
        )


class OnPortrait(NeedsPortrait):
    """Operators that do their `work` on the active portrait; its errors are put into words."""

    def execute(self, context: bpy.types.Context) -> set[str]:
        portrait = self.meant(context)
        uid = portrait.uid
        try:
            self.check_ready(context, portrait)
            return self.work(context, portrait)
        except PortraitError as error:
            return report(self, error, uid)

    def meant(self, context: bpy.types.Context) -> PORTRAIT_PG_portrait:
        """The portrait that the operator works on."""
        return active_portrait(context)

    def check_ready(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> None:
        """Raises PortraitError where `work` is not to begin."""

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        """What the operator does; returns what Blender's `execute` is to return."""
        raise NotImplementedError


class OnPhoto(OnPortrait):
    """Operators that do their `work` on what all portraits of the active one's photo share: on the leading one."""

    def meant(self, context: bpy.types.Context) -> PORTRAIT_PG_portrait:
        return active_portrait(context).lead


class OnRig(NeedsRig, OnPortrait):
    """Operators that do their `work` on a rig which has all its bones."""

    def check_ready(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> None:
        check_rig(scene_of(context), portrait.rig)


class OnEditableRig(NeedsEditableRig, OnRig):
    """Operators that change the rig."""


class AsksForFile:
    """Operators that open the file browser where there is a window."""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class AsksForPicture(AsksForFile):
    """Operators that open the file browser for a photo, which the server may have to read."""

    display_type: EnumProperty(
        # Blender reads the number, not the name: they are those of the file browser's own setting.
        items=(
            ("DEFAULT", "Default", "Show the files as last time", "", 0),
            ("THUMBNAIL", "Thumbnails", "Show small pictures", "", 3),
        ),
        default="THUMBNAIL", options={"HIDDEN", "SKIP_SAVE"},
    )  # fmt: skip
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if has_window(context):
            server.warm_up(server.launch_plan(context))  # while the file is being chosen
        return super().invoke(context, event)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Live performances: the rig follows or shows its keys, takes are recorded, kept and thrown away."""

from __future__ import annotations

import math

import bpy
from bpy.props import BoolProperty, StringProperty

from ...blender import problems
from ...blender.problems import SceneError
from ...live import keep, kept_takes, sessions
from ...live.playback import window_of
from ...live.session import LiveSession
from ...portraits.properties import PORTRAIT_PG_portrait
from .common import (
    NeedsEditableRig,
    NeedsFreeRig,
    NeedsPortrait,
    OnPortrait,
    OnRig,
    active_portrait,
    has_window,
    scene_of,
    tell,
)


def session_of(context: bpy.types.Context) -> LiveSession | None:
    """What drives the active portrait."""
    portrait = active_portrait(context)
    return sessions.of(portrait.uid) if portrait is not None else None


class _NeedsSession(NeedsPortrait):
    """Operators for a portrait that something drives."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "Connect a phone, a camera or a controller first" if session_of(context) is None else None


class _NeedsTake(NeedsPortrait):
    """Operators for the chosen take."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "Record a take first" if active_portrait(context).live.chosen is None else None


class PORTRAIT_OT_disconnect_live(_NeedsSession, OnPortrait, bpy.types.Operator):
    """Stop listening; the rig is as it was before, and what was recorded stays"""

    bl_idname = "portrait.disconnect_live"
    bl_label = "Disconnect"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        sessions.disconnect(portrait.uid)
        return {"FINISHED"}


class PORTRAIT_OT_choose_sender(_NeedsSession, OnPortrait, bpy.types.Operator):
    """Listen to this one of several phones that send"""

    bl_idname = "portrait.choose_sender"
    bl_label = "Choose Phone"

    title: StringProperty(name="Source", description="Tell which source is meant", options={"HIDDEN", "SKIP_SAVE"})
    choice: StringProperty(name="Phone", description="Tell which of its phones is meant", options={"SKIP_SAVE"})

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        source = sessions.of(portrait.uid).sources.get(self.title)
        if source is None or self.choice not in getattr(source, "choices", ()):
            raise SceneError("That phone does not send any more.", "Choose one of those in the list.")
        source.choose(self.choice)
        return {"FINISHED"}


class PORTRAIT_OT_set_neutral(_NeedsSession, OnPortrait, bpy.types.Operator):
    """Take the performer, as seen now, for a face at rest that looks straight ahead"""

    bl_idname = "portrait.set_neutral"
    bl_label = "Set Neutral"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        if not sessions.of(portrait.uid).set_neutral():
            raise SceneError("Nobody is seen yet.", "Look into the phone or the camera, then press it again.")
        return {"FINISHED"}


class PORTRAIT_OT_follow_live(_NeedsSession, OnPortrait, bpy.types.Operator):
    """Let the rig follow the performer, or show its keys"""

    bl_idname = "portrait.follow_live"
    bl_label = "Follow"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        sessions.drive(portrait.uid, not sessions.of(portrait.uid).drives)
        return {"FINISHED"}


class PORTRAIT_OT_record_live(_NeedsSession, NeedsEditableRig, OnRig, bpy.types.Operator):
    """Record a take from the current frame on; Escape or the same button ends it"""

    bl_idname = "portrait.record_live"
    bl_label = "Record"

    again: BoolProperty(
        name="Again",
        description="Begin where the chosen take begins, instead of on the current frame",
        default=False, options={"SKIP_SAVE"},
    )  # fmt: skip

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "A take is being recorded" if session_of(context).recorder is not None else None

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        scene = scene_of(context)
        take = portrait.live.chosen
        if self.again and take is None:
            raise SceneError("There is no take to record again.", "Record a take first.")
        frame = math.ceil(take.first) if self.again else scene.frame_current
        plays = portrait.live.play and window_of(scene) is not None
        sessions.record(scene, portrait, frame, plays)
        problems.forget(portrait.uid)
        if not has_window(context):
            return {"FINISHED"}
        self._uid = portrait.uid
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Waits for Escape, and lets all else through."""
        session = sessions.of(self._uid)
        if session is None or session.recorder is None:
            return {"FINISHED"}
        if event.type == "ESC" and event.value == "PRESS":
            sessions.stop_recording(self._uid)
            return {"FINISHED"}
        return {"PASS_THROUGH"}


class PORTRAIT_OT_stop_recording(_NeedsSession, OnPortrait, bpy.types.Operator):
    """End the recording; the take is put into the list"""

    bl_idname = "portrait.stop_recording"
    bl_label = "Stop Recording"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "Nothing is being recorded" if session_of(context).recorder is None else None

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        sessions.stop_recording(portrait.uid)
        return tell(self, sessions.of(portrait.uid).last_note, ())


class PORTRAIT_OT_keep_take(_NeedsTake, NeedsFreeRig, NeedsEditableRig, OnRig, bpy.types.Operator):
    """Set keys from the chosen take, in place of those that are there; the action of before stays in the file"""

    bl_idname = "portrait.keep_take"
    bl_label = "Keep Take"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        done = keep.keep(scene_of(context), portrait, portrait.live.chosen)
        problems.forget(portrait.uid)
        return tell(self, done.line, done.notes)


class PORTRAIT_OT_discard_take(_NeedsTake, OnPortrait, bpy.types.Operator):
    """Throw the chosen take away; keys that were made of it stay"""

    bl_idname = "portrait.discard_take"
    bl_label = "Discard Take"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        kept_takes.discard(portrait, portrait.live.chosen)
        return {"FINISHED"}


CLASSES = (
    PORTRAIT_OT_disconnect_live, PORTRAIT_OT_choose_sender, PORTRAIT_OT_set_neutral,
    PORTRAIT_OT_follow_live, PORTRAIT_OT_record_live, PORTRAIT_OT_stop_recording, PORTRAIT_OT_keep_take,
    PORTRAIT_OT_discard_take,
)  # fmt: skip

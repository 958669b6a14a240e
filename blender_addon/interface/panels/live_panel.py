# SPDX-License-Identifier: GPL-3.0-or-later
"""The section “Live Performance” of the section “Capture”: what is connected, recording, and the takes."""

from __future__ import annotations

import time

import bpy

from ...live import kept_takes
from ...live.controls import TITLE
from ...live.recorder import Phase, Recorder
from ...live.session import LiveSession
from ...portraits.live_takes import PORTRAIT_PG_live
from ..operators.common import active_portrait
from ..operators.live import session_of
from . import camera_row, control_list, sections
from .placement import ForRig, InSequencer, InView3D


class PORTRAIT_UL_takes(bpy.types.UIList):
    """A portrait's takes."""

    def draw_item(
        self, context: bpy.types.Context, layout: bpy.types.UILayout, data: bpy.types.AnyType,
        item: bpy.types.AnyType, icon: int, active_data: bpy.types.AnyType, active_property: str,
    ) -> None:  # fmt: skip
        row = layout.row(align=True)
        row.prop(item, "name", text="", emboss=False, icon="CHECKMARK" if item.is_kept else "DOT")
        row.label(text=kept_takes.line(item))


def draw_sources(layout: bpy.types.UILayout, context: bpy.types.Context, session: LiveSession | None) -> None:
    """Ways to connect, and how each source is doing."""
    live = active_portrait(context).live
    connected = session.sources if session is not None else {}
    if "Phone" not in connected:
        row = layout.row(align=True)
        row.operator("portrait.connect_phone", icon="URL")
        row.prop(live, "port", text="")
        layout.prop(live, "phone_address")
    if "Webcam" not in connected:
        camera_row.draw_camera(layout, context)
    if TITLE not in connected:
        layout.operator("portrait.connect_controller", icon="TOOL_SETTINGS")
    if session is None:
        return
    for source in session.sources.values():
        box = layout.box()
        box.label(text=source.title, icon="URL")
        sections.draw_text(box, context, source.line, "INFO", lines=3)
        if source.problem:
            sections.draw_text(box, context, source.problem, "ERROR", lines=3)
        for choice in getattr(source, "choices", ()):
            button = box.operator("portrait.choose_sender", text=choice, icon="RESTRICT_SELECT_OFF")
            button.title, button.choice = source.title, choice
        if source.title == TITLE:
            control_list.draw_controls(box, context)
    if session.hint:
        sections.draw_text(layout, context, session.hint, "USER", lines=2)
    row = layout.row(align=True)
    row.operator("portrait.follow_live", icon="PLAY", depress=session.drives)
    row.operator("portrait.set_neutral", icon="HIDE_OFF")
    row.operator("portrait.disconnect_live", text="", icon="X")
    row = layout.row(align=True)
    row.prop(live, "use_face", toggle=True)
    row.prop(live, "use_head", toggle=True)


def draw_recording(layout: bpy.types.UILayout, context: bpy.types.Context, session: LiveSession) -> None:
    """The button, and what it needs to know."""
    live = active_portrait(context).live
    recorder = session.recorder
    if recorder is not None:
        row = layout.row()
        row.alert = True
        row.scale_y = 1.5
        row.operator("portrait.stop_recording", icon="SNAP_FACE")
        layout.label(text=state_line(recorder), icon="REC")
        return
    row = layout.row()
    row.scale_y = 1.5
    row.operator("portrait.record_live", icon="REC").again = False
    if session.last_note:
        sections.draw_text(layout, context, session.last_note, "INFO", lines=3)
    column = layout.column(align=True)
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(live, "play")
    row = column.row(align=True)
    row.active = live.play
    row.prop(live, "pre_roll")
    column.prop(live, "past_end")
    column.prop(live, "count_in")
    column.prop(live, "tempo")
    column.prop(live, "delay_ms")


def state_line(recorder: Recorder) -> str:
    """How a recording is doing."""
    now = time.monotonic()
    if recorder.phase is Phase.COUNTING:
        return f"Begins in {recorder.beats_left(now)}"
    if recorder.phase is Phase.ROLLING:
        return f"Plays up to frame {recorder.plan.frame}"
    return f"Records: {recorder.seconds(now):.0f} s, {recorder.samples} samples"


def draw_takes(layout: bpy.types.UILayout, live: PORTRAIT_PG_live, connected: bool) -> None:
    """The list, and what becomes of the chosen take."""
    if not len(live.takes):
        return
    layout.template_list("PORTRAIT_UL_takes", "", live, "takes", live, "take_index", rows=3)
    row = layout.row(align=True)
    row.operator("portrait.keep_take", icon="KEYFRAME_HLT")
    if connected:
        row.operator("portrait.record_live", text="Again", icon="FILE_REFRESH").again = True
    row.operator("portrait.discard_take", text="", icon="TRASH")
    column = layout.column(align=True)
    column.use_property_split, column.use_property_decorate = True, False
    for name in ("placing", "blend", "smoothing", "expression", "head", "tolerance"):
        column.prop(live, name)
        if name == "placing" and live.placing == "TIMECODE":
            column.prop(live, "start_timecode")


class _Live(ForRig):
    bl_label = "Live Performance"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        session = session_of(context)
        draw_sources(self.layout, context, session)
        if session is not None:
            draw_recording(self.layout, context, session)
        draw_takes(self.layout, active_portrait(context).live, session is not None)


class PORTRAIT_PT_live(InView3D, _Live, bpy.types.Panel):
    """Live performances onto the active portrait."""

    bl_parent_id = "PORTRAIT_PT_capture"


class PORTRAIT_PT_sequencer_live(InSequencer, _Live, bpy.types.Panel):
    """Live performances onto the active portrait."""

    bl_parent_id = "PORTRAIT_PT_sequencer_capture"


CLASSES = (*control_list.CLASSES, PORTRAIT_UL_takes, PORTRAIT_PT_live, PORTRAIT_PT_sequencer_live)

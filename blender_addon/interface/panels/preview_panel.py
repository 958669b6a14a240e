# SPDX-License-Identifier: GPL-3.0-or-later
"""The live preview's switch, and what became of the frames."""

from __future__ import annotations

import bpy

from ...preview import air_outputs, live_preview, on_air
from ...render import frame_states, recognition
from ..operators.common import active_portrait, portraits
from . import sections
from .placement import ForFace, InSequencer, InView3D


def draw_preview(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The switch, its size, and how it is doing."""
    portrait = active_portrait(context)
    preview = live_preview.of(portrait.uid)
    row = layout.row(align=True)
    row.operator("portrait.preview", icon="PAUSE" if preview is not None else "PLAY",
                 text="Stop Preview" if preview is not None else "Live Preview", depress=preview is not None)  # fmt: skip
    row.prop(portrait.lead, "preview_size", text="")
    line = preview.line if preview is not None else "Off"
    icon = "INFO" if preview is None or preview.trouble is None else "ERROR"
    sections.draw_text(layout, context, line, icon, lines=1)


def draw_air(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The switches that put the preview on air, greyed with the reason where one cannot, and how those on air are doing."""
    lead = active_portrait(context).lead
    row = layout.row(align=True)
    for to, operator in (("virtual-camera", "portrait.virtual_camera"), ("ndi", "portrait.ndi")):
        air = on_air.of(lead.uid, to)
        row.operator(operator, depress=air is not None and not air.ended, text=air_outputs.OUTPUTS[to])
    row.operator("portrait.find_outputs", text="", icon="FILE_REFRESH")
    for to in air_outputs.OUTPUTS:
        air = on_air.of(lead.uid, to)
        if air is not None:
            sections.draw_text(layout, context, air.line, "ERROR" if air.problem else "REC", lines=3)


def draw_states(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How many frames are in which state, and whether they show the person."""
    portrait = active_portrait(context)
    sections.draw_text(layout, context, frame_states.line(portrait.uid), "RENDERLAYERS", lines=2)
    found = frame_states.of(portrait.uid).identity
    line = recognition.line(portrait.lead.uid) or ("Likeness: not checked" if found is None else found.in_words)
    sections.draw_text(layout, context, line, "USER", lines=3)
    layout.prop(portraits(context), "show_states")


class _Preview(ForFace):
    bl_label = "Preview and Frames"
    bl_order = 40

    def draw(self, context: bpy.types.Context) -> None:
        draw_preview(self.layout, context)
        draw_air(self.layout, context)
        draw_states(self.layout, context)


class PORTRAIT_PT_preview(InView3D, _Preview, bpy.types.Panel):
    """The live preview and the frames, in the 3D view."""


class PORTRAIT_PT_sequencer_preview(InSequencer, _Preview, bpy.types.Panel):
    """The live preview and the frames, in the sequencer."""


CLASSES = (PORTRAIT_PT_preview, PORTRAIT_PT_sequencer_preview)

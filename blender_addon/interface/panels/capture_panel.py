# SPDX-License-Identifier: GPL-3.0-or-later
"""The section “Capture”: where a performance comes from, and fewer keys."""

from __future__ import annotations

import bpy

from .placement import ForFace, InSequencer, InView3D


def draw_capture(layout: bpy.types.UILayout, context: bpy.types.Context, in_sequencer: bool) -> None:
    column = layout.column(align=True)
    if in_sequencer:
        column.operator("portrait.capture_movie_strip", icon="SEQ_SEQUENCER")
        column.operator("portrait.capture_sound_strip", icon="SOUND")
        column.separator()
    column.operator("portrait.capture_video", icon="FILE_MOVIE")
    column.operator("portrait.import_live_link", icon="IMPORT")
    column.operator("portrait.capture_speech", icon="PLAY_SOUND")
    column = layout.column(align=True)
    column.operator("portrait.adjust_capture", icon="PREFERENCES")
    column.operator("portrait.clean_keys", icon="KEYFRAME")


class _Capture(ForFace):
    bl_label = "Capture"
    bl_order = 20
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        draw_capture(self.layout, context, self.bl_space_type == "SEQUENCE_EDITOR")


class PORTRAIT_PT_capture(InView3D, _Capture, bpy.types.Panel):
    """Performances onto the active portrait."""


class PORTRAIT_PT_sequencer_capture(InSequencer, _Capture, bpy.types.Panel):
    """Performances onto the active portrait."""


CLASSES = (PORTRAIT_PT_capture, PORTRAIT_PT_sequencer_capture)

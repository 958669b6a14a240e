# SPDX-License-Identifier: GPL-3.0-or-later
"""The section “Shot”: what was filmed, and what of it gives way to the rig."""

from __future__ import annotations

import bpy
from portrait_shared.performance import REPLACEABLE

from ...blender.scene_time import scene_fps
from ...jobs import job_queue
from ...portraits.properties import PORTRAIT_PG_portrait
from ...rig.replaced_sliders import LABELS
from ..operators.common import active_portrait, scene_of
from .placement import InSequencer, InView3D
from .sections import draw_text

_SAME_RATE = 0.01


def draw_shot(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Where the shot lies, its sliders, and what can be done with it."""
    portrait = active_portrait(context)
    shot = portrait.shot
    last = shot.start + shot.count - 1
    draw_text(layout, context, f"{shot.file.name}: {shot.count} frames at {shot.fps:.6g} fps, {shot.start} to {last}.",
              "FILE_MOVIE")  # fmt: skip
    if abs(scene_fps(scene_of(context)) - shot.fps) > _SAME_RATE:
        draw_text(layout, context, f"The scene plays {scene_fps(scene_of(context)):.6g} frames a second.", "INFO")
        layout.operator("portrait.use_shot_rate", icon="TIME")
    if portrait.rig is None:
        row = layout.row(align=True)
        row.enabled = job_queue.active_of(portrait.uid) is None
        row.prop(portrait, "face_choice", text="")
        row.operator("portrait.find_points", text="Find Points", icon="VIEWZOOM")
        return
    column = layout.column(align=True)
    for name, label in zip(REPLACEABLE, LABELS, strict=True):
        if name in portrait.rig:
            column.prop(portrait.rig, f'["{name}"]', text=label, slider=True)
    layout.operator("portrait.take_out_blink", icon="HIDE_OFF")
    row = layout.row(align=True)
    row.operator("portrait.find_points", icon="VIEWZOOM")
    row.operator("portrait.relocate_shot", icon="FILE_FOLDER")


class _Shot:
    bl_label = "Shot"
    bl_order = 8

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        portrait: PORTRAIT_PG_portrait | None = active_portrait(context)
        return portrait is not None and portrait.shot.is_filmed

    def draw(self, context: bpy.types.Context) -> None:
        draw_shot(self.layout, context)


class PORTRAIT_PT_shot(InView3D, _Shot, bpy.types.Panel):
    """The filmed shot, in the 3D view."""


class PORTRAIT_PT_sequencer_shot(InSequencer, _Shot, bpy.types.Panel):
    """The filmed shot, in the sequencer."""


CLASSES = (PORTRAIT_PT_shot, PORTRAIT_PT_sequencer_shot)

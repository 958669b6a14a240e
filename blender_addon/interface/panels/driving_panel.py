# SPDX-License-Identifier: GPL-3.0-or-later
"""The section “Drive from Another Rig”: what drives what, from where it is seen, its rest, and baking."""

from __future__ import annotations

from typing import Final

import bpy

from ...driving import mechanism, sliders, sources
from ..operators.common import active_portrait, scene_of
from .placement import ForRig, InSequencer, InView3D
from .sections import draw_text

_PROBLEMS_SHOWN: Final = 3


class PORTRAIT_UL_drivers(bpy.types.UIList):
    """What drives the portrait."""

    def draw_item(
        self, context: bpy.types.Context, layout: bpy.types.UILayout, data: bpy.types.AnyType,
        item: bpy.types.AnyType, icon: int, active_data: bpy.types.AnyType, active_property: str,
    ) -> None:  # fmt: skip
        split = layout.split(factor=0.4)
        split.label(text=item.target.replace("_", " "))
        bound = item.source is not None and mechanism.is_bound(data, item)
        split.label(text=sources.label(data, item), icon="LINKED" if bound else "UNLINKED")


def draw_driving(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    portrait = active_portrait(context)
    driving = portrait.driving
    row = layout.row(align=True)
    row.operator("portrait.map_by_name", icon="SORTALPHA")
    row.operator("portrait.map_picked", icon="RESTRICT_SELECT_OFF")
    if driving.entries:
        _draw_entries(layout, context, portrait)
    layout.operator("portrait.drive_sliders", icon="SHAPEKEY_DATA")
    driven = len(sliders.driven_sliders(portrait.rig))
    if driving.face is not None or driven:
        layout.prop(driving, "enabled")
        layout.operator("portrait.bake_drivers", icon="KEYTYPE_KEYFRAME_VEC")
        layout.operator("portrait.clear_drivers", icon="X")
    if driven:
        layout.label(text=sliders.told(driven), icon="DRIVER")
    if driving.entries:
        _draw_problems(layout, context, portrait)


def _draw_entries(layout: bpy.types.UILayout, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> None:
    driving = portrait.driving
    row = layout.row()
    row.template_list("PORTRAIT_UL_drivers", "", driving, "entries", driving, "active_index", rows=4)
    row.operator("portrait.remove_driver", text="", icon="REMOVE")
    if driving.active_index < len(driving.entries):
        entry = driving.entries[driving.active_index]
        if entry.kind == "BONE":
            layout.prop(entry, "along")
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(driving, "view")
    if driving.view == "PLANE":
        column.prop(driving, "plane")
    column.prop(driving, "automatic_scale")
    if not driving.automatic_scale:
        column.prop(driving, "scale")
    column.prop(driving, "separate_head")
    layout.operator("portrait.set_driver_rest", icon="ARMATURE_DATA")
    told = f"At rest on frame {driving.rest_frame}" if driving.face is not None else "No rest yet"
    layout.label(text=told, icon="TIME")


def _draw_problems(layout: bpy.types.UILayout, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> None:
    """Last, so that they push no button away."""
    driving = portrait.driving
    found = sources.problems(scene_of(context), portrait)
    waiting = sum(not mechanism.is_bound(driving, entry) for entry in driving.entries) - len(found)
    if waiting > 0:
        words = f"{waiting} drivers wait" if waiting > 1 else "1 driver waits"
        draw_text(layout, context, f"{words} for Set Rest.", "INFO")
    for problem in found[:_PROBLEMS_SHOWN]:
        draw_text(layout, context, f"{problem.message} {problem.remedy}", "ERROR")
    if found:
        more = f" ({len(found)} in all)" if len(found) > _PROBLEMS_SHOWN else ""
        layout.operator("portrait.check_drivers", text=f"Check Drivers{more}")


class _Driving(ForRig):
    bl_label = "Drive from Another Rig"
    bl_order = 30
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        draw_driving(self.layout, context)


class PORTRAIT_PT_driving(InView3D, _Driving, bpy.types.Panel):
    """Empties, bones, vertices and shape keys that move the active portrait."""


class PORTRAIT_PT_sequencer_driving(InSequencer, _Driving, bpy.types.Panel):
    """Empties, bones, vertices and shape keys that move the active portrait."""


CLASSES = (PORTRAIT_UL_drivers, PORTRAIT_PT_driving, PORTRAIT_PT_sequencer_driving)

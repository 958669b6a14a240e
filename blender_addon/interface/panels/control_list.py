# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of controls and what they move, and the settings of the chosen one."""

from __future__ import annotations

import bpy

from ...rig.control_targets import target_of
from ..operators.common import active_portrait
from ..operators.controls import controls_of


class PORTRAIT_UL_controls(bpy.types.UIList):
    """A portrait's controls."""

    def draw_item(
        self, context: bpy.types.Context, layout: bpy.types.UILayout, data: bpy.types.AnyType,
        item: bpy.types.AnyType, icon: int, active_data: bpy.types.AnyType, active_property: str,
    ) -> None:  # fmt: skip
        split = layout.split(factor=0.45)
        split.label(text=item.control or "no control yet", icon="DECORATE_DRIVER")
        target = target_of(item.target)
        split.label(text=item.target or "nothing yet", icon="NONE" if target is not None else "ERROR")


def draw_controls(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The list, with its buttons beside it, and the chosen row."""
    portrait = active_portrait(context)
    live, controls = portrait.live, controls_of(portrait)
    row = layout.row()
    row.template_list("PORTRAIT_UL_controls", "", live, "controls", live, "control_index", rows=4)
    column = row.column(align=True)
    column.operator("portrait.add_control", text="", icon="ADD")
    column.operator("portrait.remove_control", text="", icon="REMOVE")
    column.operator_menu_enum("portrait.use_controls", "preset", text="", icon="PRESET")
    chosen = live.chosen_control
    if chosen is None:
        return
    waits = controls is not None and controls.learning == live.control_index
    layout.operator(
        "portrait.learn_control", text="Move a Control …" if waits else "Learn", icon="EYEDROPPER", depress=waits
    )
    column = layout.column(align=True)
    column.use_property_split, column.use_property_decorate = True, False
    for name in ("target", "control", "device", "low", "high", "invert", "dead_zone", "curve", "ease"):
        column.prop(chosen, name)


CLASSES = (PORTRAIT_UL_controls,)

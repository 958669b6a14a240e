# SPDX-License-Identifier: GPL-3.0-or-later
"""The section “Likeness”: further photos of the person, and the tuning to them."""

from __future__ import annotations

from typing import Final

import bpy

from ...connection import server
from ...jobs import job_queue
from ...portraits.properties import PORTRAIT_PG_portrait
from ..operators.common import active_portrait
from .placement import ForFace, InSequencer, InView3D
from .sections import draw_text

_FIRST_PHOTO_ALONE: Final = "warp"


class PORTRAIT_UL_references(bpy.types.UIList):
    """The further photos."""

    def draw_item(
        self, context: bpy.types.Context, layout: bpy.types.UILayout, data: bpy.types.AnyType,
        item: bpy.types.AnyType, icon: int, active_data: bpy.types.AnyType, active_property: str,
    ) -> None:  # fmt: skip
        found = bool(item.detected)
        layout.label(text=item.name, icon="IMAGE_DATA" if found else "SORTTIME")


def draw_likeness(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The list, the tuning, and whether the engine makes use of them."""
    portrait = active_portrait(context)
    if portrait != portrait.lead:
        draw_text(
            layout,
            context,
            f"Further photos and tuning count for the picture's first portrait, “{portrait.lead.name}”.",
            "INFO",
        )
        return
    row = layout.row()
    row.template_list("PORTRAIT_UL_references", "", portrait, "references", portrait, "reference_index", rows=3)
    column = row.column(align=True)
    column.operator("portrait.add_references", text="", icon="ADD")
    column.operator("portrait.remove_reference", text="", icon="REMOVE")
    if not all(item.detected for item in portrait.references) and job_queue.active_of(portrait.uid) is None:
        layout.operator("portrait.find_reference_faces", icon="VIEWZOOM")
    layout.operator("portrait.tune", icon="MOD_ARMATURE")
    layout.prop(portrait, "personal")
    if (portrait.references or portrait.personal) and engine_of(portrait) == _FIRST_PHOTO_ALONE:
        draw_text(layout, context, "The engine warp draws from the first photo alone: choose fewshot.", "INFO")


def engine_of(portrait: PORTRAIT_PG_portrait) -> str:
    """The engine that draws, as far as is known: a server may have another default."""
    if portrait.engine or portrait.personal:
        return portrait.engine
    info = server.health().info
    return info.default_engine if info is not None else _FIRST_PHOTO_ALONE


class _Likeness(ForFace):
    bl_label = "Likeness"
    bl_order = 45
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        draw_likeness(self.layout, context)


class PORTRAIT_PT_likeness(InView3D, _Likeness, bpy.types.Panel):
    """Further photos and tuning, in the 3D view."""


class PORTRAIT_PT_sequencer_likeness(InSequencer, _Likeness, bpy.types.Panel):
    """Further photos and tuning, in the sequencer."""


CLASSES = (PORTRAIT_UL_references, PORTRAIT_PT_likeness, PORTRAIT_PT_sequencer_likeness)

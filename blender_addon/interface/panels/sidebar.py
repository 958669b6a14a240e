# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels themselves: one set for the 3D view, one for the sequencer."""

from __future__ import annotations

import bpy

from ...connection import installation_box
from ..operators.common import active_portrait, portraits
from . import consent_panel, sections
from .placement import InSequencer, InView3D


def is_only_installation(context: bpy.types.Context) -> bool:
    """Whether the tab asks for nothing else yet: there is no server, and no portrait that could be posed without one."""
    return not portraits(context).items and installation_box.is_all(context)


class PORTRAIT_UL_portraits(bpy.types.UIList):
    """The scene's portraits."""

    def draw_item(
        self, context: bpy.types.Context, layout: bpy.types.UILayout, data: bpy.types.AnyType,
        item: bpy.types.AnyType, icon: int, active_data: bpy.types.AnyType, active_property: str,
    ) -> None:  # fmt: skip
        row = layout.row(align=True)
        row.prop(item, "name", text="", emboss=False, icon="USER")
        if (icon_of_state := sections.state_icon(item)) != "NONE":
            row.label(text="", icon=icon_of_state)


class _Portraits:
    bl_label = "Talking Portraits"
    bl_order = 0

    def draw(self, context: bpy.types.Context) -> None:
        if installation_box.is_wanted(context):
            installation_box.draw(self.layout, context, sections.characters_of(context), whole=False)
        if not is_only_installation(context):
            sections.draw_portraits(self.layout, context)
            consent_panel.draw_question(self.layout, context)


class _Render:
    bl_label = "Render"
    bl_order = 50

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return active_portrait(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        sections.draw_render(self.layout, context)


class _Server:
    bl_label = "Server"
    bl_order = 70
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not is_only_installation(context)

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.label(text="", icon=sections.health_icon())

    def draw(self, context: bpy.types.Context) -> None:
        sections.draw_server(self.layout, context)


class PORTRAIT_PT_portraits(InView3D, _Portraits, bpy.types.Panel):
    """Portraits of the scene."""


class PORTRAIT_PT_render(InView3D, _Render, bpy.types.Panel):
    """How the active portrait is rendered."""


class PORTRAIT_PT_server(InView3D, _Server, bpy.types.Panel):
    """The server."""


class PORTRAIT_PT_sequencer_portraits(InSequencer, _Portraits, bpy.types.Panel):
    """Portraits of the sequencer's scene."""


class PORTRAIT_PT_sequencer_render(InSequencer, _Render, bpy.types.Panel):
    """How the active portrait is rendered."""


class PORTRAIT_PT_sequencer_strip(InSequencer, bpy.types.Panel):
    """The active strip."""

    bl_label = "Strip"
    bl_order = 60

    def draw(self, context: bpy.types.Context) -> None:
        sections.draw_strip(self.layout, context)


class PORTRAIT_PT_sequencer_server(InSequencer, _Server, bpy.types.Panel):
    """The server."""


CLASSES = (
    PORTRAIT_UL_portraits,
    PORTRAIT_PT_portraits, PORTRAIT_PT_render, PORTRAIT_PT_server,
    PORTRAIT_PT_sequencer_portraits, PORTRAIT_PT_sequencer_render, PORTRAIT_PT_sequencer_strip,
    PORTRAIT_PT_sequencer_server,
)  # fmt: skip

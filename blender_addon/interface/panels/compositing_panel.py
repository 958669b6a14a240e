# SPDX-License-Identifier: GPL-3.0-or-later
"""The section *Compositing*: the frames in the compositor, and the person cut out over another strip."""

from __future__ import annotations

import bpy

from ...blender import compat_compositor
from ...portraits import sequencer
from ..operators.common import active_portrait
from .placement import ForFace, InSequencer, InView3D


def draw_compositing(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The ways of the frames into a composite."""
    column = layout.column(align=True)
    column.operator("portrait.add_nodes", icon="NODE_COMPOSITING")
    column.operator("portrait.cut_out_over", icon="SEQ_SEQUENCER")
    if compat_compositor.has_strip_compositor() and sequencer.find_strips(active_portrait(context).group_uid):
        column.operator("portrait.add_strip_nodes", icon="MODIFIER")


class _Compositing(ForFace):
    bl_label = "Compositing"
    bl_order = 55

    def draw(self, context: bpy.types.Context) -> None:
        draw_compositing(self.layout, context)


class PORTRAIT_PT_compositing(InView3D, _Compositing, bpy.types.Panel):
    """The frames in a composite, in the 3D view."""


class PORTRAIT_PT_sequencer_compositing(InSequencer, _Compositing, bpy.types.Panel):
    """The frames in a composite, in the sequencer."""


class PORTRAIT_PT_node_compositing(_Compositing, bpy.types.Panel):
    """The frames in a composite, in the compositor."""

    bl_space_type = "NODE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Portrait"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.space_data.tree_type == "CompositorNodeTree" and super().poll(context)


CLASSES = (PORTRAIT_PT_compositing, PORTRAIT_PT_sequencer_compositing, PORTRAIT_PT_node_compositing)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for the portrait's strip, and for the scene that a sequencer shows."""

from __future__ import annotations

import bpy

from ...blender import compat, problems
from ...portraits.properties import PORTRAIT_PG_portrait
from ...render import portrait_strip
from .common import OnPhoto, SaysWhyNot, scene_of


class PORTRAIT_OT_add_strip(OnPhoto, bpy.types.Operator):
    """Put the frames into the sequencer as a strip, which grows with each render; Render Image then shows the sequencer"""

    bl_idname = "portrait.add_strip"
    bl_label = "Add Strip"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        made = portrait_strip.add(scene_of(context), portrait)
        problems.forget(portrait.uid)
        self.report({"INFO"}, "The strip is in the sequencer" if made else "The strip comes with the first frames")
        return {"FINISHED"}


class PORTRAIT_OT_remove_strip(OnPhoto, bpy.types.Operator):
    """Take the portrait's strip out of the sequencer, all its pieces; frames stay on the disk and on the plane"""

    bl_idname = "portrait.remove_strip"
    bl_label = "Remove Strip"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        portrait_strip.remove(portrait)
        return {"FINISHED"}


class PORTRAIT_OT_show_scene_in_sequencer(SaysWhyNot, bpy.types.Operator):
    """Let this workspace's sequencer show the window's scene"""

    bl_idname = "portrait.show_scene_in_sequencer"
    bl_label = "Show This Scene"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "The sequencer shows a scene" if not compat.sequencer_has_no_scene(context) else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.workspace.sequencer_scene = context.scene
        return {"FINISHED"}


CLASSES = (PORTRAIT_OT_add_strip, PORTRAIT_OT_remove_strip, PORTRAIT_OT_show_scene_in_sequencer)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Further faces of a photo: each gets a rig of its own, and all are drawn into the same frames."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty

from ...blender.selection import select_only
from ...portraits import groups, portrait_parts
from ...portraits.properties import PORTRAIT_PG_portrait
from ...rig.sampling import view_layer
from .common import NeedsFreePortrait, OnPortrait, active_portrait, scene_of


class PORTRAIT_OT_add_face(NeedsFreePortrait, OnPortrait, bpy.types.Operator):
    """Give another face of the photo a rig of its own; all faces are rendered into the same frames"""

    bl_idname = "portrait.add_face"
    bl_label = "Add Face"
    bl_options = {"UNDO"}

    number: IntProperty(
        name="Face",
        description="Choose the face that gets a rig: 1 is the first from the left, 0 stands for all that have none",
        default=0,
        min=0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        without = groups.without_rig(active_portrait(context))
        return None if without else "No other face was found on the photo"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        scene, uid = scene_of(context), portrait.uid
        chosen = [points for number, points in groups.without_rig(portrait) if self.number in (0, number)]
        if not chosen:
            self.report({"WARNING"}, "That face has a rig, or was not found")
            return {"CANCELLED"}
        layer = view_layer(scene)
        with context.temp_override(scene=scene, view_layer=layer):
            for points in chosen:
                added = portrait_parts.add_face(bpy.context, uid, points)
            select_only(layer, added.rig)
        self.report(
            {"INFO"}, f"“{added.name}” has a rig" if len(chosen) == 1 else f"{len(chosen)} more faces have a rig"
        )
        return {"FINISHED"}


CLASSES = (PORTRAIT_OT_add_face,)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the live preview on and off."""

from __future__ import annotations

import bpy

from ...connection import server
from ...jobs import job_queue
from ...portraits import groups
from ...portraits.portrait_parts import check_plane
from ...portraits.properties import PORTRAIT_PG_portrait
from ...preview import live_preview
from ...rig.sampling import check_rig
from .common import NeedsFace, OnPhoto, active_portrait, scene_of


class PORTRAIT_OT_preview(NeedsFace, OnPhoto, bpy.types.Operator):
    """Let the plane follow the rig while you drag a control or scrub; rendered frames stay as they are"""

    bl_idname = "portrait.preview"
    bl_label = "Live Preview"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        if bpy.app.background:
            return "The live preview needs Blender's window"
        uid = active_portrait(context).uid
        busy = live_preview.of(uid) is None and job_queue.active_of(uid) is not None
        return "The portrait is being worked on" if busy else None

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        if live_preview.of(portrait.uid) is not None:
            live_preview.stop(portrait.uid)
            return {"FINISHED"}
        check_plane(scene_of(context), portrait)
        for rig in groups.rigs(portrait):
            check_rig(scene_of(context), rig)
        live_preview.start(portrait.uid, server.launch_plan(context))
        return {"FINISHED"}


CLASSES = (PORTRAIT_OT_preview,)

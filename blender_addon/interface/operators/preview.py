# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the live preview on and off, and puts it on air."""

from __future__ import annotations

import bpy

from ...connection import server
from ...jobs import job_queue
from ...portraits import groups
from ...portraits.portrait_parts import check_plane
from ...portraits.properties import PORTRAIT_PG_portrait
from ...preview import air_outputs, live_preview, on_air
from ...rig.sampling import check_rig
from .common import NeedsFace, OnPhoto, SaysWhyNot, active_portrait, has_window, scene_of


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
        launch = server.launch_plan(context)
        live_preview.start(portrait.uid, launch)
        air_outputs.ask_once(launch)
        return {"FINISHED"}


class _GoesOnAir(NeedsFace, OnPhoto):
    """Operators that put the preview on air and take it off again."""

    to = ""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        lead = active_portrait(context).lead
        if on_air.of(lead.uid, cls.to) is not None:
            return None  # to be taken off
        if lead.shot.is_filmed:
            return "Only portraits of photographs go on air"
        if obstacle := air_outputs.obstacle(cls.to):
            return obstacle
        return "Start the live preview first" if live_preview.of(lead.uid) is None else None

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        air = on_air.of(portrait.uid, self.to)
        begins = air is None or (air.ended and live_preview.of(portrait.uid) is not None)
        on_air.stop(portrait.uid, self.to)
        if begins:
            on_air.start(scene_of(context), portrait, self.to, server.launch_plan(context))
        preview = live_preview.of(portrait.uid)
        if preview is not None:
            preview.ask_again()
        return {"FINISHED"}


class PORTRAIT_OT_virtual_camera(_GoesOnAir, bpy.types.Operator):
    """Send the live preview to a virtual camera, which video calls and OBS see as a webcam; press again to end it"""

    bl_idname = "portrait.virtual_camera"
    bl_label = "Virtual Camera"
    to = "virtual-camera"


class PORTRAIT_OT_ndi(_GoesOnAir, bpy.types.Operator):
    """Send the live preview over the local network by NDI, to OBS, mixers and other computers; press again to end it"""

    bl_idname = "portrait.ndi"
    bl_label = "NDI"
    to = "ndi"


class PORTRAIT_OT_find_outputs(SaysWhyNot, bpy.types.Operator):
    """Look again whether this machine has a virtual camera and NDI, such as after you have installed one"""

    bl_idname = "portrait.find_outputs"
    bl_label = "Look for Live Outputs"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "They are being looked for" if air_outputs.known.asking else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        asking = air_outputs.ask(server.launch_plan(context))
        if asking is not None and not has_window(context):
            asking.join()
        return {"FINISHED"}


CLASSES = (PORTRAIT_OT_preview, PORTRAIT_OT_virtual_camera, PORTRAIT_OT_ndi, PORTRAIT_OT_find_outputs)

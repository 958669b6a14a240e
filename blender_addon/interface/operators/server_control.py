# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop the server, and show the preferences that say how."""

from __future__ import annotations

import bpy

from ...connection import preferences, server
from ...jobs import job_queue
from ...jobs.server_job import ServerJob
from .common import SaysWhyNot, work_off


class PORTRAIT_OT_start_server(bpy.types.Operator):
    """Start the portrait server, or find the one that runs, and see whether it answers"""

    bl_idname = "portrait.start_server"
    bl_label = "Start Server"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return work_off(self, context, ServerJob(server.launch_plan(context, may_start=True)))


class PORTRAIT_OT_stop_server(SaysWhyNot, bpy.types.Operator):
    """Stop the server that this Blender started"""

    bl_idname = "portrait.stop_server"
    bl_label = "Stop Server"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "This Blender started no server" if not server.owns_process() else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        job_queue.abandon_all()
        server.stop()
        return {"FINISHED"}


class PORTRAIT_OT_show_preferences(bpy.types.Operator):
    """Show the add-on's preferences"""

    bl_idname = "portrait.show_preferences"
    bl_label = "Open Preferences"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.preferences.addon_show(module=preferences.PORTRAIT_AP_preferences.bl_idname)


CLASSES = (PORTRAIT_OT_start_server, PORTRAIT_OT_stop_server, PORTRAIT_OT_show_preferences)

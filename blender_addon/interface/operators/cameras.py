# SPDX-License-Identifier: GPL-3.0-or-later
"""Which camera a performer is seen by: those that there are, looked for in the background, and the choice."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ...connection import server
from ...live import camera_choice
from ...portraits.properties import PORTRAIT_PG_portrait
from .common import OnPortrait, SaysWhyNot, has_window

_shown: list[tuple[str, str, str]] = []
"""Blender shows an enum's texts without holding them."""


def _items(self: bpy.types.Operator, context: bpy.types.Context | None) -> list[tuple[str, str, str]]:
    global _shown
    _shown = [
        (str(camera.number), camera.name, camera.problem or "Be seen by this camera")
        for camera in camera_choice.cameras()
    ] or [("0", "None Found", "Look for cameras first")]
    return _shown


class PORTRAIT_OT_choose_camera(OnPortrait, bpy.types.Operator):
    """Choose one of the cameras that were found"""

    bl_idname = "portrait.choose_camera"
    bl_label = "Choose Camera"

    camera: EnumProperty(name="Camera", description="Choose one of the cameras of this machine", items=_items)

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        if camera_choice.cameras():
            return None
        return camera_choice.line() or "Look for cameras first, with the button beside it"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        portrait.live.camera = self.camera
        return {"FINISHED"}


class PORTRAIT_OT_find_cameras(SaysWhyNot, bpy.types.Operator):
    """Look which cameras this machine has; none of them is opened for it"""

    bl_idname = "portrait.find_cameras"
    bl_label = "Look for Cameras"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "They are being looked for" if camera_choice.is_asking() else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        asking = camera_choice.refresh(server.launch_plan(context))
        if asking is not None and not has_window(context):
            asking.join()
        return {"FINISHED"}


CLASSES = (PORTRAIT_OT_choose_camera, PORTRAIT_OT_find_cameras)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The row by which a camera is chosen: written as a number or name, or picked from those that were found."""

from __future__ import annotations

import bpy

from ...live import camera_choice
from ..operators.common import active_portrait
from . import sections


def draw_camera(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The button that connects it, the camera's field, the list of those that there are, and what there is to say of it."""
    live = active_portrait(context).live
    row = layout.row(align=True)
    row.operator("portrait.connect_camera", icon="OUTLINER_OB_CAMERA")
    row.prop(live, "camera", text="", placeholder="First camera")
    row.operator_menu_enum("portrait.choose_camera", "camera", text="", icon="DOWNARROW_HLT")
    row.operator("portrait.find_cameras", text="", icon="FILE_REFRESH")
    chosen = next(
        (camera for camera in camera_choice.cameras() if live.camera in (str(camera.number), camera.name)), None
    )
    if chosen is not None:
        sections.draw_text(
            layout, context, chosen.problem or chosen.name, "ERROR" if chosen.problem else "CAMERA_DATA", lines=2
        )
    elif line := camera_choice.line():
        sections.draw_text(layout, context, line, "INFO", lines=2)

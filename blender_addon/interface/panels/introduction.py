# SPDX-License-Identifier: GPL-3.0-or-later
"""Once, after the extension was installed, the 3D viewport's sidebar opens at the tab: there is what comes next."""

from __future__ import annotations

from typing import Final

import bpy

from ...connection import preferences
from .placement import InView3D

_LOOK_SECONDS: Final = 0.25
_MOST_LOOKS: Final = 40

_looks = 0


def begin() -> None:
    """Lets a timer open it, unless that was done before or nobody would see it."""
    global _looks
    if bpy.app.background or preferences.of(bpy.context).introduced:
        return
    _looks = 0
    bpy.app.timers.register(_on_timer, first_interval=_LOOK_SECONDS)


def open_tab(context: bpy.types.Context) -> bool:
    """Opens the sidebar of the largest 3D viewport at the tab; whether it is open there.

    A sidebar that was not drawn yet has no tabs: ask again.
    """
    areas = [
        area for window in context.window_manager.windows for area in window.screen.areas if area.type == "VIEW_3D"
    ]
    if not areas:
        return False
    area = max(areas, key=lambda area: area.width * area.height)
    area.spaces.active.show_region_ui = True
    region = next((region for region in area.regions if region.type == "UI"), None)
    area.tag_redraw()
    if region is None:
        return False
    try:
        region.active_panel_category = InView3D.bl_category
    except (AttributeError, TypeError):  # no tabs yet, or not this one
        return False
    return True


def _on_timer() -> float | None:
    global _looks
    _looks += 1
    if not open_tab(bpy.context) and _looks < _MOST_LOOKS:
        return _LOOK_SECONDS
    asked = preferences.of(bpy.context)
    asked.introduced = True
    bpy.context.preferences.is_dirty = True  # Blender saves them when it ends, where the user lets it
    return None


def register() -> None:
    begin()


def unregister() -> None:
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)

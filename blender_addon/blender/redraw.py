# SPDX-License-Identifier: GPL-3.0-or-later
"""Redrawing editors: after a change made from Python they do not do so by themselves."""

from __future__ import annotations

from collections.abc import Collection

import bpy


def redraw_areas(kinds: Collection[str]) -> None:
    """Asks Blender to draw all open editors of these kinds (`Area.type`) anew."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in kinds:
                area.tag_redraw()

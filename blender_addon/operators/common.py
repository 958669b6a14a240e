# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operators share: which portrait is meant, whether there is a window, errors in words."""

from __future__ import annotations

import bpy
from portrait_shared.errors import PortraitError

from .. import compat, problems
from ..properties import PORTRAIT_PG_portrait, PORTRAIT_PG_portraits, portraits_of


def scene_of(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose portraits the editor under the mouse shows."""
    area = context.area
    if area is not None and area.type == "SEQUENCE_EDITOR":
        return compat.sequencer_scene(context)
    return context.scene


def portraits(context: bpy.types.Context) -> PORTRAIT_PG_portraits:
    return portraits_of(scene_of(context))


def active_portrait(context: bpy.types.Context) -> PORTRAIT_PG_portrait | None:
    """The portrait whose plane or rig is active, else the one chosen in the list."""
    held = portraits(context)
    active = context.view_layer.objects.active if context.view_layer is not None else None
    if active is not None and active.select_get():
        for portrait in held.items:
            if active in (portrait.plane, portrait.rig):
                return portrait
    return held.active


def has_window(context: bpy.types.Context) -> bool:
    """Whether timers tick and modal operators run."""
    return not bpy.app.background and context.window is not None


def report(operator: bpy.types.Operator, error: PortraitError, uid: str = "") -> set[str]:
    """Says what is wrong, keeps it for the panel, and ends the operator."""
    problems.keep(uid, error)
    operator.report({"ERROR"}, str(error))
    return {"CANCELLED"}


class NeedsPortrait:
    """Operators for the active portrait."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if active_portrait(context) is None:
            cls.poll_message_set("Add a portrait first")
            return False
        return True

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several portraits is meant: one answer for the list, the panels and the operators.

An active plane or rig means its portrait; with anything else active it is the one that was meant last. The list shows
that answer, and a click in it selects the portrait's plane or rig, so that the two never differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import bpy
from bpy.app.handlers import persistent

from ..blender import modes
from ..plane import image_plane
from . import viewport

if TYPE_CHECKING:
    from .properties import PORTRAIT_PG_portrait, PORTRAIT_PG_portraits


def meant(held: PORTRAIT_PG_portraits, layer: bpy.types.ViewLayer | None) -> PORTRAIT_PG_portrait | None:
    """The portrait whose plane or rig is active, else the one chosen last."""
    index = _index_of_active(held, layer)
    return held.items[index] if index is not None else held.active


def choose(context: bpy.types.Context, held: PORTRAIT_PG_portraits, index: int) -> None:
    """Makes it the one that is meant: where another one's plane or rig is active, this one's is selected instead."""
    held.active_index = index
    layer = context.view_layer
    other = _index_of_active(held, layer)
    if other in (None, index) or not 0 <= index < len(held.items):
        return
    active, portrait = layer.objects.active, held.items[index]
    posing = active.mode == "POSE"
    parts = (portrait.rig, portrait.plane) if active == held.items[other].rig else (portrait.plane, portrait.rig)
    for part in parts:
        if part is not None and part.name in layer.objects and part.visible_get(view_layer=layer):
            viewport.select_only(layer, part)
            if posing and part == portrait.rig:
                bpy.ops.object.mode_set(mode="POSE")
            return
    modes.leave(context)
    # Plane and rig are hidden: with no object active, the list's choice counts.
    active.select_set(False, view_layer=layer)


def index_meant(held: PORTRAIT_PG_portraits) -> int:
    """What the list highlights."""
    index = _index_of_active(held, bpy.context.view_layer)
    return held.active_index if index is None else index


def choose_in_list(held: PORTRAIT_PG_portraits, index: int) -> None:
    """What a click in the list does."""
    choose(bpy.context, held, index)


def _index_of_active(held: PORTRAIT_PG_portraits, layer: bpy.types.ViewLayer | None) -> int | None:
    active = layer.objects.active if layer is not None else None
    if active is None or not (active.select_get(view_layer=layer) or active.mode != "OBJECT"):
        return None
    for index, portrait in enumerate(held.items):
        if active in (portrait.plane, portrait.rig):
            return index
    for index, portrait in enumerate(held.items):  # several planes may show one portrait
        if portrait.plane is not None and image_plane.look_alike(portrait.plane, active):
            return index
    return None


@persistent
def _remember(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    """Keeps the active portrait as the chosen one, which it still is when the user then selects a lamp."""
    held = scene.talking_portraits
    if depsgraph is None or len(held.items) < 2:
        return
    layer = scene.view_layers.get(depsgraph.view_layer.name)
    index = _index_of_active(held, layer)
    if index is not None and index != held.active_index:
        held.active_index = index


HANDLERS: Final = ((bpy.app.handlers.depsgraph_update_post, _remember),)

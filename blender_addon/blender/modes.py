# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's modes: into Edit Mode and back, whatever mode the user is in and whatever is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from .problems import SceneError


def leave(context: bpy.types.Context) -> str:
    """To Object Mode; the mode that the active object was in."""
    active = context.view_layer.objects.active
    mode = active.mode if active is not None else "OBJECT"
    if mode != "OBJECT":
        _set_mode(context, active, "OBJECT")
    return mode


@contextmanager
def editing(context: bpy.types.Context, rig: bpy.types.Object) -> Iterator[None]:
    """Edit Mode on the rig; the user's active object, mode and selection come back afterwards.

    Raises:
        PortraitError: SCENE for bones that are linked, also those of a rig with a library override.
    """
    if rig.library is not None or rig.data.library is not None:
        raise SceneError(
            f"The bones of the rig “{rig.name}” are linked from {(rig.data.library or rig.library).filepath}.",
            "Open that file and mend the rig there, then load this file again.",
        )
    layer = context.view_layer
    active = layer.objects.active
    selected = [item for item in layer.objects if item.select_get(view_layer=layer)]
    mode = leave(context)
    for item in selected:
        item.select_set(False, view_layer=layer)
    with _reachable(context, rig):
        layer.objects.active = rig
        bpy.ops.object.mode_set(mode="EDIT")
        try:
            yield
        finally:
            bpy.ops.object.mode_set(mode="OBJECT")
            for item in selected:
                item.select_set(True, view_layer=layer)
            layer.objects.active = active
    if mode != "OBJECT":
        _set_mode(context, active, mode)


def _set_mode(context: bpy.types.Context, active: bpy.types.Object, mode: str) -> None:
    with _reachable(context, active):
        bpy.ops.object.mode_set(mode=mode)


@contextmanager
def _reachable(context: bpy.types.Context, item: bpy.types.Object) -> Iterator[None]:
    """Shows an object for a while, whatever hides it or its collection: Blender changes the mode of visible ones alone."""
    layer = context.view_layer
    if item.visible_get(view_layer=layer):
        yield
        return
    linked, hidden = item.name in context.scene.collection.objects, item.hide_viewport
    if not linked:
        context.scene.collection.objects.link(item)
    item.hide_viewport = False
    veiled = item.hide_get(view_layer=layer)
    item.hide_set(False, view_layer=layer)
    try:
        yield
    finally:
        item.hide_set(veiled, view_layer=layer)
        item.hide_viewport = hidden
        if not linked:
            context.scene.collection.objects.unlink(item)

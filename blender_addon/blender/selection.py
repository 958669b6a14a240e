# SPDX-License-Identifier: GPL-3.0-or-later
"""Which object is selected and active."""

from __future__ import annotations

import bpy

from . import modes


def select_only(layer: bpy.types.ViewLayer, item: bpy.types.Object) -> None:
    """Makes an object the only one selected, and active, in Object Mode."""
    modes.leave(bpy.context)
    for other in list(layer.objects):  # selecting may make the layer anew
        other.select_set(other == item, view_layer=layer)
    layer.objects.active = item


def is_untouched(layer: bpy.types.ViewLayer, item: bpy.types.Object) -> bool:
    """Whether the object is still the active one, in Object Mode: else the user has selected something else since."""
    active = layer.objects.active
    return active in (None, item) and (active is None or active.mode == "OBJECT")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames around the faces of a photo that have no rig yet, in the viewport, numbered as the panel's buttons are."""

from __future__ import annotations

from typing import Any, Final

import bpy
import numpy as np

from ..annotation import strokes
from ..annotation.photo_view import PhotoView
from ..portraits import groups
from ..portraits.scene_portraits import portraits_of
from .operators.points_with_mouse import PlacingWithMouse

_MARGIN: Final = 0.2  # of the face's larger side
_LINE: Final = (1.0, 1.0, 1.0, 0.85)
_SHADE: Final = (0.0, 0.0, 0.0, 0.6)
_TEXT_SIZE: Final = 12.0

_handler: Any = None


def corners(points: np.ndarray) -> np.ndarray:
    """(4, 2) pixels of the photo, around a face's landmarks (70, 3): upper left, upper right, lower right, lower left."""
    low, high = points[:68, :2].min(0), points[:68, :2].max(0)
    margin = _MARGIN * (high - low).max()
    (left, top), (right, bottom) = low - margin, high + margin
    return np.array(((left, top), (right, top), (right, bottom), (left, bottom)))


def _draw() -> None:
    context = bpy.context
    space, region = context.space_data, context.region
    if not space.overlay.show_overlays or PlacingWithMouse.at_work is not None:
        return
    portrait = portraits_of(context.scene).meant(context.view_layer)
    if portrait is None or portrait.plane is None or portrait.rig is None:
        return
    if portrait.plane.name not in context.view_layer.objects or not portrait.plane.visible_get():
        return
    without = groups.without_rig(portrait)
    if not without:
        return
    import gpu  # without a window it cannot be loaded

    size, scale = (region.width, region.height), context.preferences.system.ui_scale
    view = PhotoView.of(
        np.array(space.region_3d.perspective_matrix), np.array(portrait.plane.matrix_world), portrait.space, size
    )
    gpu.state.blend_set("ALPHA")
    for number, points in without:
        places = view.to_region(corners(points))
        outline = places[[0, 1, 2, 3, 0]]
        strokes.lines([(outline, _SHADE)], 3.0 * scale, size)
        strokes.lines([(outline, _LINE)], 1.4 * scale, size)
        words, (left, top) = f"Face {number}", places[0]
        width = strokes.text_width(words, _TEXT_SIZE * scale) + 10 * scale
        strokes.rectangle(left, top, width, 19 * scale, _SHADE)
        strokes.text(words, left + 5 * scale, top + 5 * scale, _TEXT_SIZE * scale, _LINE)
    gpu.state.blend_set("NONE")


def register() -> None:
    global _handler
    if not bpy.app.background:
        _handler = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    global _handler
    if _handler is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handler, "WINDOW")
        _handler = None

# SPDX-License-Identifier: GPL-3.0-or-later
"""The count-in: a large number over each 3D viewport."""

from __future__ import annotations

from typing import Any, Final

import blf
import bpy

from ..blender.redraw import redraw_areas

_SHARE: Final = 0.3  # of the viewport's shorter side
_COLOR: Final = (1.0, 0.35, 0.25, 0.9)
_SHADE: Final = (0.0, 0.0, 0.0, 0.6)

_handler: Any = None
_number: int | None = None


def show(number: int | None) -> None:
    """Shows a number; None shows none."""
    global _handler, _number
    if number == _number:
        return
    _number = number
    if bpy.app.background:
        return
    if number is not None and _handler is None:
        _handler = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")
    elif number is None and _handler is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handler, "WINDOW")
        _handler = None
    redraw_areas(("VIEW_3D",))


def shown() -> int | None:
    """The number that is shown."""
    return _number


def _draw() -> None:
    region = bpy.context.region
    if _number is None or region is None:
        return
    text, font = str(_number), 0
    blf.size(font, _SHARE * min(region.width, region.height))
    width, height = blf.dimensions(font, text)
    blf.enable(font, blf.SHADOW)
    blf.shadow(font, 5, *_SHADE)
    blf.color(font, *_COLOR)
    blf.position(font, (region.width - width) / 2, (region.height - height) / 2, 0)
    blf.draw(font, text)
    blf.disable(font, blf.SHADOW)

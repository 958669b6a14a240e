# SPDX-License-Identifier: GPL-3.0-or-later
"""A coloured band under the frame numbers of timeline, dope sheet and sequencer: what became of each frame."""

from __future__ import annotations

from typing import Any, Final

import bpy

from ..portraits.scene_portraits import portraits_of
from . import frame_states
from .frame_states import FrameState

COLORS: Final = {
    FrameState.QUEUED: (0.45, 0.55, 0.75, 1.0),
    FrameState.RENDERING: (1.0, 1.0, 1.0, 1.0),
    FrameState.DONE: (0.25, 0.70, 0.35, 1.0),
    FrameState.NOT_RECOGNISED: (0.75, 0.35, 0.85, 1.0),
    FrameState.STALE: (0.95, 0.65, 0.15, 1.0),
    FrameState.FAILED: (0.90, 0.20, 0.20, 1.0),
    FrameState.MISSING: (0.55, 0.55, 0.55, 1.0),
    FrameState.AS_FILMED: (0.30, 0.40, 0.42, 1.0),
    FrameState.CHECKING: (0.40, 0.55, 0.45, 1.0),
}
_HEIGHT_PIXELS: Final = 5
_RULER_PIXELS: Final = 24  # the row of frame numbers above, at a scale of 1
_CACHE_PIXELS: Final = 6  # below it, the sequencer shows what it holds in memory
_EDITORS: Final = ("SpaceDopeSheetEditor", "SpaceSequenceEditor")

_handlers: list[tuple[type[bpy.types.Space], Any]] = []


def rectangles(
    runs: list[tuple[int, int, FrameState]], x_of: Any, width: float, y: float, height: float
) -> list[tuple[tuple[float, float, float, float], FrameState]]:
    """What the band consists of: ((left, bottom, right, top) pixels, state) of each stretch that can be seen.

    Args:
        x_of: gives a frame's place in the region.
    """
    found = []
    for first, last, state in runs:
        left, right = max(0.0, x_of(first - 0.5)), min(width, x_of(last + 0.5))
        if right > left:
            found.append(((left, y, right, y + height), state))
    return found


def _draw() -> None:
    context = bpy.context
    scene = context.scene
    held = portraits_of(scene)
    portrait = held.meant(context.view_layer)
    if not held.show_states or portrait is None:
        return
    runs = frame_states.runs(portrait.uid)
    if not runs:
        return
    import gpu  # without a window it cannot be loaded
    from gpu_extras.batch import batch_for_shader

    region = context.region
    scale = context.preferences.system.ui_scale
    height = _HEIGHT_PIXELS * scale
    above = _RULER_PIXELS + (_CACHE_PIXELS if context.area.type == "SEQUENCE_EDITOR" else 0)
    y = max(0.0, region.height - above * scale - height)
    view = region.view2d
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    corners: dict[FrameState, list[tuple[float, float]]] = {}
    shapes = rectangles(runs, lambda frame: view.view_to_region(frame, 0, clip=False)[0], region.width, y, height)
    for (left, bottom, right, top), state in shapes:
        corners.setdefault(state, []).extend(
            ((left, bottom), (right, bottom), (right, top), (left, bottom), (right, top), (left, top))
        )
    for state, points in corners.items():
        shader.uniform_float("color", COLORS[state])
        batch_for_shader(shader, "TRIS", {"pos": points}).draw(shader)


def register() -> None:
    if bpy.app.background:
        return
    for name in _EDITORS:
        space = getattr(bpy.types, name)
        _handlers.append((space, space.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")))


def unregister() -> None:
    while _handlers:
        space, handler = _handlers.pop()
        space.draw_handler_remove(handler, "WINDOW")

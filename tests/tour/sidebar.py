# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's tab, and its panels opened and shut by the keyboard as a user does.

Blender tells nobody which panels are open or where they are, but it draws no others: each panel's `draw` is watched.
The key A opens and shuts the panel under the mouse. From above, the first that is met of a panel is its header;
from below too, where it is shut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
from desktop import Place, Steps, place, until, xdo

_HEADER_PIXELS = 22
_drawn: set[str] = set()
_watched: set[str] = set()
_draws = 0
_SPACES = {"VIEW_3D": "SpaceView3D", "SEQUENCE_EDITOR": "SpaceSequenceEditor"}


def region(kind: str = "VIEW_3D") -> Place:
    return place(kind, "UI")


def open_tab(kind: str = "VIEW_3D", name: str = "Portrait") -> Steps:
    """Shows the sidebar (N) of an editor at a tab."""
    area = place(kind).area
    area.spaces.active.show_region_ui = True
    yield 0.5
    place(kind, "UI").region.active_panel_category = name
    area.tag_redraw()
    yield 0.5


def arrange(names: list[str], kind: str = "VIEW_3D") -> Steps:
    """Opens these panels of the tab, from top to bottom, and shuts all others."""
    for panel in _panels(kind):
        _watch(panel)
    space = getattr(bpy.types, _SPACES[kind])
    handler = space.draw_handler_add(_on_draw, (), "UI", "POST_PIXEL")
    try:
        yield from _shut_all(kind)
        for name in names:
            yield from _open(kind, name)
            extra = (yield from _look(kind)) - set(names)
            if extra:
                yield from _close(kind, extra)
    finally:
        space.draw_handler_remove(handler, "UI")


def _shut_all(kind: str) -> Steps:
    side = region(kind)
    y = side.region.height - 8
    while y > 8:
        before = yield from _look(kind)
        if not before:
            return
        after = yield from _toggle(kind, y)
        if after - before:
            yield from _toggle(kind, y)
        y -= _HEADER_PIXELS


def _open(kind: str, name: str) -> Steps:
    for y in range(8, region(kind).region.height, _HEADER_PIXELS):
        before = yield from _look(kind)
        after = yield from _toggle(kind, y)
        if name in after:
            return
        if after != before:
            yield from _toggle(kind, y)
    raise AssertionError(f"the panel {name} could not be opened")


def _close(kind: str, names: set[str]) -> Steps:
    for y in range(8, region(kind).region.height, _HEADER_PIXELS):
        before = yield from _look(kind)
        after = yield from _toggle(kind, y)
        if not names & after:
            return
        if after - before:
            yield from _toggle(kind, y)
    raise AssertionError(f"the panels {names} could not be shut")


def _toggle(kind: str, y: float) -> Steps:
    side = region(kind)
    xdo("mousemove", *side.pixel(side.region.width * 0.4, y))
    yield 0.05
    xdo("key", "a")
    yield 0.1
    return (yield from _look(kind))


def _look(kind: str) -> Steps:
    _drawn.clear()
    before = _draws
    region(kind).area.tag_redraw()
    yield from until(lambda: _draws > before, 10, "the sidebar is drawn")
    return set(_drawn)


def _on_draw() -> None:
    global _draws
    _draws += 1


def _panels(kind: str) -> list[type[bpy.types.Panel]]:
    panels = [getattr(bpy.types, name) for name in dir(bpy.types) if name.startswith("PORTRAIT_PT_")]
    return [panel for panel in panels if panel.bl_space_type == kind]


def _watch(panel: type[bpy.types.Panel]) -> None:
    name = panel.__name__
    if name in _watched:
        return
    _watched.add(name)
    draw: Callable[[Any, bpy.types.Context], None] = panel.draw

    def watched(self: Any, context: bpy.types.Context) -> None:
        _drawn.add(name)
        draw(self, context)

    panel.draw = watched

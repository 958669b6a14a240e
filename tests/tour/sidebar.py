# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's tab, and its panels opened and shut by the keyboard as a user does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
from desktop import Place, Steps, move, place, press, redraw

_STEP_PIXELS = 18
_drawn: set[str] = set()
_watched: set[str] = set()


def open_tab(kind: str = "VIEW_3D", name: str = "Portrait") -> Steps:
    """Shows the sidebar (N) of an editor at a tab."""
    area = place(kind).area
    area.spaces.active.show_region_ui = True
    yield 0.5
    place(kind, "UI").region.active_panel_category = name
    area.tag_redraw()
    yield 0.5


def arrange(kind: str, wanted: dict[str, bool]) -> Steps:
    """Opens and shuts panels: {class name: whether it is to be open}.

    Blender tells nobody which panels are open, but draws no others: each panel's `draw` is watched. The key A opens
    and shuts the panel under the mouse, wherever in the panel that is.
    """
    for name in wanted:
        _watch(name)
    side = place(kind, "UI")
    yield from _look()
    y = side.region.height - 10
    while y > 8 and any((name in _drawn) != is_open for name, is_open in wanted.items()):
        before = set(_drawn)
        yield from press("a", side.pixel(side.region.width * 0.4, y))
        yield from _look()
        if any((name in before) == wanted[name] != (name in _drawn) for name in wanted):
            yield from press("a")  # it was right before
            yield from _look()
        elif _drawn != before:
            y += _STEP_PIXELS  # what is under the mouse now is another panel
        y -= _STEP_PIXELS
    wrong = [name for name, is_open in wanted.items() if (name in _drawn) != is_open]
    if wrong:
        raise AssertionError(f"these panels could not be opened or shut: {', '.join(wrong)}")
    yield from move((1, 1))


def region(kind: str = "VIEW_3D") -> Place:
    return place(kind, "UI")


def _look() -> Steps:
    _drawn.clear()
    redraw()
    yield 0.35


def _watch(name: str) -> None:
    if name in _watched:
        return
    _watched.add(name)
    panel = getattr(bpy.types, name)
    draw: Callable[[Any, bpy.types.Context], None] = panel.draw

    def watched(self: Any, context: bpy.types.Context) -> None:
        _drawn.add(name)
        draw(self, context)

    panel.draw = watched

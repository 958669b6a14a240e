# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's tab, and pictures of it with chosen panels open.

Blender lets no script open a panel. In a copy of the workspace, though, the Properties editor becomes a viewport that
has never had a sidebar: there, panels begin as their classes say.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import bpy
from desktop import Place, Steps, at, extension, place, shot, window, xdo

_PROBE_PIXELS = 9  # apart: less than half a button's height
_PROBE_ACROSS = 0.62  # of the sidebar's width: meets a button of its own row, and the right one of two
_SCROLLS = 12

clicked: list[str] = []
"""Operators whose buttons were pressed with the mouse."""


def region(kind: str = "VIEW_3D") -> Place:
    return place(kind, "UI")


def open_tab(kind: str = "VIEW_3D", name: str = "Portrait") -> Steps:
    """Shows the sidebar (N) of an editor at a tab."""
    area = place(kind).area
    area.spaces.active.show_region_ui = True
    yield 0.5
    yield from choose_tab(place(kind, "UI"), name)


def choose_tab(side: Place, name: str = "Portrait") -> Steps:
    """Of a sidebar that may not have been drawn yet: until then it has no tabs."""
    for _ in range(40):
        try:
            side.region.active_panel_category = name
            break
        except AttributeError:
            side.area.tag_redraw()
            yield 0.25
    side.area.tag_redraw()
    yield 0.5


def click(operator: str, side: Place | None = None) -> Steps:
    """Presses the button of an operator in the open tab, with the mouse.

    No script can ask Blender where a button is. Ctrl-C over a button, though, copies what it would call: the mouse goes
    down the tab until it is over the right one, and scrolls where the tab is longer than the screen.

    Args:
        side: the sidebar; that of the 3D view where None.

    Raises:
        TimeoutError: the tab shows no such button.
    """
    manager, side = bpy.context.window_manager, side or region()
    wanted = f"bpy.ops.{operator}("
    for _ in range(_SCROLLS):
        for down in range(_PROBE_PIXELS, side.region.height, _PROBE_PIXELS):
            spot = side.pixel(_PROBE_ACROSS * side.region.width, side.region.height - down)
            manager.clipboard = ""
            xdo("mousemove", *spot)
            yield 0.1
            xdo("key", "ctrl+c")
            yield 0.15
            if manager.clipboard.startswith(wanted):
                xdo("click", 1)
                clicked.append(operator)
                yield 0.5
                return
        xdo(*("click", 5) * 5)  # the mouse's wheel
        yield 0.5
    raise TimeoutError(f"the tab shows no button of {operator}")


def scroll(to_end: bool) -> Steps:
    """Scrolls the open tab to its end, where the messages are, or to its beginning."""
    side = region()
    xdo("mousemove", *side.pixel(_PROBE_ACROSS * side.region.width, side.region.height / 2))
    yield 0.2
    xdo(*("click", 5 if to_end else 4) * 30)  # the mouse's wheel
    yield 0.7


def picture(name: str, names: list[str]) -> Steps:
    """Photographs the tab with these panels open and all others shut."""
    panels = _panels()
    options = {panel: panel.bl_options for panel in panels if hasattr(panel, "bl_options")}
    _register_anew(panels, {panel: set() if panel.__name__ in names else {"DEFAULT_CLOSED"} for panel in panels})
    with at():
        bpy.ops.workspace.duplicate()
    yield 0.7
    with _override(_properties()):
        bpy.ops.screen.screen_full_area()
    yield 0.7
    area = _properties()
    area.type = "VIEW_3D"
    space = area.spaces.active
    space.show_region_toolbar, space.show_region_ui = False, True
    extension("portraits.viewport").show_pictures(space)
    yield 1.5
    side = Place(area, next(one for one in area.regions if one.type == "UI"))
    yield from choose_tab(side)
    yield from shot(name, [side.box])
    area.type = "PROPERTIES"
    with _override(area):
        bpy.ops.screen.back_to_previous()
    yield 0.5
    _register_anew(panels, {panel: options.get(panel, set()) for panel in panels})
    yield from back_to_layout()


def back_to_layout() -> Steps:
    """From a copy of it, which goes."""
    with bpy.context.temp_override(window=window()):
        bpy.ops.workspace.delete()
    yield 0.7
    window().workspace = bpy.data.workspaces["Layout"]
    yield 0.7


def _properties() -> bpy.types.Area:
    return max((area for area in window().screen.areas if area.type == "PROPERTIES"), key=lambda area: area.height)


def _override(area: bpy.types.Area) -> AbstractContextManager[None]:
    region = next(one for one in area.regions if one.type == "WINDOW")
    return bpy.context.temp_override(window=window(), screen=window().screen, area=area, region=region)


def _panels() -> list[type[bpy.types.Panel]]:
    """Of the viewport, parents before their children."""
    panels = [getattr(bpy.types, name) for name in dir(bpy.types) if name.startswith("PORTRAIT_PT_")]
    found = [panel for panel in panels if panel.bl_space_type == "VIEW_3D"]
    parents = {panel.__name__: getattr(panel, "bl_parent_id", "") for panel in found}

    def depth(name: str) -> int:
        return 1 + depth(parents[name]) if name in parents else 0

    return sorted(found, key=lambda panel: depth(panel.__name__))


def _register_anew(panels: list[type[bpy.types.Panel]], options: dict[type[bpy.types.Panel], set[str]]) -> None:
    for panel in reversed(panels):
        bpy.utils.unregister_class(panel)
    for panel in panels:
        panel.bl_options = options[panel]
        bpy.utils.register_class(panel)

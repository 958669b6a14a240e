# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks placed with the mouse in a 3D viewport: from Blender's events to what they do, until it is done or left."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import bpy
import numpy as np

from ...annotation import template
from ...annotation.annotation import Annotation, Kind, Level
from ...annotation.loupe import MAGNIFICATIONS
from ...annotation.overlay import Overlay
from ...annotation.photo_view import PhotoView
from ...blender.redraw import redraw_areas
from ...plane import image_plane
from ...portraits import photo, portrait_parts, viewport
from ...portraits.properties import PORTRAIT_PG_portrait
from ...portraits.scene_portraits import find_portrait
from .common import scene_of

_REACH: Final = 13.0  # pixels of the screen beside a point that still hit it
_LEVEL_KEYS: Final = {"ONE": Level.FACE, "TWO": Level.PARTS, "THREE": Level.POINTS}
_KIND_KEYS: Final = {"G": Kind.MOVE, "S": Kind.SCALE, "R": Kind.ROLL, "T": Kind.TURN}
_ARROWS: Final = {"LEFT_ARROW": (-1, 0), "RIGHT_ARROW": (1, 0), "UP_ARROW": (0, -1), "DOWN_ARROW": (0, 1)}
_LOUPE_KEYS: Final = {"NUMPAD_PLUS": 1, "EQUAL": 1, "PLUS": 1, "NUMPAD_MINUS": -1, "MINUS": -1}
_NAVIGATION: Final = (
    "MIDDLEMOUSE", "WHEEL", "TRACKPAD", "MOUSEROTATE", "MOUSESMARTZOOM", "NDOF", "NUMPAD_", "HOME", "TIMER", "WINDOW",
)  # fmt: skip
_HINT: Final = {
    Level.FACE: "Drag the face onto the photo; pull the box's corners and edges; knobs turn it",
    Level.PARTS: "Drag eyes, brows, nose, mouth and jaw into place; the box scales and turns the one chosen",
    Level.POINTS: "Drag each point into place; + and - set how much the loupe enlarges",
}
_KEYS: Final = (
    "1 2 3 or Tab: face, parts, points   G S R T: move, scale, rotate, turn the head   Shift: precise   Arrows: one pixel"
    "   M: mirror   Ctrl Z: undo   Enter: done   Esc: cancel"
)


class PlacingWithMouse:
    """Points being placed with the mouse, in one 3D viewport, until `end`.

    Attributes:
        overlay: what is drawn, and the points.
        at_work: the one that goes on; there is one mouse.
    """

    at_work: ClassVar[PlacingWithMouse | None] = None

    def __init__(
        self,
        context: bpy.types.Context,
        area: bpy.types.Area,
        portrait: PORTRAIT_PG_portrait,
        placed: np.ndarray | None,
    ) -> None:
        """Shows the photo from the front and begins to draw.

        Args:
            placed: (70, 3) pixels to be mended; the template where None.

        Raises:
            PortraitError: as `photo.check` and `portrait_parts.check_plane`.
        """
        portrait_parts.check_plane(scene_of(context), portrait)
        picture = photo.check(portrait.photo, tuple(portrait.size))
        annotation = (
            Annotation(template.in_picture(*portrait.size))
            if placed is None
            else Annotation(placed, Level.POINTS, mirror=False)
        )
        self.overlay = Overlay(annotation, photo.pixels(picture))
        self._uid = portrait.uid
        self._by_key = False  # a drag that a key began goes on without a button held
        self._area, self._region = area, next(region for region in area.regions if region.type == "WINDOW")
        space = area.spaces.active
        self._bones_shown, space.overlay.show_bones = space.overlay.show_bones, False
        self._covered = image_plane.show_meanwhile(portrait.plane, picture)
        viewport.look_in_area(context, area, portrait)
        self._handler: Any = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        PlacingWithMouse.at_work = self
        self._tell(context)

    def portrait(self) -> tuple[bpy.types.Scene, PORTRAIT_PG_portrait] | None:
        return find_portrait(self._uid)

    def is_there(self, context: bpy.types.Context) -> bool:
        """Whether the portrait and the viewport still are."""
        areas = [area for window in context.window_manager.windows for area in window.screen.areas]
        found = self.portrait()
        return found is not None and found[1].plane is not None and self._area in areas and self._area.type == "VIEW_3D"

    def end(self, context: bpy.types.Context) -> None:
        """Stops drawing, and shows what was shown before."""
        if self._handler is None:
            return
        bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
        self._handler = PlacingWithMouse.at_work = None
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        if context.window is not None:
            context.window.cursor_modal_restore()
        if self.is_there(context):
            self._area.header_text_set(None)
            self._area.spaces.active.overlay.show_bones = self._bones_shown
            image_plane.show_again(self.portrait()[1].plane, self._covered)
        redraw_areas({"VIEW_3D"})

    def handle(self, context: bpy.types.Context, event: bpy.types.Event) -> str:
        """What comes of an event: DONE, CANCEL, PASS where it is not for this, else HELD."""
        annotation, overlay = self.overlay.annotation, self.overlay
        self._look()
        mouse = np.array((event.mouse_x - self._region.x, event.mouse_y - self._region.y), np.float64)
        inside = self._is_over(event.mouse_x, event.mouse_y)
        overlay.mouse = mouse if inside or annotation.dragging else None
        if annotation.dragging is None and (not inside or event.alt or self._navigates(event)):
            self._area.tag_redraw()
            return "PASS"
        place = overlay.view.to_photo(mouse) if overlay.view is not None else None
        outcome = self._mouse(context, event, place) or self._key(context, event, place)
        self._tell(context)
        return outcome

    def _mouse(self, context: bpy.types.Context, event: bpy.types.Event, place: np.ndarray | None) -> str | None:
        annotation, overlay = self.overlay.annotation, self.overlay
        if place is None:
            return None
        reach = _REACH * context.preferences.system.ui_scale / overlay.view.pixels_per_pixel(place)
        if event.type in ("MOUSEMOVE", "INBETWEEN_MOUSEMOVE"):
            annotation.drag_to(place, event.shift)
            annotation.hover(place, reach)
            return "HELD" if annotation.dragging or self._is_on_photo(place) else "PASS"
        elif event.type == "LEFTMOUSE" and event.value in ("PRESS", "DOUBLE_CLICK"):
            if annotation.dragging is not None:
                self._drop(context)
            elif (button := next((each for each in overlay.buttons if each.holds(*overlay.mouse)), None)) is not None:
                return self._act(button.action)
            elif not annotation.press(place, reach):
                return "HELD" if self._is_on_photo(place) else "PASS"  # the viewport's own buttons lie beside it
            elif annotation.level is Level.POINTS:
                context.window.cursor_modal_set("NONE")  # it would hide the spot that the point is put on
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            if not self._by_key:
                self._drop(context)
        elif event.type == "RIGHTMOUSE" and event.value == "PRESS":
            annotation.cancel_drag()
            self._drop(context)
        else:
            return None
        return "HELD"

    def _key(self, context: bpy.types.Context, event: bpy.types.Event, place: np.ndarray | None) -> str:
        annotation, kind = self.overlay.annotation, event.type
        if event.value != "PRESS" or (event.is_repeat and kind not in _ARROWS):
            return "HELD"
        if kind in ("RET", "NUMPAD_ENTER"):
            if annotation.dragging is None:
                return "DONE"
            self._drop(context)
        elif kind == "ESC":
            if annotation.dragging is None:
                return "CANCEL"
            annotation.cancel_drag()
            self._drop(context)
        elif kind == "Z" and (event.ctrl or event.oskey):
            return self._act("REDO" if event.shift else "UNDO")
        elif kind in _LEVEL_KEYS or kind == "TAB":
            levels = list(Level)
            following = levels[(levels.index(annotation.level) + 1) % len(levels)]
            return self._act(_LEVEL_KEYS.get(kind, following).name)
        elif kind == "M":
            return self._act("MIRROR")
        elif kind in _KIND_KEYS and place is not None:
            wanted = _KIND_KEYS[kind]
            if annotation.dragging is not None:
                annotation.change_kind(wanted)
            self._by_key = annotation.begin(wanted, place)
        elif kind in _ARROWS:
            across, down = _ARROWS[kind]
            step = 0.1 if event.shift else 1.0
            annotation.nudge((across * step, down * step))
        elif kind in _LOUPE_KEYS:
            last = len(MAGNIFICATIONS) - 1
            self.overlay.magnification = min(max(self.overlay.magnification + _LOUPE_KEYS[kind], 0), last)
        return "HELD"

    def _act(self, action: str) -> str:
        """What a button or its key does."""
        annotation = self.overlay.annotation
        if action in Level.__members__:
            annotation.set_level(Level[action])
        elif action == "MIRROR":
            annotation.mirror = not annotation.mirror
        elif action == "UNDO":
            annotation.undo()
        elif action == "REDO":
            annotation.redo()
        else:
            return action
        return "HELD"

    def _drop(self, context: bpy.types.Context) -> None:
        self._by_key = False
        self.overlay.annotation.drop()
        context.window.cursor_modal_restore()

    def _navigates(self, event: bpy.types.Event) -> bool:
        return event.type.startswith(_NAVIGATION) and event.type not in ("NUMPAD_ENTER", *_LOUPE_KEYS)

    def _is_over(self, x: int, y: int) -> bool:
        """Whether the mouse is over the photo's region and over none that lies on it, as the sidebar does."""
        over = [
            region
            for region in self._area.regions
            if region.type != "HUD" and 0 <= x - region.x < region.width and 0 <= y - region.y < region.height
        ]
        return self._region in over and len(over) == 1

    def _is_on_photo(self, place: np.ndarray) -> bool:
        height, width = self.overlay.photo.shape[:2]
        return bool(0 <= place[0] <= width and 0 <= place[1] <= height)

    def _look(self) -> None:
        """Finds out where the viewport shows the photo now."""
        _, portrait = self.portrait()
        view = self._area.spaces.active.region_3d
        self.overlay.view = PhotoView.of(
            np.array(view.perspective_matrix), np.array(portrait.plane.matrix_world), portrait.space,
            (self._region.width, self._region.height),
        )  # fmt: skip
        left, _, right, top = viewport.free_part(self._area, self._region)
        self.overlay.free = (left, right, top)

    def _draw(self) -> None:
        context = bpy.context
        if context.region == self._region and self.is_there(context):
            self._look()
            size = self._region.width, self._region.height
            self.overlay.draw(size, context.preferences.system.ui_scale)

    def _tell(self, context: bpy.types.Context) -> None:
        self._area.header_text_set(_HINT[self.overlay.annotation.level])
        context.workspace.status_text_set(_KEYS)
        self._area.tag_redraw()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn over the viewport while points are placed: the face, its box with knobs, the loupe, and buttons."""

from __future__ import annotations

from typing import Final

import numpy as np
from portrait_shared.landmarks import GROUPS, LANDMARK_COUNT, MIRROR, POLYLINES

from ..rig.bone_shapes import GROUP_COLORS
from . import strokes
from .annotation import Annotation, Level
from .box import CORNERS, Box, Knob
from .buttons import Button, row_of_buttons
from .loupe import MAGNIFICATIONS, Loupe
from .photo_view import PhotoView
from .template import DESCRIPTIONS, PARTS

_LOUPE_SIDE: Final = 220
_LOUPE_AWAY: Final = 48  # from the mouse
_TEXT_SIZE: Final = 12.0
_WHITE: Final = (1.0, 1.0, 1.0, 0.95)
_BLACK: Final = (0.0, 0.0, 0.0, 0.6)
_BOX: Final = (1.0, 1.0, 1.0, 0.7)
_LIT: Final = (0.28, 0.45, 0.70, 0.95)
_UNLIT: Final = (0.14, 0.14, 0.14, 0.9)
_GROUP_OF: Final = {point: group for group, points in GROUPS.items() for point in points}
_COLORS: Final = tuple((*GROUP_COLORS[_GROUP_OF[point]], 1.0) for point in range(LANDMARK_COUNT))


class Overlay:
    """Draws one annotation.

    Attributes:
        photo: (H, W, 3 or 4) uint8.
        view: where the viewport shows it; None where it does not.
        mouse: (2,) pixels of the region; None where the mouse is elsewhere.
        magnification: which of `MAGNIFICATIONS` the loupe has.
        free: left, right and upper edge of what is free of the region; buttons: where they were drawn last.
    """

    def __init__(self, annotation: Annotation, photo: np.ndarray) -> None:
        self.annotation = annotation
        self.photo = photo
        self.view: PhotoView | None = None
        self.mouse: np.ndarray | None = None
        self.magnification = MAGNIFICATIONS.index(4.0)
        self.free = (0.0, 0.0, 0.0)
        self.buttons: list[Button] = []

    def draw(self, region: tuple[int, int], scale: float) -> None:
        """Over a region (width, height), pixels; `scale` is that of Blender's interface."""
        if self.view is not None:
            self._draw_face(region, scale)
            self._draw_box(region, scale)
            self._draw_loupe(region, scale)
        self._draw_buttons(region, scale)

    def _draw_face(self, region: tuple[int, int], scale: float) -> None:
        annotation, places = self.annotation, self.view.to_region(self.annotation.points)
        chosen = set(annotation.dragging.chosen if annotation.dragging else annotation.hovered or annotation.active)
        single = annotation.level is Level.POINTS
        outlines = [(_closed(places, line, closed), _COLORS[line[0]]) for line, closed in POLYLINES]
        strokes.lines([(line, _BLACK) for line, _ in outlines], 3.0 * scale, region)
        strokes.lines(outlines, 1.4 * scale, region)
        radius = (3.6 if single else 2.4) * scale
        strokes.dots([(place, radius + scale, _BLACK) for place in places])
        strokes.dots([(place, radius, color) for place, color in zip(places, _COLORS, strict=True)])
        if annotation.level is not Level.FACE:
            others = {MIRROR[point] for point in chosen} - chosen if annotation.mirror else set()
            strokes.circles([(places[point], radius + 2.5 * scale, _WHITE) for point in chosen], 1.6 * scale, region)
            strokes.circles([(places[point], radius + 2.5 * scale, _BOX) for point in others], 1.0 * scale, region)

    def _draw_box(self, region: tuple[int, int], scale: float) -> None:
        annotation = self.annotation
        if not annotation.boxed:
            return
        box = Box.around(annotation.points, annotation.boxed)
        knobs = {knob: self.view.to_region(box.place(knob)) for knob in annotation.knobs()}
        corners = np.stack([knobs[knob] for knob in (*CORNERS, CORNERS[0])])
        shafts = [np.stack((knobs[near], knobs[far])) for near, far in ((Knob.TOP, Knob.ROLL), (Knob.BOTTOM, Knob.TURN))
                  if far in knobs]  # fmt: skip
        strokes.lines([(line, _BLACK) for line in (corners, *shafts)], 2.6 * scale, region)
        strokes.lines([(line, _BOX) for line in (corners, *shafts)], 1.2 * scale, region)
        for knob, place in knobs.items():
            size = (7.0 if knob is annotation.knob else 5.5) * scale
            color = _LIT if knob is annotation.knob else _WHITE
            if knob in (Knob.ROLL, Knob.TURN):
                strokes.dots([(place, size + scale, _BLACK), (place, size, color)])
                words = "" if annotation.level is not Level.FACE else "Rotate" if knob is Knob.ROLL else "Turn Head"
                self._label(words, place[0] + 12 * scale, place[1] - 4 * scale, scale)
            else:
                strokes.rectangle(*(place - size), 2 * size, 2 * size, _BLACK)
                strokes.rectangle(*(place - size + scale), 2 * size - 2 * scale, 2 * size - 2 * scale, color)

    def loupe(self, scale: float) -> Loupe | None:
        """What the loupe shows: the point that is dragged, else where the mouse is; None where single points are not moved."""
        annotation, drag = self.annotation, self.annotation.dragging
        if self.mouse is None or self.view is None or annotation.level is not Level.POINTS:
            return None
        at = annotation.points[drag.chosen[0], :2] if drag else self.view.to_photo(self.mouse)
        if at is None:
            return None
        enlarged = self.view.pixels_per_pixel(at) * MAGNIFICATIONS[self.magnification]
        return Loupe(at, round(_LOUPE_SIDE * scale), enlarged)

    def _draw_loupe(self, region: tuple[int, int], scale: float) -> None:
        annotation, loupe = self.annotation, self.loupe(scale)
        named = _name_of(annotation)
        if loupe is None:
            if named and self.mouse is not None and annotation.dragging is None:  # it would hide what is placed
                self._label(named, self.mouse[0] + 18 * scale, self.mouse[1] + 14 * scale, scale)
            return
        left, bottom = loupe_corner(self.mouse, loupe.side, _LOUPE_AWAY * scale, *self.free[1:])
        strokes.picture(loupe.picture(self.photo), left, bottom)
        corner = np.array((left, bottom))
        inside = loupe.to_square(annotation.points)
        seen = [
            point
            for point in range(LANDMARK_COUNT)
            if (np.abs(inside[point] - loupe.side / 2) < loupe.side / 2 - 4).all()
        ]
        chosen = annotation.dragging.chosen if annotation.dragging else annotation.hovered
        # Rings and a thin cross: a dot would hide what it is to be put on.
        strokes.circles([(corner + inside[point], 6 * scale, _BLACK) for point in seen], 3 * scale, region)
        strokes.circles(
            [(corner + inside[point], 6 * scale, _WHITE if point in chosen else _COLORS[point]) for point in seen],
            1.5 * scale, region,
        )  # fmt: skip
        middle, arm = corner + loupe.side / 2, 14 * scale
        cross = [np.stack((middle - way * arm, middle + way * arm)) for way in np.eye(2)]
        strokes.lines([(line, _BLACK) for line in cross], 2.4, region)
        strokes.lines([(line, _WHITE) for line in cross], 1.0, region)
        strokes.frame(left, bottom, loupe.side, loupe.side, _WHITE, region)
        words = (
            f"{named}  ·  {MAGNIFICATIONS[self.magnification]:g}×"
            if named
            else f"{MAGNIFICATIONS[self.magnification]:g}×"
        )
        self._label(words, left + 6 * scale, bottom + 8 * scale, scale)

    def _draw_buttons(self, region: tuple[int, int], scale: float) -> None:
        size = _TEXT_SIZE * scale
        self.buttons = row_of_buttons(self.annotation, self.free, scale, lambda words: strokes.text_width(words, size))
        for button in self.buttons:
            over = self.mouse is not None and button.holds(*self.mouse)
            strokes.rectangle(button.left, button.bottom, button.width, button.height, _LIT if button.on else _UNLIT)
            if over:
                strokes.frame(button.left, button.bottom, button.width, button.height, _WHITE, region)
            across = (button.width - strokes.text_width(button.label, size)) / 2
            strokes.text(button.label, button.left + across, button.bottom + 0.32 * button.height, size, _WHITE)

    def _label(self, words: str, x: float, y: float, scale: float) -> None:
        if not words:
            return
        size = _TEXT_SIZE * scale
        strokes.rectangle(x - 4 * scale, y - 5 * scale, strokes.text_width(words, size) + 8 * scale, 18 * scale, _BLACK)
        strokes.text(words, x, y, size, _WHITE)


def loupe_corner(mouse: np.ndarray, side: int, away: float, right: float, top: float) -> tuple[float, float]:
    """Where the loupe's lower left corner goes: above the mouse at its right, or where there is room."""
    left = mouse[0] + away if mouse[0] + away + side < right else mouse[0] - away - side
    bottom = mouse[1] + away if mouse[1] + away + side < top else mouse[1] - away - side
    return float(max(left, 0)), float(max(bottom, 0))


def _closed(places: np.ndarray, line: tuple[int, ...], closed: bool) -> np.ndarray:
    return places[[*line, line[0]]] if closed else places[list(line)]


def _name_of(annotation: Annotation) -> str:
    """What is under the mouse or dragged, in words."""
    drag = annotation.dragging
    chosen = drag.chosen if drag else annotation.hovered
    if not chosen:
        return ""
    if annotation.level is Level.POINTS:
        return DESCRIPTIONS[chosen[0]]
    return next((name for name, points in PARTS.items() if points == chosen), "")

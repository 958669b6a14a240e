# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks while they are placed by hand: what is under the mouse, what is moved and how, undone and done again.

Knows neither Blender nor the screen: places are pixels of the photo, and whoever calls says how near is near.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from portrait_shared.landmarks import LANDMARK_COUNT, MIRROR

from .box import Box, Knob, face_axes, mirror_line
from .template import PARTS

_ALL: Final = tuple(range(LANDMARK_COUNT))
_FINE: Final = 0.1  # of the mouse's way, as Blender's own precision
_LEAST_FACTOR: Final = 0.02  # a face is never scaled to nothing, nor turned inside out
_TURN_DEGREES: Final = 90.0  # of the head, for a way as long as the face is wide
_PART_REACH: Final = 2.0  # a part is as easy to hit as so many points


class Level(Enum):
    """How much is moved at once."""

    FACE = "Face"
    PARTS = "Parts"
    POINTS = "Points"


class Kind(Enum):
    """What a drag does."""

    MOVE = "move"
    SCALE = "scale"
    STRETCH = "stretch"
    ROLL = "roll"
    TURN = "turn the head"


@dataclass
class Drag:
    """One drag, from where it was begun.

    Attributes:
        chosen: the points that are moved.
        start: (70, 3) all points before; place: (2,) where the mouse would be, had it not been slowed down.
        pivot: (2,) what stays; axis: (2,) along which is stretched.
    """

    kind: Kind
    chosen: tuple[int, ...]
    start: np.ndarray
    first: np.ndarray
    mouse: np.ndarray
    place: np.ndarray
    pivot: np.ndarray
    axis: np.ndarray


class Annotation:
    """70 points that are being placed.

    Attributes:
        points: (70, 3) float64 pixels of the photo, z on x's scale and smaller is nearer.
        level: how much is moved at once.
        mirror: whether what is done to one side of the face is done to the other.
        hovered: the points under the mouse; knob: the knob of the box there.
        active: the points that were moved or touched last, which keys act on.
    """

    def __init__(self, points: np.ndarray, level: Level = Level.FACE, mirror: bool = True) -> None:
        self.points = np.array(points, np.float64)
        self.level = level
        self.mirror = mirror
        self.hovered: tuple[int, ...] = ()
        self.knob: Knob | None = None
        self.active: tuple[int, ...] = ()
        self._drag: Drag | None = None
        self._before: list[np.ndarray] = []
        self._after: list[np.ndarray] = []

    @property
    def dragging(self) -> Drag | None:
        return self._drag

    @property
    def boxed(self) -> tuple[int, ...]:
        """The points that the box with its knobs is around; none where single points are moved."""
        if self.level is Level.FACE:
            return _ALL
        return self.active if self.level is Level.PARTS else ()

    @property
    def meant(self) -> tuple[int, ...]:
        """What keys act on: what is under the mouse, else what was touched last."""
        return _ALL if self.level is Level.FACE else self.hovered or self.active

    def set_level(self, level: Level) -> None:
        """Chooses how much is moved at once; a drag that goes on is left where it is."""
        self.drop()
        self.level, self.hovered, self.knob = level, (), None
        kept = next((part for part in PARTS.values() if set(self.active) <= set(part)), ())
        self.active = {Level.FACE: (), Level.PARTS: kept, Level.POINTS: self.active[:1]}[level]

    def hover(self, place: np.ndarray, reach: float) -> None:
        """Notes what is under the mouse, at a place (2,); `reach` is how far beside counts, pixels."""
        if self._drag is None:
            self.knob = self._knob_at(place, reach)
            self.hovered = () if self.knob is not None else self._points_at(place, reach)

    def press(self, place: np.ndarray, reach: float) -> bool:
        """Takes hold of what is under the mouse; False where there is nothing."""
        self.hover(place, reach)
        if self.knob is not None:
            self._take_knob(self.knob, place)
        elif self.hovered:
            self.active = () if self.level is Level.FACE else self.hovered
            self._begin(Kind.MOVE, self.hovered, place)
        return self._drag is not None

    def begin(self, kind: Kind, place: np.ndarray) -> bool:
        """Begins to move, scale or turn what is meant, by a key; False where nothing is, or it cannot be done to that."""
        chosen = self.meant
        whole = self.level is Level.FACE
        possible = chosen and (kind is Kind.MOVE or len(chosen) > 1) and (kind is not Kind.TURN or whole)
        if possible and self._drag is None:
            self.active = () if whole else chosen
            self._begin(kind, chosen, place)
        return self._drag is not None

    def change_kind(self, kind: Kind) -> None:
        """Goes on with another kind of drag, from where it was begun: S after G scales instead."""
        drag = self._drag
        if drag is not None:
            self.points = drag.start.copy()
            self._drag = None
            self.begin(kind, drag.mouse)

    def drag_to(self, place: np.ndarray, fine: bool = False) -> None:
        """The mouse is at a place (2,) now; `fine` slows it down."""
        drag = self._drag
        if drag is None:
            return
        drag.place = drag.place + (place - drag.mouse) * (_FINE if fine else 1)
        drag.mouse = place
        self._apply(drag.start, drag.chosen, _CHANGES[drag.kind](drag))

    def drop(self) -> None:
        """Lets go: what was done can be undone from now on."""
        drag, self._drag = self._drag, None
        if drag is not None and not np.array_equal(drag.start, self.points):
            self._keep(drag.start)

    def cancel_drag(self) -> None:
        """Puts back what is being dragged."""
        if self._drag is not None:
            self.points, self._drag = self._drag.start, None

    def nudge(self, offset: tuple[float, float]) -> bool:
        """Moves what is meant by pixels of the photo; False where nothing is."""
        chosen, start = self.meant, self.points.copy()
        if not chosen or self._drag is not None:
            return False
        self._apply(start, chosen, start[list(chosen)] + (*offset, 0))
        self._keep(start)
        return True

    def replace(self, points: np.ndarray) -> None:
        """Puts all points elsewhere, (70, 3); it can be undone."""
        self.cancel_drag()
        self._keep(self.points)
        self.points = np.array(points, np.float64)

    def undo(self) -> bool:
        """Takes back the last change; False where there is none."""
        return self._step(self._before, self._after)

    def redo(self) -> bool:
        """Does again what was undone last."""
        return self._step(self._after, self._before)

    def _step(self, source: list[np.ndarray], goal: list[np.ndarray]) -> bool:
        self.cancel_drag()
        if source:
            goal.append(self.points)
            self.points = source.pop()
            return True
        return False

    def _keep(self, start: np.ndarray) -> None:
        self._before.append(start)
        self._after.clear()

    def _knob_at(self, place: np.ndarray, reach: float) -> Knob | None:
        if not self.boxed:
            return None
        box = Box.around(self.points, self.boxed)
        near = {knob: float(np.linalg.norm(box.place(knob) - place)) for knob in self.knobs()}
        best = min(near, key=lambda knob: near[knob])
        return best if near[best] <= reach else None

    def knobs(self) -> tuple[Knob, ...]:
        """Those of the box: the head is turned as a whole alone."""
        return tuple(knob for knob in Knob if knob is not Knob.TURN or self.level is Level.FACE)

    def _points_at(self, place: np.ndarray, reach: float) -> tuple[int, ...]:
        away = np.linalg.norm(self.points[:, :2] - place, axis=1)
        if self.level is Level.POINTS:
            nearest = int(away.argmin())
            return (nearest,) if away[nearest] <= reach else ()
        if self.level is Level.FACE:
            return _ALL if away.min() <= reach or Box.around(self.points, _ALL).holds(place) else ()
        part = min(PARTS.values(), key=lambda part: away[list(part)].min())
        return part if away[list(part)].min() <= _PART_REACH * reach else ()

    def _take_knob(self, knob: Knob, place: np.ndarray) -> None:
        box, chosen = Box.around(self.points, self.boxed), self.boxed
        if knob in (Knob.ROLL, Knob.TURN):
            self._begin(Kind.ROLL if knob is Knob.ROLL else Kind.TURN, chosen, place)
            return
        across, down = knob.value
        kind = Kind.SCALE if across and down else Kind.STRETCH
        self._begin(kind, chosen, place, box.opposite(knob), box.axes[0 if across else 1])

    def _begin(
        self, kind: Kind, chosen: tuple[int, ...], place: np.ndarray, pivot: np.ndarray | None = None,
        axis: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        place = np.asarray(place, np.float64)
        centre = Box.around(self.points, chosen).centre if pivot is None else pivot
        along = np.zeros(2) if axis is None else axis
        self._drag = Drag(kind, chosen, self.points.copy(), place, place, place, centre, along)

    def _apply(self, start: np.ndarray, chosen: tuple[int, ...], moved: np.ndarray) -> None:
        """Puts the chosen points at (N, 3), and those on the other side as far from where they were."""
        self.points = start.copy()
        self.points[list(chosen)] = moved
        others = [MIRROR[point] for point in chosen]
        if self.mirror and not set(others) & set(chosen):
            _, across = mirror_line(start)
            offset = moved - start[list(chosen)]
            offset[:, :2] -= 2 * (offset[:, :2] @ across)[:, None] * across
            self.points[others] = start[others] + offset


def _moved(drag: Drag) -> np.ndarray:
    return drag.start[list(drag.chosen)] + (*(drag.place - drag.first), 0)


def _scaled(drag: Drag) -> np.ndarray:
    before, now = (float(np.linalg.norm(place - drag.pivot)) for place in (drag.first, drag.place))
    factor = max(now / max(before, 1e-6), _LEAST_FACTOR)
    points = drag.start[list(drag.chosen)]
    points[:, :2] = drag.pivot + factor * (points[:, :2] - drag.pivot)
    points[:, 2] = points[:, 2].mean() + factor * (points[:, 2] - points[:, 2].mean())
    return points


def _stretched(drag: Drag) -> np.ndarray:
    before, now = (float((place - drag.pivot) @ drag.axis) for place in (drag.first, drag.place))
    factor = max(now / before, _LEAST_FACTOR) if abs(before) > 1e-6 else 1.0
    points = drag.start[list(drag.chosen)]
    along = (points[:, :2] - drag.pivot) @ drag.axis
    points[:, :2] += (factor - 1) * along[:, None] * drag.axis
    return points


def _rolled(drag: Drag) -> np.ndarray:
    before, now = (np.arctan2(*(place - drag.pivot)[::-1]) for place in (drag.first, drag.place))
    sine, cosine = np.sin(now - before), np.cos(now - before)
    points = drag.start[list(drag.chosen)]
    points[:, :2] = drag.pivot + (points[:, :2] - drag.pivot) @ np.array(((cosine, sine), (-sine, cosine)))
    return points


def _turned(drag: Drag) -> np.ndarray:
    """The head turned about its own upright and its own ear-to-ear axis, about the middle of its points."""
    axes = face_axes(drag.start)
    points = drag.start[list(drag.chosen)]
    centre = points.mean(0)
    local = np.column_stack(((points - centre)[:, :2] @ axes.T, points[:, 2] - centre[2]))
    width = max(float(np.ptp(local[:, 1])), 1e-6)
    yaw, pitch = np.radians(_TURN_DEGREES) * (axes @ (drag.place - drag.first)) / width
    about_upright = np.array(((np.cos(yaw), 0, -np.sin(yaw)), (0, 1, 0), (np.sin(yaw), 0, np.cos(yaw))))
    about_ears = np.array(((1, 0, 0), (0, np.cos(pitch), -np.sin(pitch)), (0, np.sin(pitch), np.cos(pitch))))
    local = local @ (about_ears @ about_upright).T
    return centre + np.column_stack((local[:, :2] @ axes, local[:, 2]))


_CHANGES: Final[dict[Kind, Callable[[Drag], np.ndarray]]] = {
    Kind.MOVE: _moved,
    Kind.SCALE: _scaled,
    Kind.STRETCH: _stretched,
    Kind.ROLL: _rolled,
    Kind.TURN: _turned,
}

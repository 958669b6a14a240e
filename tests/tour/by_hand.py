# SPDX-License-Identifier: GPL-3.0-or-later
"""A face that no detector finds, a cat's: its points are placed with mouse and keys, and it moves."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from desktop import PLAN, Steps, at, becomes, box_of, drag, extension, fact, move, place, portrait, press, shot, until

# Where the cat has them, pixels of the picture: the middle of each part, and of single points.
_FACE = (60, 35, 355, 285)  # left, top, right, bottom
_PARTS = {"Right Eye": (172, 116), "Left Eye": (319, 136), "Nose": (256, 205), "Mouth": (253, 268)}
_POINTS = {
    36: (136, 110), 37: (158, 89), 38: (186, 90), 39: (206, 128), 40: (180, 144), 41: (150, 138), 42: (296, 142),
    43: (305, 118), 44: (328, 110), 45: (343, 126), 46: (336, 150), 47: (312, 161),
}  # fmt: skip


def steps() -> Steps:
    with at():
        bpy.ops.portrait.add(filepath=PLAN["animal"], without_waiting=True)
    problems = extension("blender.problems")
    yield from until(lambda: problems.last(portrait().uid) is not None, 120, "the detector's answer")
    fix = problems.last(portrait().uid).fix
    fact("where no face is found, placing the points is offered", fix is problems.Fix.PLACE_POINTS, fix)
    with at():
        bpy.ops.portrait.place_points("INVOKE_DEFAULT")
    yield from until(lambda: _placing() is not None, 10, "the face over the photo")
    yield 1.0
    yield from _face()
    yield from _parts()
    yield from _points()
    yield from press("Return", _on_screen((200, 150)))
    yield from becomes("Enter puts the rig on the points", lambda: portrait().rig is not None and _placing() is None)
    gap = np.abs(portrait().detected_points[list(_POINTS), :2] - np.array(list(_POINTS.values()))).max()
    fact("they lie where they were dragged", gap < 2, f"within {gap:.1f} pixels")
    with at():
        bpy.ops.ed.undo()
        fact("one step of undo takes the rig away", portrait().rig is None)
        bpy.ops.ed.redo()
        fact("and redo brings it back", portrait().rig is not None)


def _face() -> Steps:
    """The whole face: dragged onto the cat's, pulled by two corners, turned; a drag by a key is cancelled."""
    left, top, right, bottom = _FACE
    yield from _drag_points(_annotation().points[:68, :2].mean(0), ((left + right) / 2, (top + bottom) / 2))
    knobs = extension("annotation.box").Knob
    for knob, corner in ((knobs.LEFT_TOP, (left, top)), (knobs.RIGHT_BOTTOM, (right, bottom))):
        box = extension("annotation.box").Box.around(_annotation().points, tuple(range(70)))
        yield from _drag_points(box.place(knob), corner)
    width = np.ptp(_annotation().points[:17, 0])
    fact("corners pull the face as large as the cat's", 200 < width < 300, f"{width:.0f} pixels wide")
    before = _annotation().points.copy()
    yield from press("g", _on_screen((200, 150)))
    yield from move(_on_screen((230, 170)))
    fact("G moves it", not np.allclose(_annotation().points, before))
    yield from press("Escape")
    fact("and Escape puts it back", np.allclose(_annotation().points, before) and _placing() is not None)


def _parts() -> Steps:
    """Parts, each for itself: the cat looks aside, so that its face is not symmetric in the picture."""
    yield from press("2", _on_screen((200, 150)))
    yield from press("m")
    parts = extension("annotation.template").PARTS
    for name, goal in _PARTS.items():
        points = _annotation().points[list(parts[name]), :2]
        yield from _drag_points(points[0], points[0] + goal - points.mean(0))
        gap = np.linalg.norm(_annotation().points[list(parts[name]), :2].mean(0) - goal)
        fact(f"{name} is dragged in one piece", gap < 2, f"{gap:.1f} pixels beside")


def _points() -> Steps:
    """The lids, point by point, with the loupe."""
    yield from press("3", _on_screen((200, 150)))
    for point, goal in _POINTS.items():
        yield from _drag_points(_annotation().points[point, :2], goal)
    at_corner = _on_screen(_POINTS[39])
    yield from move((at_corner[0] - 40, at_corner[1]))
    yield from move(at_corner)
    loupe = _placing().overlay.loupe(1.0)
    fact(
        "the loupe shows what is under the mouse", loupe is not None and np.allclose(loupe.centre, _POINTS[39], atol=1)
    )
    yield from shot("by_hand", [box_of(place("VIEW_3D").area)], over=at_corner)
    yield from press("ctrl+z", at_corner)
    fact("Ctrl Z takes the last point back", not np.allclose(_annotation().points[47, :2], _POINTS[47], atol=1))
    yield from press("ctrl+shift+z")
    fact("and once more brings it again", np.allclose(_annotation().points[47, :2], _POINTS[47], atol=1.5))


def _placing() -> Any:
    return extension("interface.operators.points_with_mouse").PlacingWithMouse.at_work


def _annotation() -> Any:
    return _placing().overlay.annotation


def _on_screen(spot: Any) -> tuple[int, int]:
    """A pixel of the photo."""
    view = place("VIEW_3D")
    return view.pixel(*_placing().overlay.view.to_region(np.array(spot, float)))


def _drag_points(start: Any, end: Any) -> Steps:
    first, last = np.array(_on_screen(start)), np.array(_on_screen(end))
    way = [tuple(np.round(first + share * (last - first)).astype(int)) for share in (0, 0.3, 0.7, 1)]
    yield from drag(way, settle=0.15)

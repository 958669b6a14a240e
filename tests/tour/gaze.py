# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who reads beside the camera looks into it: the filmed gaze gives way to the rig's, which is aimed by its handle."""

from __future__ import annotations

import json
from typing import Any

import bpy
import numpy as np
from acting import grab
from bpy_extras.view3d_utils import location_3d_to_region_2d
from desktop import (
    FOLDER,
    PLAN,
    Place,
    Steps,
    at,
    becomes,
    box_of,
    extension,
    fact,
    place,
    portrait,
    rig,
    shot,
    until,
    window,
)
from mathutils import Vector
from new_scenes import idle, new_file

_FRAME = 11  # where the eyes are farthest beside the camera
_FRAMES = 24
_SHOWN = 1.7  # of both eyes' width, across each view


def steps() -> Steps:
    yield from new_file("gaze")
    with at():
        bpy.ops.portrait.add_shot(filepath=PLAN["reader"], first_frame=1, without_waiting=True)
    yield from until(lambda: portrait() is not None and portrait().rig is not None, 240, "the rig")
    yield from idle()
    scene = window().scene
    scene.frame_start, scene.frame_end = 1, _FRAMES
    scene.frame_set(_FRAME)
    with at():
        bpy.ops.portrait.pose()
    yield 0.5
    before = _beside()
    fact(
        "all the shot long the eyes look beside the camera",
        before.min() > 0.1,
        f"{before.min():.2f} eye widths or more",
    )
    rig()["gaze_replaced"] = 1.0
    rig().update_tag()
    yield from _aim_at_camera()
    left = np.abs(_beside())
    fact("Replace Gaze and the handle aim them at it in every frame", left.max() < 0.05, f"within {left.max():.3f}")
    with at():
        bpy.ops.portrait.render("INVOKE_DEFAULT")
    yield 0.5
    yield from until(lambda: _job().label == "Render" and not _job().active, 240, "the corrected frames")
    fact("all frames are rendered", _job().note.startswith(f"{_FRAMES} frames rendered"), _job().note)
    states = extension("render.frame_states")
    yield from becomes("and told done", lambda: states.line(portrait().uid) == f"{_FRAMES} done", 60)
    yield from _side_by_side()


def _aim_at_camera() -> Steps:
    """Drags the gaze handle a little, looks how far the eyes turned, and drags it the rest of the way."""
    before = _beside()[_FRAME - 1]
    yield from grab("gaze", [(-10, -3), (-20, -6), (-30, -9)])
    went = before - _beside()[_FRAME - 1]
    fact("the gaze handle turns the eyes", went > 0.01, f"{went:.3f} eye widths for 30 pixels")
    rest = 30 * (before - went) / went
    yield from grab("gaze", [(round(-rest * part), 0) for part in (0.25, 0.5, 0.75, 1)])


def _side_by_side() -> Steps:
    """As filmed in an image editor, at the left; as rendered on the plane, at the right."""
    with at():
        bpy.ops.screen.area_split(direction="VERTICAL", factor=0.4)
        bpy.ops.portrait.use_own_colors()
    yield 0.5
    filmed = min((area for area in window().screen.areas if area.type == "VIEW_3D"), key=lambda area: area.x)
    filmed.type = "IMAGE_EDITOR"
    yield 0.5
    window().scene.frame_set(_FRAME)
    eyes = _found().track.points[_FRAME - 1, 36:48, :2]
    middle, across = (eyes.min(0) + eyes.max(0)) / 2, _SHOWN * float(np.ptp(eyes[:, 0]))
    _show_filmed(Place(filmed, next(one for one in filmed.regions if one.type == "WINDOW")), middle, across)
    rendered = place("VIEW_3D")
    yield from _show_rendered(rendered, middle, across)
    yield from shot("gaze", [box_of(filmed), box_of(rendered.area)], compiling=True)


def _show_filmed(editor: Place, middle: np.ndarray, across: float) -> None:
    space, film = editor.area.spaces.active, portrait().shot.picture
    space.image = film
    space.image_user.frame_start, space.image_user.frame_duration = 1, _FRAMES
    space.image_user.use_auto_refresh = True
    with bpy.context.temp_override(window=window(), area=editor.area, region=editor.region, space_data=space):
        bpy.ops.image.view_zoom_ratio(ratio=editor.region.width / across)
        bpy.ops.image.view_pan(offset=(middle[0] - film.size[0] / 2, film.size[1] / 2 - middle[1]))


def _show_rendered(editor: Place, middle: np.ndarray, across: float) -> Steps:
    """Without the rig's handles, which would cover the eyes."""
    space, region, plane, metres = editor.area.spaces.active, editor.region, portrait().plane, _space().metres_per_pixel
    space.overlay.show_overlays = space.show_gizmo = space.show_region_toolbar = False
    yield 0.5
    viewport, view = extension("portraits.viewport"), space.region_3d
    free = viewport.free_part(editor.area, region)
    viewport.look_from_front(space, region.width, region.height, portrait(), free)
    yield 0.5
    spots = [
        plane.matrix_world @ Vector(_space().to_local(np.array([middle[0] + right, middle[1]]))) for right in (0, 1)
    ]
    seen = [location_3d_to_region_2d(region, view, spot) for spot in spots]
    wanted = (free.right - free.left) / across
    view.view_distance *= (seen[1].x - seen[0].x) / wanted
    aside = Vector(((free.left + free.right - region.width) / 2, (free.bottom + free.top - region.height) / 2, 0))
    view.view_location = spots[0] - view.view_rotation @ (aside * metres / wanted)
    yield 0.5


def _space() -> Any:
    return portrait().space


def _job() -> Any:
    return extension("jobs.job_queue").last_of(portrait().uid)


def _beside() -> np.ndarray:
    """How far beside the camera the eyes look in each frame, as changed, in eye widths: (T,)."""
    acted = np.array(json.loads((FOLDER / "reader.json").read_text(encoding="utf-8")))
    return acted + (_aims(_changed()) - _aims(_found().track.points)).mean(1)


def _found() -> Any:
    return extension("portraits.shot_parts").points_of(portrait())


def _changed() -> np.ndarray:
    """The points as they shall be in each frame of the shot, (T, 70, 3)."""
    rows = range(_FRAMES)
    sampled = dict(extension("rig.sampling").sample_rows(window().scene, rig(), _space(), [row + 1 for row in rows]))
    return _found().targets(rows, [sampled[row + 1] for row in rows])


def _aims(points: np.ndarray) -> np.ndarray:
    """Where both pupils lie along the line between their eyes' corners, (T, 2), in eye widths from the picture's left one."""
    places = []
    for pupil, left, right in ((68, 36, 39), (69, 42, 45)):
        along = points[:, right, :2] - points[:, left, :2]
        places.append(((points[:, pupil, :2] - points[:, left, :2]) * along).sum(1) / (along**2).sum(1))
    return np.stack(places, 1)

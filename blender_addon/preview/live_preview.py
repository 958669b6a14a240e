# SPDX-License-Identifier: GPL-3.0-or-later
"""The live previews that are on, and the timer and handlers that keep them going.

Blender's handlers only note that something changed. A timer samples the rig as it stands, hands the points to a
thread that owns the connection, and puts the newest picture that has come back on the plane. When a viewport is about
to be drawn, its pose is asked for at once, because drawing may take longer than the engine. Where it does, as without a
graphics card, Blender is held up for a small part of that time until the picture is there: else the picture would show
one drawing late.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import bpy
from bpy.app.handlers import persistent
from portrait_shared.errors import PortraitError

from ..blender.redraw import redraw_areas
from ..connection import server
from ..plane import image_plane
from ..portraits import groups
from ..portraits.properties import PORTRAIT_PG_portrait
from ..portraits.scene_portraits import all_portraits, find_portrait
from ..rig import sampling
from .portrait_preview import PortraitPreview, Replaced
from .preview_worker import Trouble

_TICK_SECONDS: Final = 0.01
_RESTING_TICK_SECONDS: Final = 0.1
_SLOW_DRAWING_SECONDS: Final = 0.08
_WAITED_SHARE: Final = 0.4  # of the time that drawing takes
_LONGEST_WAIT_SECONDS: Final = 0.06
_LOOK_SECONDS: Final = 0.002
_DRAWN_AREAS: Final = ("VIEW_3D", "IMAGE_EDITOR")

_previews: dict[str, PortraitPreview] = {}
_reasons_to_rest: set[str] = set()
_draw_handler: Any = None
_drawing_since: float | None = None
_drawing_took = 0.0


def start(uid: str, launch: server.Launch) -> None:
    """Turns the preview of a portrait on, and so of all portraits of the same photo."""
    uid = groups.lead_uid(uid)
    if uid not in _previews:
        _previews[uid] = PortraitPreview(uid, launch)
    if not bpy.app.background and not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=0.0, persistent=True)
        _watch_drawing(True)


def stop(uid: str) -> None:
    """Turns it off: the plane shows again what it showed before."""
    uid = groups.lead_uid(uid)
    preview = _previews.pop(uid, None)
    if preview is None:
        return
    preview.stop()
    _uncover(uid)
    image_plane.remove_preview(uid)


def stop_all() -> None:
    for uid in list(_previews):
        stop(uid)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    _watch_drawing(False)


def of(uid: str) -> PortraitPreview | None:
    """The portrait's preview, or None where it is off."""
    return _previews.get(groups.lead_uid(uid))


def pump() -> bool:
    """One tick of all previews; whether there is anything new to draw. Blender's timer calls it."""
    fresh = False
    for uid, preview in list(_previews.items()):
        found = find_portrait(uid)
        if found is None:
            stop(uid)
            continue
        try:
            fresh |= preview.tick(*found, rests=bool(_reasons_to_rest))
        except Replaced:
            stop(uid)
        except PortraitError as error:
            preview.trouble = Trouble(error, lost=False)
    return fresh


def _uncover(uid: str) -> None:
    found = find_portrait(uid)
    if found is not None:
        _take_off(found[1])


def _take_off(portrait: PORTRAIT_PG_portrait) -> None:
    try:
        image_plane.end_preview(portrait.plane, portrait.photo)
    except PortraitError:
        return  # a plane without a material shows no picture


def _on_timer() -> float | None:
    _note_drawn()
    if not _previews:
        _watch_drawing(False)
        return None
    if bpy.app.is_job_running("RENDER"):
        return _RESTING_TICK_SECONDS
    lines = [preview.line for preview in _previews.values()]
    if pump() or lines != [preview.line for preview in _previews.values()]:
        redraw_areas(_DRAWN_AREAS)
    return _TICK_SECONDS


def _watch_drawing(on: bool) -> None:
    global _draw_handler, _drawing_since, _drawing_took
    _drawing_since, _drawing_took = None, 0.0
    if on and _draw_handler is None:
        _draw_handler = bpy.types.SpaceView3D.draw_handler_add(_before_draw, (), "WINDOW", "PRE_VIEW")
    elif not on and _draw_handler is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_draw_handler, "WINDOW")
        _draw_handler = None


def _before_draw() -> None:
    global _drawing_since
    _drawing_since = _drawing_since or time.monotonic()
    _ask_before_draw()


def _note_drawn() -> None:
    """Measures how long the last drawing took: timers run between drawings."""
    global _drawing_since, _drawing_took
    if _drawing_since is not None:
        _drawing_took, _drawing_since = time.monotonic() - _drawing_since, None


def _ask_before_draw() -> None:
    if _reasons_to_rest or bpy.app.is_job_running("RENDER"):
        return
    for uid, preview in _previews.items():
        found = find_portrait(uid)
        if found is None:
            continue
        try:
            preview.ask_before_draw(*found)
        except PortraitError:  # a broken rig: the next tick tells of it
            continue


def _wait_before_slow_draw() -> None:
    """Puts pictures on their planes before Blender draws, where that takes it long and the engine is quick."""
    if _drawing_took < _SLOW_DRAWING_SECONDS or sampling.is_at_work():
        return
    if threading.current_thread() is not threading.main_thread():  # a render's own evaluation
        return
    _ask_before_draw()
    end = time.monotonic() + min(_LONGEST_WAIT_SECONDS, _WAITED_SHARE * _drawing_took)
    waiting = {uid: preview for uid, preview in _previews.items() if preview.awaits_soon}
    while waiting and not _reasons_to_rest:
        for uid, preview in list(waiting.items()):
            found = find_portrait(uid)
            try:
                done = found is None or preview.show_before_draw(found[1])
            except PortraitError:  # a plane without its material: the next tick tells of it
                done = True
            if done:
                del waiting[uid]
        if time.monotonic() >= end:
            return
        time.sleep(_LOOK_SECONDS)


# Handlers: Blender calls them in the middle of its own work, some from another thread, so they do as little as they can.


@persistent
def _on_change(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    if _previews and (depsgraph is None or depsgraph.id_type_updated("SCENE") or sampling.may_move(depsgraph)):
        _on_frame()


@persistent
def _on_frame(*_: object) -> None:
    for preview in _previews.values():
        preview.note_change()
    if _previews:
        _wait_before_slow_draw()


@persistent
def _before_undo(*_: object) -> None:
    """Takes the pictures off: they are in no undo step, so undo would free them while planes still point at them."""
    for uid in _previews:
        _uncover(uid)


@persistent
def _on_undo(*_: object) -> None:
    for preview in _previews.values():
        preview.note_undo()
    _take_off_leftovers()


@persistent
def _before_load(*_: object) -> None:
    for preview in _previews.values():
        preview.stop()
    _previews.clear()
    _reasons_to_rest.clear()


@persistent
def _after_load(*_: object) -> None:
    """A file of Blender's auto-save may hold a plane with a live picture."""
    _take_off_leftovers()


@persistent
def _before_save(*_: object) -> None:
    _rest("save")


@persistent
def _after_save(*_: object) -> None:
    _reasons_to_rest.discard("save")


@persistent
def _before_render(*_: object) -> None:
    _rest("render")


@persistent
def _after_render(*_: object) -> None:
    _reasons_to_rest.discard("render")


def _rest(reason: str) -> None:
    _reasons_to_rest.add(reason)
    for uid, preview in _previews.items():
        _uncover(uid)
        preview.note_undo()


def _take_off_leftovers() -> None:
    for _, portrait in all_portraits():
        if portrait.lead.uid not in _previews and portrait.plane is not None:
            _take_off(portrait)


HANDLERS: Final = (
    (bpy.app.handlers.depsgraph_update_post, _on_change),
    (bpy.app.handlers.frame_change_post, _on_frame),
    (bpy.app.handlers.undo_pre, _before_undo),
    (bpy.app.handlers.redo_pre, _before_undo),
    (bpy.app.handlers.undo_post, _on_undo),
    (bpy.app.handlers.redo_post, _on_undo),
    (bpy.app.handlers.load_pre, _before_load),
    (bpy.app.handlers.load_post, _after_load),
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
    (bpy.app.handlers.save_post_fail, _after_save),
    (bpy.app.handlers.render_init, _before_render),
    (bpy.app.handlers.render_complete, _after_render),
    (bpy.app.handlers.render_cancel, _after_render),
)

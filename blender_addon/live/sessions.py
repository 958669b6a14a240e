# SPDX-License-Identifier: GPL-3.0-or-later
"""The portraits that are driven live, and the timer and handlers that keep them going.

A timer takes what sources have sent, and sets the rigs. Where a frame is evaluated, keys set them too: a handler then
sets them to the performance again, before anything is drawn. Nothing is keyed, and what a rig was set to before is put
back in the end, and while Blender saves or renders.
"""

from __future__ import annotations

import time
from typing import Final

import bpy
from bpy.app.handlers import persistent
from portrait_shared.errors import PortraitError

from ..blender import problems
from ..blender.redraw import redraw_areas
from ..blender.scene_time import scene_fps
from ..connection import server
from ..portraits.properties import PORTRAIT_PG_portrait
from ..portraits.scene_portraits import all_portraits, find_portrait
from ..preview import live_preview
from ..rig import sampling
from . import countdown, kept_takes, rig_values
from .playback import ScenePlayback
from .recorded import Recorded
from .recorder import Plan, Recorder
from .session import LiveSession
from .source import LiveSource

_TICK_SECONDS: Final = 0.008
_REDRAWN: Final = ("VIEW_3D", "SEQUENCE_EDITOR")
_TOLD_SECONDS: Final = 0.25
_MOST_ORPHANS: Final = 8

_sessions: dict[str, LiveSession] = {}
_orphans: dict[str, Recorded] = {}
_reasons_to_rest: set[str] = set()
_told_at = 0.0


def of(uid: str) -> LiveSession | None:
    """The session that drives a portrait; None where none does."""
    return _sessions.get(uid)


def connect(uid: str, source: LiveSource, launch: server.Launch | None = None) -> LiveSession:
    """Lets a source drive a portrait from now on, and the live preview follow.

    Args:
        launch: how the preview's server is started; None leaves the preview as it is.

    Raises:
        PortraitError: see `LiveSession.connect`; SCENE where there is no such portrait.
    """
    found = find_portrait(uid)
    if found is None:
        raise problems.SceneError("The portrait was removed.", "Choose another one.")
    session = _sessions.get(uid) or LiveSession(uid)
    session.connect(*found, source)
    _sessions[uid] = session
    if launch is not None and live_preview.of(uid) is None:
        live_preview.start(uid, launch)
        session.switched_preview_on = True
    if not bpy.app.background and not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=0.0, persistent=True)
    return session


def disconnect(uid: str) -> None:
    """Ends a portrait's sources; a recording that goes on becomes a take, and the rig is as it was before."""
    session = _sessions.pop(uid, None)
    if session is None:
        return
    found = find_portrait(uid)
    if found is not None:
        if session.recorder is not None and session.finish(found[1], time.monotonic()):
            _note_step("Record Take")
        session.rest(found[1])
    session.end()
    countdown.show(None)
    if session.switched_preview_on:
        live_preview.stop(uid)


def disconnect_all() -> None:
    for uid in list(_sessions):
        disconnect(uid)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)


def record(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, frame: int, plays: bool) -> Recorder:
    """Begins a recording onto the scene's frames from `frame` on.

    Args:
        plays: let the scene play, in Blender's window.

    Raises:
        PortraitError: SCENE where nothing drives the portrait, or no further take can be kept.
    """
    session = of(portrait.uid)
    if session is None:
        raise problems.SceneError("Nothing drives the portrait.", "Connect a phone, a camera or a controller first.")
    kept_takes.check_room(portrait)
    if session.recorder is not None:
        stop_recording(portrait.uid)
    live = portrait.live
    last = scene.frame_preview_end if scene.use_preview_range else scene.frame_end
    endless = live.past_end or frame >= last
    plan = Plan(
        frame, None if endless else last, scene_fps(scene), live.count_in, 60 / live.tempo,
        live.pre_roll if plays else 0, live.delay_ms / 1000,
    )  # fmt: skip
    playback = ScenePlayback(scene, past_end=endless) if plays else None
    recorder = Recorder(plan, playback, time.monotonic())
    session.begin(recorder, playback)
    return recorder


def stop_recording(uid: str) -> bool:
    """Ends a portrait's recording; whether there is a take of it."""
    session, found = of(uid), find_portrait(uid)
    if session is None or found is None:
        return False
    countdown.show(None)
    made = session.finish(found[1], time.monotonic())
    if made:
        _note_step("Record Take")
    return made


def drive(uid: str, on: bool) -> None:
    """Lets the rig follow its sources, or show its keys."""
    session, found = of(uid), find_portrait(uid)
    if session is None or found is None:
        return
    session.drives = on
    if on:
        session.show(found[1])
    else:
        session.rest(found[1])
    _follow(uid)


def pump() -> bool:
    """One tick of all sessions; whether a rig was changed. Blender's timer calls it."""
    changed = False
    for uid, session in list(_sessions.items()):
        found = find_portrait(uid)
        if found is None:
            _orphan(uid, session)
            continue
        was = session.recorder
        try:
            preview = live_preview.of(uid)
            waits = preview is not None and preview.is_full
            if session.tick(*found, rests=bool(_reasons_to_rest), waits=waits):
                changed = True
                _follow(uid)
        except PortraitError as error:
            problems.keep(uid, error)
            session.drives = False
        if was is not None and session.recorder is None:
            countdown.show(None)
            if session.last_note:
                _note_step("Record Take")
    _count()
    return changed


def _follow(uid: str) -> None:
    preview = live_preview.of(uid)
    if preview is not None:
        preview.note_change()


def _count() -> None:
    now = time.monotonic()
    counting = [session.recorder.beats_left(now) for session in _sessions.values() if session.recorder is not None]
    countdown.show(max(counting) if counting and max(counting) > 0 else None)


def _orphan(uid: str, session: LiveSession) -> None:
    """The portrait was removed: what was recorded waits for undo to bring it back."""
    del _sessions[uid]
    if session.recorder is not None:
        session.recorder.stop(time.monotonic(), "The portrait was removed.")
        recorded = session.recorded()
        if recorded is not None:
            _orphans[uid] = recorded
            while len(_orphans) > _MOST_ORPHANS:
                del _orphans[next(iter(_orphans))]
        problems.keep(
            "",
            problems.SceneError(
                "The portrait that was recorded onto was removed.", "Undo that: its take then comes back with it."
            ),
        )
    session.end()
    countdown.show(None)


def _adopt_orphans() -> None:
    for uid in list(_orphans):
        found = find_portrait(uid)
        if found is not None:
            kept_takes.put(found[1], _orphans.pop(uid))


def _note_step(name: str) -> None:
    """A step for undo, after something that no operator did."""
    if not bpy.app.background and bpy.context.window is not None:
        bpy.ops.ed.undo_push(message=name)


def _on_timer() -> float | None:
    global _told_at
    if not _sessions:
        return None
    if bpy.app.is_job_running("RENDER"):
        return 0.1
    if pump():
        live_preview.pump()
    if time.monotonic() - _told_at > _TOLD_SECONDS:  # how sources are doing
        _told_at = time.monotonic()
        redraw_areas(_REDRAWN)
    return _TICK_SECONDS


# Handlers: Blender calls them in the middle of its own work, so they do as little as they can.


@persistent
def _on_frame(scene: bpy.types.Scene, *_: object) -> None:
    if sampling.is_at_work() or "render" in _reasons_to_rest:
        return
    for uid, session in _sessions.items():
        found = find_portrait(uid)
        if found is None or found[0] != scene:
            continue
        if session.recorder is not None and session.playback is not None:
            session.recorder.note_frame(time.monotonic(), scene.frame_current)
        if not _reasons_to_rest:
            session.show(found[1])


@persistent
def _on_undo(*_: object) -> None:
    _adopt_orphans()
    _put_back_leftovers()
    for uid, session in _sessions.items():
        found = find_portrait(uid)
        if found is not None:
            session.show(found[1])


@persistent
def _before_load(*_: object) -> None:
    for session in _sessions.values():
        session.end()
    _sessions.clear()
    _orphans.clear()
    _reasons_to_rest.clear()
    countdown.show(None)


@persistent
def _after_load(*_: object) -> None:
    """A file of Blender's auto-save may hold a rig that was driven."""
    _put_back_leftovers()


@persistent
def _before_save(*_: object) -> None:
    for uid, session in _sessions.items():
        found = find_portrait(uid)
        if found is not None:
            session.keep_so_far(found[1])
            if session.playback is not None:
                session.playback.take_off()
    _rest("save")


@persistent
def _after_save(*_: object) -> None:
    _reasons_to_rest.discard("save")
    for session in _sessions.values():
        if session.playback is not None and session.playback.plays():
            session.playback.put_on()


@persistent
def _before_render(*_: object) -> None:
    _rest("render")


@persistent
def _after_render(*_: object) -> None:
    _reasons_to_rest.discard("render")


def _rest(reason: str) -> None:
    _reasons_to_rest.add(reason)
    for uid, session in _sessions.items():
        found = find_portrait(uid)
        if found is not None:
            session.rest(found[1])


def _put_back_leftovers() -> None:
    for _, portrait in all_portraits():
        if portrait.rig is not None and portrait.uid not in _sessions and rig_values.is_driven(portrait.rig):
            rig_values.put_back(portrait.rig)


HANDLERS: Final = (
    (bpy.app.handlers.frame_change_post, _on_frame),
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
"""Before those of the live preview: it is to see what they set."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The portraits that are driven live, and the timer that keeps them going: it takes what sources have sent, and sets the
rigs.

Nothing is keyed, and what a rig was set to before is put back in the end, and while Blender saves or renders; see
`session_events`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import bpy
from portrait_shared.errors import PortraitError

from ..blender import problems
from ..blender.redraw import redraw_areas
from ..blender.scene_time import scene_fps
from ..connection import server
from ..portraits.properties import PORTRAIT_PG_portrait
from ..portraits.scene_portraits import find_portrait
from ..preview import live_preview
from . import countdown, kept_takes
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
_told_at = 0.0
reasons_to_rest: set[str] = set()
"""What Blender does that needs the rigs as they are without a performance: “save”, “render”."""


def of(uid: str) -> LiveSession | None:
    """The session that drives a portrait; None where none does."""
    return _sessions.get(uid)


def with_portraits() -> Iterator[tuple[LiveSession, bpy.types.Scene, PORTRAIT_PG_portrait]]:
    """All sessions whose portraits are there."""
    for uid, session in list(_sessions.items()):
        found = find_portrait(uid)
        if found is not None:
            yield session, *found


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


def forget_all() -> None:
    """Ends all sources, and leaves the rigs alone: another file is loaded."""
    for session in _sessions.values():
        session.end()
    _sessions.clear()
    _orphans.clear()
    reasons_to_rest.clear()
    countdown.show(None)


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
            if session.tick(*found, rests=bool(reasons_to_rest), waits=waits):
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


def adopt_orphans() -> None:
    """Gives portraits that undo has brought back what was recorded onto them."""
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

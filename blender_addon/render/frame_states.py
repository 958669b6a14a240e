# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each frame of a portrait: queued, rendering, done, stale, failed or missing.

A frame is done where its file carries the content hash that its landmarks, photo, engine and settings give now.
That is found out in slices on a timer: the rig's curves tell which frames an edit touches, only those are sampled,
and a thread looks at the files.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import groupby
from typing import Final

import bpy
from bpy.app.handlers import persistent
from portrait_shared.errors import PortraitError

from ..jobs import job_queue
from ..portraits import groups, sequencer
from ..portraits.scene_portraits import portraits_of
from ..rig import sampling
from . import frame_display
from .frame_keys import note_change as note_outside_change
from .frame_watch import FrameState, Watch

_SLICE_SECONDS: Final = 0.006
_TICK_SECONDS: Final = 0.1
_SETTLED_SECONDS: Final = 0.25
_IDLE_SECONDS: Final = 2.0


_watches: dict[str, Watch] = {}
_changed_at = 0.0


def of(uid: str) -> Watch:
    """What is known of a portrait's frames; they are those of all portraits of the same photo."""
    uid = groups.lead_uid(uid)
    return _watches.setdefault(uid, Watch(uid))


def counts(uid: str) -> dict[FrameState, int]:
    """How many frames are in each state."""
    return dict(Counter(of(uid).states.values()))


def line(uid: str) -> str:
    """In words: “48 done, 3 stale, 2 failed”; empty where nothing is known."""
    found = counts(uid)
    return ", ".join(f"{found[state]} {state}" for state in FrameState if state in found)


def runs(uid: str) -> list[tuple[int, int, FrameState]]:
    """Stretches of frames in one state: (first, last, state)."""
    found = []
    for state, group in groupby(of(uid).states.items(), key=lambda item: item[1]):
        frames = [frame for frame, _ in group]
        found.append((frames[0], frames[-1], state))
    return found


def pump(budget_seconds: float = _SLICE_SECONDS) -> bool:
    """Works on all portraits for about that long; whether any state changed. Blender's timer calls it."""
    deadline = time.monotonic() + budget_seconds
    settled = time.monotonic() - _changed_at > _SETTLED_SECONDS
    changed = False
    there = set()
    for scene in bpy.data.scenes:
        for portrait in portraits_of(scene).items:
            if portrait.rig is None or portrait != portrait.lead:
                continue
            there.add(portrait.uid)
            watch = of(portrait.uid)
            try:
                changed |= watch.update(scene, portrait, deadline, settled, _may_sample())
            except PortraitError:  # the panel says why it cannot be rendered
                changed |= bool(watch.states)
                watch.states, watch.hint = {}, ""
            if watch.files is not None:
                folder, numbers = watch.files
                numbers = [number for number in numbers if watch.states.get(number) is not FrameState.AS_FILMED]
                changed |= frame_display.follow(
                    scene, portrait, folder, numbers, portrait.frame_prefix, portrait.frame_suffix
                )
            sequencer.fit_strips(portrait.group_uid)
        if scene.library is None:
            sequencer.give_back_missing_media(scene)
    for uid in set(_watches) - there:
        del _watches[uid]
    return changed


def _may_sample() -> bool:
    """Sampling changes the frame for a moment: only while the user does nothing that it could disturb."""
    if job_queue.current() is not None or time.monotonic() - _changed_at < _IDLE_SECONDS:
        return False
    if bpy.app.is_job_running("RENDER"):
        return False
    windows = bpy.context.window_manager.windows
    return not any(window.modal_operators or window.screen.is_animation_playing for window in windows)


@persistent
def _on_change(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    global _changed_at
    if sampling.is_at_work():
        return
    if depsgraph is None or sampling.may_move(depsgraph):
        _changed_at = time.monotonic()
        note_outside_change()
        for watch in _watches.values():
            watch.note_change()


@persistent
def _on_frame(*_: object) -> None:
    global _changed_at
    if not sampling.is_at_work():
        _changed_at = time.monotonic()  # scrubbing moves nothing, but must not be disturbed


@persistent
def _before_load(*_: object) -> None:
    _watches.clear()


@persistent
def _after_undo(scene: bpy.types.Scene, *_: object) -> None:
    _on_change(scene)


HANDLERS: Final = (
    (bpy.app.handlers.depsgraph_update_post, _on_change),
    (bpy.app.handlers.frame_change_post, _on_frame),
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_undo),
    (bpy.app.handlers.load_pre, _before_load),
)


def _on_timer() -> float:
    if pump():
        job_queue.redraw()
    return _TICK_SECONDS


def register() -> None:
    if not bpy.app.background:
        bpy.app.timers.register(_on_timer, first_interval=_TICK_SECONDS, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    _watches.clear()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of this Blender, one at a time: driven by a timer where there is a window, by a loop where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable

import bpy

from ..blender.redraw import redraw_areas
from .job import Job

_TICK_SECONDS = 0.05
_SLICE_SECONDS = 0.03
_BLOCKING_SLICE_SECONDS = 1.0
_ABANDON_TIMEOUT_SECONDS = 3.0
_REDRAW_SECONDS = 0.2
_KEPT_JOBS = 8
_DRAWN_AREAS = ("VIEW_3D", "SEQUENCE_EDITOR", "IMAGE_EDITOR", "DOPESHEET_EDITOR")

_jobs: list[Job] = []
_drawn_at = 0.0
_drawn: tuple = ()


def submit(job: Job) -> None:
    """Puts a job at the end of the queue and lets the timer work on it."""
    _keep(job)
    if not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=0.0)


def run(job: Job, progress: Callable[[Job], None] = lambda job: None) -> None:
    """Works a job off and returns when it ended: for scripts and for Blender without a window.

    Args:
        progress: called after each slice of work.
    """
    _keep(job)
    try:
        while job.active:
            job.tick(_BLOCKING_SLICE_SECONDS)
            _push_undo(job)
            progress(job)
            if job.active:
                time.sleep(0.01)
    finally:
        if job.active:  # Ctrl-C
            job.abandon(_ABANDON_TIMEOUT_SECONDS)


def _keep(job: Job) -> None:
    """Adds a job and forgets the oldest that have ended; one that still runs is kept, so that it can be ended."""
    ended = [job for job in _jobs if not job.active]
    for old in ended[: max(0, len(_jobs) + 1 - _KEPT_JOBS)]:
        _jobs.remove(old)
    _jobs.append(job)


def current() -> Job | None:
    """The job being worked on, or the next one."""
    return next((job for job in _jobs if job.active), None)


def active_of(uid: str) -> Job | None:
    """The portrait's job that is queued or running."""
    return next((job for job in _jobs if job.active and job.concerns(uid)), None)


def last_of(uid: str) -> Job | None:
    """The portrait's latest job, whatever became of it."""
    return next((job for job in reversed(_jobs) if job.concerns(uid)), None)


def waiting() -> list[Job]:
    """Active jobs, the current one first."""
    return [job for job in _jobs if job.active]


def abandon_all() -> None:
    """Ends every job without touching Blender's data."""
    for job in waiting():
        job.cancel()
    for job in waiting():
        job.abandon(_ABANDON_TIMEOUT_SECONDS)
    _jobs.clear()
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)


def redraw() -> None:
    """Panels do not redraw by themselves after a change made from Python."""
    redraw_areas(_DRAWN_AREAS)


def _on_timer() -> float | None:
    job = current()
    if job is None:
        return None
    windows = bpy.context.window_manager.windows
    if windows and bpy.context.window is None:  # timers run without one, and operators need it
        with bpy.context.temp_override(window=windows[0]):
            job.tick(_SLICE_SECONDS)
    else:
        job.tick(_SLICE_SECONDS)
    _push_undo(job)
    _redraw_if_changed(job)
    return _TICK_SECONDS if current() is not None else None


def _push_undo(job: Job) -> None:
    if job.take_undo_step():
        bpy.ops.ed.undo_push(message=f"{job.label} Portrait")


def _redraw_if_changed(job: Job) -> None:
    """Not at each tick: a viewport may take longer to draw than a slice of work."""
    global _drawn, _drawn_at
    now = (job.uid, job.state, job.note, job.progress)
    if now != _drawn and (not job.active or time.monotonic() - _drawn_at > _REDRAW_SECONDS):
        _drawn = now
        redraw()
        _drawn_at = time.monotonic()

# SPDX-License-Identifier: GPL-3.0-or-later
"""All handlers of the extension, and its own for files: jobs end on loading, and show all their frames before saving."""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from .blender import problems
from .export import verify_job
from .interface import face_marks
from .jobs import job_queue
from .live import session_events, sessions
from .portraits import portrait_copies, project_paths, scene_portraits
from .preview import live_preview, on_air
from .render import frame_band, frame_display, frame_states, recognition, session_frames
from .render.render_job import RenderJob


@persistent
def _before_load(*_: object) -> None:
    job_queue.abandon_all()
    problems.forget_all()
    verify_job.forget()


@persistent
def _before_save(*_: object) -> None:
    """The plane and the strip may lag behind the folder: the saved file has all frames that are there."""
    job = job_queue.current()
    if isinstance(job, RenderJob) and job.is_in_file():
        job.show()


@persistent
def _after_save(*_: object) -> None:
    problems.forget_mended(problems.Fix.SAVE)


_HANDLERS = (
    (bpy.app.handlers.load_pre, _before_load),
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
    *scene_portraits.HANDLERS,
    *portrait_copies.HANDLERS,
    *session_events.HANDLERS,
    *live_preview.HANDLERS,
    *on_air.HANDLERS,
    *frame_states.HANDLERS,
    *frame_display.HANDLERS,
    *recognition.HANDLERS,
    *project_paths.HANDLERS,
    *session_frames.HANDLERS,
)


def register() -> None:
    for handlers, handler in _HANDLERS:
        if handler not in handlers:
            handlers.append(handler)
    frame_states.register()
    frame_band.register()
    recognition.register()
    face_marks.register()


def unregister() -> None:
    face_marks.unregister()
    recognition.unregister()
    frame_band.unregister()
    frame_states.unregister()
    job_queue.abandon_all()
    sessions.disconnect_all()
    live_preview.stop_all()
    on_air.stop_all()
    for handlers, handler in _HANDLERS:
        if handler in handlers:
            handlers.remove(handler)

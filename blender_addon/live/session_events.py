# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender tells of frames, undo, files and renders, as far as portraits that are driven live need to know.

Where a frame is evaluated, keys set the rigs: they are set to the performance again before anything is drawn. Blender
calls these handlers in the middle of its own work, so they do as little as they can.
"""

from __future__ import annotations

import time
from typing import Final

import bpy
from bpy.app.handlers import persistent

from ..portraits.scene_portraits import all_portraits
from ..rig import sampling
from . import rig_values, sessions


@persistent
def _on_frame(scene: bpy.types.Scene, *_: object) -> None:
    if sampling.is_at_work() or "render" in sessions.reasons_to_rest:
        return
    for session, of_scene, portrait in sessions.with_portraits():
        if of_scene != scene:
            continue
        if session.recorder is not None and session.playback is not None:
            session.recorder.note_frame(time.monotonic(), scene.frame_current)
        if not sessions.reasons_to_rest:
            session.show(portrait)


@persistent
def _on_undo(*_: object) -> None:
    sessions.adopt_orphans()
    _put_back_leftovers()
    for session, _scene, portrait in sessions.with_portraits():
        session.show(portrait)


@persistent
def _before_load(*_: object) -> None:
    sessions.forget_all()


@persistent
def _after_load(*_: object) -> None:
    """A file of Blender's auto-save may hold a rig that was driven."""
    _put_back_leftovers()


@persistent
def _before_save(*_: object) -> None:
    for session, _scene, portrait in sessions.with_portraits():
        session.keep_so_far(portrait)
        if session.playback is not None:
            session.playback.take_off()
    _rest("save")


@persistent
def _after_save(*_: object) -> None:
    sessions.reasons_to_rest.discard("save")
    for session, _scene, _portrait in sessions.with_portraits():
        if session.playback is not None and session.playback.plays():
            session.playback.put_on()


@persistent
def _before_render(*_: object) -> None:
    _rest("render")


@persistent
def _after_render(*_: object) -> None:
    sessions.reasons_to_rest.discard("render")


def _rest(reason: str) -> None:
    sessions.reasons_to_rest.add(reason)
    for session, _scene, portrait in sessions.with_portraits():
        session.rest(portrait)


def _put_back_leftovers() -> None:
    for _, portrait in all_portraits():
        if portrait.rig is not None and sessions.of(portrait.uid) is None and rig_values.is_driven(portrait.rig):
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

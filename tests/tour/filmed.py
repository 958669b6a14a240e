# SPDX-License-Identifier: GPL-3.0-or-later
"""A filmed shot: added, its performance changed on some frames, previewed, rendered, and seen in the sequencer."""

from __future__ import annotations

from typing import Any

import bpy
from desktop import (
    PLAN,
    Steps,
    at,
    becomes,
    extension,
    fact,
    portrait,
    rig,
    shot,
    until,
    window,
    workspace,
)
from first_frames import viewport_and_sidebar

_START = 1
_SMILE = {8: 0.0, 12: 0.9, 22: 0.9, 26: 0.0}
_LAST = 40


def steps() -> Steps:
    yield from workspace("Layout")
    window().scene.cursor.location = (6.0, 0.0, 0.0)
    with at():
        bpy.ops.portrait.add_shot(filepath=PLAN["movie"], first_frame=_START, without_waiting=True)
    uid = portrait().uid
    fact("the plane plays the shot at once", portrait().shot.is_filmed and rig() is None)
    yield from until(lambda: _job(uid) is not None and not _job(uid).active, 240, "the face in all frames")
    fact("its face was found and the rig rides on it", rig() is not None, _job(uid).note)
    scene = window().scene
    scene.frame_start, scene.frame_end = _START, _LAST
    for side in ("Left", "Right"):
        for frame, value in _SMILE.items():
            rig()[f"mouthSmile{side}"] = value
            rig().keyframe_insert(f'["mouthSmile{side}"]', frame=frame)
    scene.frame_set(17)
    with at():
        bpy.ops.portrait.pose()
    yield from shot("filmed_as_shot", viewport_and_sidebar(), compiling=True)
    yield from _preview()
    yield from _render(uid)
    yield from _edit()


def _preview() -> Steps:
    scene = window().scene
    with at():
        bpy.ops.portrait.preview()
    preview = extension("preview.live_preview").of(portrait().uid)
    yield from until(lambda: bool(preview.latencies), 120, "the first live picture")
    shown = extension("plane.image_plane").shows_preview
    yield from becomes("the plane shows the changed frame live", lambda: shown(portrait().plane), 20)
    yield from shot("filmed_preview")
    scene.frame_set(2)
    yield from becomes("where nothing is changed it shows the shot", lambda: not shown(portrait().plane), 20)
    with at():
        bpy.ops.portrait.preview()


def _render(uid: str) -> Steps:
    with at():
        bpy.ops.wm.save_as_mainfile(filepath=PLAN["folder"] + "/filmed.blend")
        bpy.ops.portrait.render("INVOKE_DEFAULT")
    yield from until(lambda: _job(uid).label == "Render" and not _job(uid).active, 240, "the changed frames")
    fact(
        "only what is changed is rendered",
        _job(uid).note.startswith("17 frames rendered, 23 as filmed"),
        _job(uid).note,
    )
    states = extension("render.frame_states")
    yield from becomes(
        "and told done", lambda: states.line(uid) == "17 done, 23 as filmed", 60, lambda: states.line(uid)
    )
    window().scene.frame_set(17)
    yield from shot("filmed_rendered")


def _edit() -> Steps:
    with at():
        bpy.ops.portrait.add_strip()
    yield from workspace("Video Editing", "Video_Editing")
    strips = extension("blender.compat").strips_of(window().scene.sequence_editor)
    fact(
        "the strip of changed frames lies above the shot", sorted(strip.type for strip in strips) == ["IMAGE", "MOVIE"]
    )
    with at("SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_all()
    yield from shot("filmed_edit", [(0, 0, window().width, window().height)])
    yield from workspace("Layout")


def _job(uid: str) -> Any:
    return extension("jobs.job_queue").last_of(uid)

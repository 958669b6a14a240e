# SPDX-License-Identifier: GPL-3.0-or-later
"""A filmed shot says something else: a sound strip becomes mouth shapes, and the filmed mouth gives way to them."""

from __future__ import annotations

from typing import Any

import bpy
import edit_window as edit
import numpy as np
from acting import render
from desktop import PLAN, Steps, at, extension, fact, portrait, rig, until, window, workspace
from new_scenes import idle, new_file

_LIPS = ((61, 67), (62, 66), (63, 65))
_SHUT, _OPEN = 0.02, 0.06  # of the lips, in distances of the outer corners of the eyes
_FRAMES = 60


def steps() -> Steps:
    yield from new_file("dubbing")
    with at():
        bpy.ops.portrait.add_shot(filepath=PLAN["movie"], first_frame=1, without_waiting=True)
    yield from until(lambda: portrait() is not None and portrait().rig is not None, 240, "the rig")
    yield from idle(240)
    scene = window().scene
    scene.frame_start, scene.frame_end = 1, _FRAMES
    scene.render.resolution_x, scene.render.resolution_y = portrait().frame_size
    with at():
        bpy.ops.portrait.use_own_colors()
        bpy.ops.portrait.add_strip()
    yield from edit.open_window()
    voice = edit.add("sound", filepath=PLAN["voice"], frame_start=1, channel=3)
    edit.choose(voice)
    filmed = _apart()
    with edit.over_timeline():
        bpy.ops.portrait.capture_sound_strip(text=PLAN["said"], without_waiting=True)
    yield from until(lambda: "Capture" in _job().label and not _job().active, 240, "the speech")
    rig()["mouth_replaced"] = 1.0
    rig().update_tag()
    yield 0.5
    dubbed = _apart()
    heard = np.flatnonzero(dubbed > _OPEN)
    fact("the mouth opens for what is said", len(heard) > 3, [int(row) + 1 for row in heard])
    shut = [int(row) + 1 for row in np.flatnonzero((dubbed < _SHUT) & (filmed > _OPEN))]
    fact("and is shut where it says so, though it was filmed open", len(shut) > 1, shut)
    yield from render(editor="SEQUENCE_EDITOR")
    yield from edit.view_all()
    yield from edit.picture("dubbed_open", int(dubbed.argmax()) + 1)
    yield from edit.picture("dubbed_shut", shut[len(shut) // 2])
    yield from workspace("Layout")


def _job() -> Any:
    return extension("jobs.job_queue").last_of(portrait().uid)


def _apart() -> np.ndarray:
    """How far the lips shall be apart in each frame, (T,)."""
    found, rows = extension("portraits.shot_parts").points_of(portrait()), range(_FRAMES)
    frames = [row + 1 for row in rows]
    sampled = dict(extension("rig.sampling").sample_rows(window().scene, rig(), portrait().space, frames))
    points = found.targets(rows, [sampled[frame] for frame in frames])
    gaps = [np.linalg.norm(points[:, upper, :2] - points[:, lower, :2], axis=1) for upper, lower in _LIPS]
    return np.asarray(np.mean(gaps, axis=0) / np.linalg.norm(points[:, 45, :2] - points[:, 36, :2], axis=1))

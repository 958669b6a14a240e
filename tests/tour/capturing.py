# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance from a video becomes keys; then one is set by hand, taken back and set again: what capture.md tells."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import numpy as np
import sidebar
from acting import all_done, frame_files, grab, play, render, save, viewport_and_timeline
from desktop import (
    FOLDER,
    PLAN,
    Steps,
    at,
    becomes,
    box_of,
    extension,
    fact,
    place,
    portrait,
    press,
    report,
    rig,
    settled,
    shot,
    take,
    until,
    window,
    workspace,
)
from first_frames import viewport_and_sidebar


def steps() -> Steps:
    yield from workspace("Layout")
    if not bpy.data.filepath:
        save()
    yield from _capture()
    _hold_against_what_was_acted()
    yield from _editors()
    yield from _edit_by_hand()
    yield from _render()


def _capture() -> Steps:
    with at():
        if rig().mode != "POSE":
            bpy.ops.portrait.pose()
    rig().animation_data.action = None  # a new performance, not one on top of the other
    window().scene.frame_set(1)
    with at():
        bpy.ops.portrait.reset_pose(scope="ALL")
        bpy.ops.portrait.show_photo()
    with at():
        bpy.ops.portrait.capture_video("INVOKE_DEFAULT")
    yield 1.5
    browser = place("FILE_BROWSER")
    movie = Path(PLAN["movie"])
    params = browser.area.spaces.active.params
    params.directory, params.filename = str(movie.parent).encode(), movie.name
    yield 0.5
    left, top, width, _ = place("FILE_BROWSER", "TOOL_PROPS").box
    yield from shot("capture_settings", [(left, top, width, 300)])
    yield from press("Return", browser.point(0.5, 0.5))
    jobs, queue = extension("capture.jobs"), extension("jobs.job_queue")
    yield from until(lambda: queue.active_of(portrait().uid) is not None, 20, "the capture begins")
    job = queue.active_of(portrait().uid)
    yield from until(lambda: not job.active or 0.3 < job.progress < 0.9, 200, "the capture gets on")
    take("capturing", viewport_and_sidebar())
    yield from until(lambda: not job.active, 300, "the capture")
    if job.error is not None:
        raise job.error
    done = jobs.last_report(portrait().uid)
    fact("the performance became keys", done.keys > 20 and done.keys < done.samples, done.line)
    report["figures"]["capture"] = {"keys": done.keys, "values": done.samples, "notes": list(done.notes)}
    scene = window().scene
    scene.frame_start, scene.frame_end = done.frames
    scene.frame_set(sum(done.frames) // 2)
    with at("DOPESHEET_EDITOR"):
        bpy.ops.action.view_all()
    yield from shot("captured", viewport_and_timeline())
    yield from sidebar.picture(
        "capture_panel", ["PORTRAIT_PT_portraits", "PORTRAIT_PT_capture", "PORTRAIT_PT_messages"]
    )


def _curve(path: str, index: int, frames: range) -> np.ndarray:
    """Values of an F-curve; zeros where there is none."""
    for curve in extension("blender.compat").fcurves_of(rig()):
        if curve.data_path == path and curve.array_index == index:
            return np.array([curve.evaluate(frame) for frame in frames])
    return np.zeros(len(frames))


def _hold_against_what_was_acted() -> None:
    if not PLAN["own_movie"]:
        return
    acted = json.loads((FOLDER / "acted.json").read_text(encoding="utf-8"))
    frames = range(1, len(acted["jaw"]) + 1)
    blink = (_curve('["eyeBlinkLeft"]', 0, frames) + _curve('["eyeBlinkRight"]', 0, frames)) / 2
    seen = {
        "jaw": _curve('["jawOpen"]', 0, frames),
        "blink": blink,
        "yaw": -_curve('pose.bones["head"].rotation_euler', 1, frames),
    }
    for name, values in seen.items():
        agreement = float(np.corrcoef(values, acted[name])[0, 1])
        report["figures"]["capture"][f"{name}_correlation"] = round(agreement, 3)
        fact(f"the {name} is as it was acted", agreement > 0.7, f"correlation {agreement:.2f}")
    shut = [blink[np.argmax(acted["blink"][:25])], blink[25 + np.argmax(acted["blink"][25:])]]
    fact("both blinks are kept", min(shut) > 0.5, np.round(shut, 2))


def _editors() -> Steps:
    """The keys as curves, where the viewport was."""
    area = place("VIEW_3D").area
    with at():
        bpy.ops.pose.select_all(action="DESELECT")
    area.type = "GRAPH_EDITOR"
    yield 0.5
    with at("GRAPH_EDITOR") as found:
        found.area.spaces.active.dopesheet.show_only_selected = False
        found.area.spaces.active.show_region_ui = False
        for curve in extension("blender.compat").fcurves_of(rig()):
            curve.hide = curve.data_path not in ('["jawOpen"]', '["eyeBlinkLeft"]')
        bpy.ops.graph.view_all()
    yield from shot("curves", [box_of(area)])
    area.type = "VIEW_3D"
    yield 1.0


def _edit_by_hand() -> Steps:
    """A frown is dragged in, keyed, taken back and set again, all with the keyboard."""
    scene, name = window().scene, "brow_inner.R"
    frame = scene.frame_end - 6
    scene.frame_set(frame)
    yield from settled()
    brow = rig().pose.bones[name]
    keys = len(extension("blender.compat").fcurves_of(rig()))
    middle = place("VIEW_3D").point(0.3, 0.3)
    yield from grab(name, [(0, -step) for step in range(0, 26, 2)])
    yield from becomes("the brow's handle is dragged up", lambda: brow.location.y > 1e-3)
    yield from press("i", middle)
    fcurves_of = extension("blender.compat").fcurves_of
    yield from becomes(
        "the handle is keyed beside the captured keys",
        lambda: len(fcurves_of(rig())) > keys and any(f'"{name}"' in c.data_path for c in fcurves_of(rig())),
    )
    height = brow.location.y
    yield from press("ctrl+z")
    yield from press("ctrl+z")
    yield from becomes("two Ctrl-Z take both back", lambda: abs(rig().pose.bones[name].location.y) < 1e-6)
    yield from press("ctrl+shift+z")
    yield from press("ctrl+shift+z")
    yield from becomes(
        "Shift-Ctrl-Z sets both again",
        lambda: (
            abs(rig().pose.bones[name].location.y - height) < 1e-5
            and any(f'"{name}"' in curve.data_path for curve in fcurves_of(rig()))
        ),
    )
    brow = rig().pose.bones[name]
    for at_frame, part in ((frame - 8, 0.0), (frame, 1.0), (frame + 6, 0.0)):
        brow.location.y = part * height
        brow.keyframe_insert("location", frame=at_frame, group=name)
    scene = window().scene  # undo has made it anew
    captured = sum(curve.data_path.startswith('["') for curve in fcurves_of(rig()))
    fact("the captured keys are still there", captured > 0, f"{captured} curves")
    scene.frame_set(frame)
    yield from shot("edited", viewport_and_timeline())


def _render() -> Steps:
    scene = window().scene
    frames = range(scene.frame_start, scene.frame_end + 1)
    yield from render()
    yield from all_done(frames)
    fact("the performance is rendered", set(frames) <= set(frame_files()), len(frame_files()))
    yield from play("performance", viewport_and_timeline())

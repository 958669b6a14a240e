# SPDX-License-Identifier: GPL-3.0-or-later
"""From an empty scene to the first moving frames with the mouse alone, in the panel, and the clicks counted.

The other chapters call the operators, as scripts do; this one presses the buttons. It comes last, because it begins
with a new file.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import bpy
import sidebar
from desktop import (
    FOLDER,
    PLAN,
    Steps,
    at,
    becomes,
    extension,
    fact,
    place,
    portrait,
    press,
    report,
    shot,
    until,
    window,
)

MOST_CLICKS = 4
_FRAMES = 24  # a second of the demo's motion


def steps() -> Steps:
    bpy.ops.wm.read_homefile()
    yield 2.0
    with at():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
    yield from sidebar.open_tab()
    scene = window().scene
    fact("a new file begins with nothing", not scene.objects and not scene.talking_portraits.items)
    fact("and is not saved", not bpy.data.filepath)

    started = time.monotonic()
    sidebar.clicked.clear()
    yield from sidebar.click("portrait.add")
    yield from choose_file(PLAN["photo"])
    yield from until(lambda: portrait() is not None and portrait().rig is not None, 120, "the rig")
    yield 0.5

    yield from sidebar.click("portrait.demo_motion")
    yield from becomes("Demo Motion keys the rig", lambda: _key_count() > 100, more=_key_count)

    folder = FOLDER / "four_clicks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield from sidebar.click("wm.save_as_mainfile")
    yield from choose_file(str(folder / "first.blend"))
    yield from becomes("the file is saved", lambda: bpy.data.filepath.endswith("first.blend"))

    yield from sidebar.click("portrait.render")
    queue, uid = extension("jobs.job_queue"), portrait().uid
    yield from until(lambda: queue.active_of(uid) is not None, 20, "the render begins")
    job = queue.active_of(uid)
    yield from until(lambda: not job.active or len(_frame_files()) >= _FRAMES, 300, "the first frames")
    if job.error is not None:
        raise job.error
    clicks = len(sidebar.clicked)
    report["figures"]["clicks_to_moving_frames"] = clicks
    report["figures"]["seconds_to_moving_frames"] = round(time.monotonic() - started, 1)
    fact(f"moving frames after at most {MOST_CLICKS} clicks", clicks <= MOST_CLICKS, ", ".join(sidebar.clicked))
    pictures = {path.read_bytes() for path in _frame_files()}
    fact("the frames move", len(pictures) > _FRAMES / 2, f"{len(pictures)} different ones")
    yield from becomes(
        "the plane shows them",
        lambda: extension("plane.image_plane").texture_node(portrait().plane).image.source == "SEQUENCE",
    )
    yield from shot("four_clicks")
    with at():
        if queue.active_of(uid) is not None:
            bpy.ops.portrait.cancel()
    yield from until(lambda: not job.active, 30, "the end of the render")


def choose_file(path: str) -> Steps:
    """Names a file in the browser that has opened, and confirms: typing, and no click on the panel."""
    yield from until(lambda: any(area.type == "FILE_BROWSER" for area in window().screen.areas), 10, "the file browser")
    yield 1.5
    browser = place("FILE_BROWSER")
    params = browser.area.spaces.active.params
    folder, _, name = path.rpartition("/")
    params.directory, params.filename = folder.encode(), name
    yield 0.5
    yield from press("Return", browser.point(0.5, 0.5))
    yield from until(lambda: all(a.type != "FILE_BROWSER" for a in window().screen.areas), 20, "the browser's end")
    yield 0.5


def _key_count() -> int:
    return sum(len(curve.keyframe_points) for curve in extension("blender.compat").fcurves_of(portrait().rig))


def _frame_files() -> list[Path]:
    return sorted(portrait().folder().glob("[0-9]*.png"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""New files for chapters that begin with one, and waiting for the work that is done in them."""

from __future__ import annotations

import shutil

import bpy
import sidebar
from desktop import FOLDER, PLAN, Steps, at, extension, portrait, until


def new_file(name: str) -> Steps:
    """An empty scene, saved in a folder of its own."""
    bpy.ops.wm.read_homefile()
    yield 2.0
    with at():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / f"{name}.blend"))
    yield from sidebar.open_tab()


def idle(limit: float = 120) -> Steps:
    """Until nothing is worked on."""
    queue = extension("jobs.job_queue")
    yield from until(lambda: queue.current() is None, limit, "the end of the work")


def with_rig(name: str) -> Steps:
    """A new file with a portrait of the photo."""
    yield from new_file(name)
    with at():
        bpy.ops.portrait.add(filepath=PLAN["photo"], without_waiting=True)
    yield from until(lambda: portrait() is not None and portrait().rig is not None, 120, "the rig")
    yield from idle()


def acting_portrait(name: str) -> Steps:
    """A new file with a portrait that acts."""
    yield from with_rig(name)
    with at():
        bpy.ops.portrait.demo_motion()

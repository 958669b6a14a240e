# SPDX-License-Identifier: GPL-3.0-or-later
"""From the zip alone to the first rendered frame: a Blender that has nothing else, the mouse, and its clicks counted.

The server comes from the package index at hand, so this chapter lasts as long as its download; it is taken only where it
is asked for (`--only from_zip`). Blender is online, as one whose user has allowed that at its first start. Left out of the
count is what no program can do here: dropping the zip onto the window; the question that Blender then asks is answered.
"""

from __future__ import annotations

import time

import bpy
import sidebar
from desktop import (
    EXTENSION,
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
    shot,
    until,
)
from four_clicks import choose_file

MOST_CLICKS = 6
_INSTALLING_SECONDS = 1500


def steps() -> Steps:
    bpy.context.preferences.system.use_online_access = True
    started, clicks = time.monotonic(), 0
    yield from _drop()
    clicks += 1  # the question's button
    with at():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
    yield from until(lambda: _tab() == "Portrait", 30, "the sidebar opens at the tab by itself, once")
    fact("no server is named in the preferences", not _preferences().server_command)
    yield from shot("install_server", [sidebar.region().box])

    sidebar.clicked.clear()
    yield from sidebar.click("portrait.install_server")
    installing = extension("connection.server_installing")
    yield from until(lambda: installing.running() is not None, 20, "the installation begins")
    yield 4.0
    yield from shot("installing_server", [sidebar.region().box])
    yield from until(lambda: installing.running() is None, _INSTALLING_SECONDS, "the installation's end")
    failure = installing.failure()
    fact("the server is installed", failure is None, failure or "")
    report["figures"]["seconds_to_installed"] = round(time.monotonic() - started, 1)
    yield from shot("server_installed", [sidebar.region().box])

    yield from sidebar.click("portrait.add")
    yield from choose_file(PLAN["photo"])
    clicks += 1  # the file, with a double click
    yield from until(lambda: portrait() is not None and portrait().rig is not None, 180, "the rig")
    program = extension("connection.server_program").find(_preferences().server_command).command
    own = str(extension("installation.place").server_folder())
    fact("what runs is the installed server", program[0].startswith(own))
    yield 1.0
    yield from sidebar.click("portrait.render")
    yield from until(lambda: bool(_frames()), 300, "the first frame")
    clicks += len(sidebar.clicked)
    report["figures"]["clicks_from_zip_to_frame"] = clicks
    report["figures"]["seconds_from_zip_to_frame"] = round(time.monotonic() - started, 1)
    fact(f"a rendered frame after at most {MOST_CLICKS} clicks", clicks <= MOST_CLICKS, ", ".join(sidebar.clicked))
    yield from becomes(
        "the plane shows it",
        lambda: extension("plane.image_plane").texture_node(portrait().plane).image.source == "SEQUENCE",
        30,
    )
    yield from shot("first_rendered", [box_of(place("VIEW_3D").area)])
    queue = extension("jobs.job_queue")
    with at():
        if queue.current() is not None:
            bpy.ops.portrait.cancel()
    yield from until(lambda: queue.current() is None, 60, "the end of the render")
    bpy.ops.wm.read_homefile()
    yield 2.0


def _drop() -> Steps:
    """What Blender does with a zip that is dropped onto its window: it asks, and installs."""
    view = place("VIEW_3D")
    yield from press("Escape", view.point(0.4, 0.5))
    with at():
        bpy.ops.extensions.package_install_files("INVOKE_DEFAULT", url=PLAN["extension"])  # as Blender's own drop does
    yield 1.5
    yield from shot("dropped_zip", [box_of(view.area)], over=view.point(0.4, 0.5))
    yield from press("Return")
    yield from until(lambda: EXTENSION in bpy.context.preferences.addons, 60, "the extension")
    fact("the extension is installed and on", True)
    yield 1.0


def _tab() -> str:
    side = sidebar.region()
    try:
        return side.region.active_panel_category if side.area.spaces.active.show_region_ui else ""
    except AttributeError:  # not drawn yet
        return ""


def _preferences() -> bpy.types.AddonPreferences:
    return bpy.context.preferences.addons[EXTENSION].preferences


def _frames() -> list:
    return sorted(portrait().folder().glob("[0-9]*.png"))

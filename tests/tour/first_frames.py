# SPDX-License-Identifier: GPL-3.0-or-later
"""From the extension's zip to a rig on the photo: what getting-started.md tells."""

from __future__ import annotations

import time

import bpy
import sidebar
from bpy_extras.view3d_utils import location_3d_to_region_2d
from desktop import (
    EXTENSION,
    FOLDER,
    PLAN,
    Steps,
    at,
    box_of,
    extension,
    fact,
    place,
    portrait,
    press,
    report,
    rig,
    shot,
    until,
    view_layer,
    window,
)


def steps() -> Steps:
    yield from _install()
    yield from _empty_scene()
    yield from _add_without_server()
    yield from _add()
    yield from _look()


def preferences() -> bpy.types.AddonPreferences:
    return bpy.context.preferences.addons[EXTENSION].preferences


def viewport_and_sidebar() -> list[tuple[int, int, int, int]]:
    return [box_of(place("VIEW_3D").area)]


def _install() -> Steps:
    with at():
        done = bpy.ops.extensions.package_install_files(
            filepath=PLAN["extension"], repo="user_default", enable_on_install=True
        )
    yield 1.0
    fact("the extension is installed and on", done == {"FINISHED"} and EXTENSION in bpy.context.preferences.addons)
    area = place("VIEW_3D").area
    area.type = "PREFERENCES"
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "Talking"
    bpy.context.preferences.view.show_developer_ui = False
    with at("PREFERENCES"):
        bpy.ops.preferences.addon_expand(module=EXTENSION)
    preferences().server_command = PLAN["server"]
    yield from shot("preferences", [box_of(area)])
    command = extension("connection.server_program").find(preferences().server_command).command
    fact("the preferences find the server's program", command == (PLAN["server"],), command)
    area.type = "VIEW_3D"
    yield 0.5


def _empty_scene() -> Steps:
    with at():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
    yield 0.3
    yield from sidebar.open_tab()
    scene = window().scene
    fact("the scene is empty", not scene.objects and not scene.talking_portraits.items)
    with at():
        fact(
            "nothing but Add Portrait can be pressed",
            bpy.ops.portrait.add.poll() and not bpy.ops.portrait.render.poll(),
        )
    yield from shot("empty_scene", viewport_and_sidebar())


def _add_without_server() -> Steps:
    """What is said when the server's program is not there, and that nothing is left of the try."""
    preferences().server_command = "/nowhere/portrait"
    with at():
        bpy.ops.portrait.add(filepath=PLAN["photo"], without_waiting=True)
    uid = portrait().uid
    problems = extension("blender.problems")
    yield from until(lambda: problems.last(uid) is not None, 60, "the missing server is told")
    fact(
        "a server that is not there is told with a remedy", bool(problems.last(uid).remedy), problems.last(uid).message
    )
    yield from shot("trouble_no_server", [sidebar.region().box])
    with at():
        bpy.ops.portrait.remove()
    preferences().server_command = PLAN["server"]
    yield 0.3
    fact("the portrait can be removed again", not window().scene.objects)


def _add() -> Steps:
    with at():
        bpy.ops.portrait.add("INVOKE_DEFAULT")
    yield 1.5
    browser = place("FILE_BROWSER")
    params = browser.area.spaces.active.params
    fact("photos are shown as small pictures", params.display_type == "THUMBNAIL")
    params.directory, params.filename = str(FOLDER).encode(), "astronaut.png"
    yield 0.5
    yield from shot("add_file_browser")
    started = time.monotonic()
    yield from press("Return", browser.point(0.5, 0.5))
    yield from until(lambda: portrait() is not None and portrait().rig is not None, 120, "the rig")
    yield 0.5
    report["figures"]["seconds_to_rig"] = round(time.monotonic() - started, 1)
    fact("the face is found and the rig is on it", len(rig().pose.bones) > 70)
    view = place("VIEW_3D").area.spaces.active.region_3d
    fact("the view looks squarely at the plane", view.view_perspective == "ORTHO")
    fact("the picture lies in what sidebar, toolbar and headers leave free", _is_framed())
    fact("the rig is selected", view_layer().objects.active == rig())
    yield from shot("added", viewport_and_sidebar())


def _is_framed() -> bool:
    found, plane = place("VIEW_3D"), portrait().plane
    free = extension("portraits.viewport").free_part(found.area, found.region)
    view = found.area.spaces.active.region_3d
    corners = [
        location_3d_to_region_2d(found.region, view, plane.matrix_world @ vertex.co) for vertex in plane.data.vertices
    ]
    return all(free.left <= x <= free.right and free.bottom <= y <= free.top for x, y in corners)


def _look() -> Steps:
    shading = place("VIEW_3D").area.spaces.active.shading
    fact(
        "the viewport shows the photo",
        extension("portraits.viewport").shows_pictures(place("VIEW_3D").area.spaces.active),
    )
    altered = extension("plane.image_plane").altered_colors(window().scene)
    fact("the view transform that alters the photo is told", bool(altered), altered)
    shading.type = "MATERIAL"  # unlike Solid it goes through the view transform
    yield from sidebar.scroll(to_end=True)
    yield from shot("altered_colors", viewport_and_sidebar(), compiling=True)
    yield from sidebar.scroll(to_end=False)
    with at():
        bpy.ops.portrait.use_own_colors()
        bpy.ops.portrait.pose()
    yield 0.5
    shading.type = "SOLID"
    fact("the rig is in pose mode", rig().mode == "POSE")
    fact("the photo's own colors are shown", not extension("plane.image_plane").altered_colors(window().scene))
    yield from shot("rig", viewport_and_sidebar())

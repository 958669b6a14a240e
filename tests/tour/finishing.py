# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses as assets, the pie menu, the sequencer, and the person cut out: the rest of animating.md, and compositing.md."""

from __future__ import annotations

import time

import bpy
import sidebar
from acting import all_done, render
from desktop import (
    Place,
    Steps,
    at,
    box_of,
    extension,
    fact,
    park,
    place,
    portrait,
    press,
    settled,
    shot,
    take,
    until,
    window,
    workspace,
    xdo,
)
from first_frames import viewport_and_sidebar

from tests.loaded_picture import pixels


def steps() -> Steps:
    yield from workspace("Layout")
    yield from _pose_library()
    yield from _pie_menu()
    yield from _cut_out()
    yield from _sequencer()


def _pose_library() -> Steps:
    with at():
        if portrait().rig.mode != "POSE":
            bpy.ops.portrait.pose()
        bpy.ops.portrait.make_pose_library()
    poses = [action for action in bpy.data.actions if action.asset_data is not None]
    fact("expressions and visemes are assets", len(poses) > 15, len(poses))
    area = place("VIEW_3D").area
    area.ui_type = "ASSETS"
    yield 1.5
    area.spaces.active.params.asset_library_reference = "LOCAL"
    yield from until(lambda: not bpy.app.is_job_running("RENDER_PREVIEW"), 60, "the poses' pictures")
    yield from shot("pose_library", [box_of(area)])
    area.type = "VIEW_3D"
    yield 1.0


def _pie_menu() -> Steps:
    yield from press("ctrl+shift+p", place("VIEW_3D").point(0.35, 0.45))
    yield 1.5
    left, top, width, height = place("VIEW_3D").box
    take("pie_menu", [(left, top, round(width * 0.75), height)])
    xdo("key", "Escape")
    yield 0.5


def _cut_out() -> Steps:
    """A few frames with the person alone, before a backdrop that shows through."""
    scene, portrait_ = window().scene, portrait()
    with at():
        bpy.ops.object.mode_set(mode="OBJECT")
    portrait_.use_scene_range, portrait_.frame_start, portrait_.frame_end = False, 1, 8
    portrait_.matte = True
    yield from render()
    alpha = pixels(portrait_.folder() / "0001.png")[..., 3]
    fact(
        "the frames are transparent around the person", alpha.min() < 0.01 and alpha.max() > 0.99, f"{alpha.mean():.2f}"
    )
    backdrop = _backdrop(scene)
    scene.frame_set(4)
    space = place("VIEW_3D").area.spaces.active
    space.shading.type = "MATERIAL"
    space.overlay.show_overlays = False
    yield from shot("cut_out", viewport_and_sidebar(), compiling=True)
    space.overlay.show_overlays = True
    space.shading.type = "SOLID"
    bpy.data.objects.remove(backdrop)
    portrait_.matte = False
    portrait_.use_scene_range = True
    yield from render()
    yield from all_done(range(scene.frame_start, scene.frame_end + 1))


def _backdrop(scene: bpy.types.Scene) -> bpy.types.Object:
    """A plane behind the portrait's, evenly green."""
    mesh = bpy.data.meshes.new("Backdrop")
    mesh.from_pydata([(-1.6, 0.3, -1.2), (1.6, 0.3, -1.2), (1.6, 0.3, 1.2), (-1.6, 0.3, 1.2)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("Backdrop")
    tree = extension("blender.compat").ensure_node_tree(material)
    tree.nodes.clear()
    emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    emission.inputs["Color"].default_value = (0.08, 0.32, 0.26, 1)
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    mesh.materials.append(material)
    backdrop = bpy.data.objects.new("Backdrop", mesh)
    scene.collection.objects.link(backdrop)
    return backdrop


def _sequencer() -> Steps:
    """The strip plays in the sequencer, whose sidebar has the same tab."""
    yield from workspace("Video Editing", template="Video_Editing")
    scene = window().scene
    strip = extension("portraits.sequencer").find_strip(scene, portrait().uid)
    scene.sequence_editor.active_strip = strip
    timeline = max(
        (area for area in window().screen.areas if area.type == "SEQUENCE_EDITOR" and "PREVIEW" not in area.spaces.active.view_type),
        key=lambda area: area.width * area.height,
    )  # fmt: skip
    timeline.spaces.active.show_region_ui = True
    yield 0.5
    yield from sidebar.choose_tab(Place(timeline, next(one for one in timeline.regions if one.type == "UI")))
    window_region = next(region for region in timeline.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window(), screen=window().screen, area=timeline, region=window_region):
        bpy.ops.sequencer.view_all()
    files = place("FILE_BROWSER").area
    files.spaces.active.params.directory = str(portrait().folder()).encode()
    scene.frame_set(20)
    park()
    yield from settled()
    with bpy.context.temp_override(window=window(), screen=window().screen, area=timeline, region=window_region):
        bpy.ops.screen.animation_play()
    seen: set[int] = set()
    end = time.monotonic() + 4
    while time.monotonic() < end:
        seen.add(scene.frame_current)
        yield 0.05
    take("sequencer", [(0, 0, *_screen_size())])
    playing = window().screen.is_animation_playing
    with at("SEQUENCE_EDITOR"):
        bpy.ops.screen.animation_cancel(restore_frame=False)
    fact("the strip plays in the sequencer", playing and len(seen) > 3, f"{len(seen)} frames seen in 4 s")
    yield from workspace("Layout")


def _screen_size() -> tuple[int, int]:
    return window().width, window().height

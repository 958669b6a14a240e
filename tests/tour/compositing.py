# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people in one photo, layered frames in the compositor, and an edit that goes out and comes back: what
compositing.md tells. Each begins with a new file."""

from __future__ import annotations

from typing import Any

import bpy
import edit_window
from acting import render
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
    report,
    shot,
    until,
    window,
    workspace,
)
from first_frames import viewport_and_sidebar
from new_scenes import acting_portrait, idle, new_file

from tests.loaded_picture import pixels

_LAYERED = 6  # frames


def steps() -> Steps:
    yield from _two_people()
    yield from _layers()
    yield from _edit()


def _two_people() -> Steps:
    """Both faces of one photo, a rig each, one render."""
    yield from new_file("two")
    with at():
        bpy.ops.portrait.add(filepath=PLAN["two"], every_face=True, without_waiting=True)
    held = window().scene.talking_portraits
    yield from until(
        lambda: len(held.items) == 2 and all(each.rig is not None for each in held.items), 120, "both rigs"
    )
    yield from idle()
    fact("they share one plane", held.items[0].plane == held.items[1].plane)
    for each, slider in zip(held.items, ("jawOpen", "mouthSmileLeft"), strict=True):
        each.rig[slider] = 0.6
        each.rig.update_tag()
    lead = held.items[0].lead
    lead.use_scene_range, lead.frame_start, lead.frame_end = False, 1, 3
    yield from render()
    fact("one frame shows both", len(list(lead.folder().glob("[0-9]*.png"))) == 3)
    window().scene.frame_set(1)
    yield from shot("two_people", viewport_and_sidebar())


def _layers() -> Steps:
    """OpenEXR with all layers, and one click to the compositor."""
    yield from acting_portrait("layers")
    scene = window().scene
    portrait().frame_start, portrait().frame_end = 1, _LAYERED
    portrait().matte, portrait().file_format = True, "EXR"
    yield from render()
    frames = sorted(portrait().folder().glob("[0-9]*.exr"))
    fact("the frames are layered files", len(frames) == _LAYERED, [frame.name for frame in frames])
    with at():
        bpy.ops.portrait.frame_scene()
        bpy.ops.portrait.add_nodes()
    yield from workspace("Compositing")
    scene.frame_set(3)
    yield from until(lambda: any(area.type == "NODE_EDITOR" for area in window().screen.areas), 10, "the compositor")
    editor = place("NODE_EDITOR")
    if hasattr(editor.area.spaces.active, "show_region_asset_shelf"):  # of Blender 5
        editor.area.spaces.active.show_region_asset_shelf = False
    with at("NODE_EDITOR"):
        bpy.ops.node.select_all(action="SELECT")
        bpy.ops.node.view_selected()
    yield 1.0
    with at("NODE_EDITOR"):
        bpy.ops.node.select_all(action="DESELECT")
    yield from shot("compositor", [box_of(editor.area)], compiling=True)
    path = FOLDER / "layers" / "composited.png"
    scene.render.filepath, scene.render.image_settings.file_format = str(path), "PNG"
    scene.render.engine = "BLENDER_WORKBENCH"
    bpy.ops.render.render(write_still=True)
    seen = pixels(path)
    fact("what it gives has the person in it", seen[..., :3].std() > 0.05, f"{seen[..., :3].mean():.2f}")
    yield from workspace("Layout")


def _edit() -> Steps:
    """The strip with a cut in it goes out as OpenTimelineIO, and comes back into an empty sequencer."""
    yield from acting_portrait("edit")
    portrait().frame_start, portrait().frame_end, portrait().frame_step = 1, 24, 4
    portrait().use_strip = True
    yield from render()
    yield from edit_window.open_window()
    scene = window().scene
    find = extension("portraits.sequencer").find_strips
    (strip,) = find(portrait().uid)
    strip.split(frame=12, split_method="SOFT")
    scene.timeline_markers.new("Cut", frame=12)
    before = _ranges(find(portrait().uid))
    path = FOLDER / "edit" / "edit.otio"
    with at("SEQUENCE_EDITOR"):
        bpy.ops.portrait.export_timeline(filepath=str(path))
    yield from idle()
    fact("the edit is in a file", path.is_file())
    for each in find(portrait().uid):
        extension("blender.compat").strips_of(scene.sequence_editor).remove(each)
    scene.timeline_markers.clear()
    with at("SEQUENCE_EDITOR"):
        bpy.ops.portrait.import_timeline(filepath=str(path))
    yield from idle()
    yield from becomes("the same edit comes back", lambda: _ranges(find(portrait().uid)) == before, 10)
    fact("with its marker", [marker.frame for marker in scene.timeline_markers] == [12])
    movie = FOLDER / "edit" / "edit.mp4"
    with at("SEQUENCE_EDITOR"):
        bpy.ops.portrait.export_movie("EXEC_DEFAULT", filepath=str(movie))
    yield from idle()
    fact("a movie of the frames is written", movie.is_file() and movie.stat().st_size > 1000)
    yield from edit_window.view_all()
    yield from edit_window.picture("edit", 10, in_guide=True)
    report["figures"]["edit_strips"] = len(before)
    yield from workspace("Layout")


def _ranges(strips: list[Any]) -> list[tuple[int, int, int, str]]:
    """Where strips are seen, in which channel, and what at their beginning."""
    compat = extension("blender.compat")
    found: list[tuple[int, int, int, str]] = []
    for strip in strips:
        shown = compat.strip_range(strip)
        name = strip.elements[shown.start - compat.strip_start(strip)].filename
        found.append((strip.channel, shown.start, shown.stop, name))
    return sorted(found)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people in one photo, layered frames in the compositor, and an edit that goes out and comes back: what
compositing.md tells. Each begins with a new file."""

from __future__ import annotations

import shutil
from typing import Any

import bpy
import numpy as np
import sidebar
from acting import render
from desktop import (
    FOLDER,
    PLAN,
    Place,
    Steps,
    at,
    becomes,
    box_of,
    extension,
    fact,
    park,
    place,
    portrait,
    report,
    settled,
    shot,
    take,
    until,
    window,
    workspace,
)
from first_frames import viewport_and_sidebar

_LAYERED = 6  # frames


def steps() -> Steps:
    yield from _two_people()
    yield from _layers()
    yield from _edit()


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


def idle() -> Steps:
    """Until nothing is worked on."""
    queue = extension("jobs.job_queue")
    yield from until(lambda: queue.current() is None, 120, "the end of the work")


def acting_portrait(name: str) -> Steps:
    """A new file with a portrait that acts."""
    yield from new_file(name)
    with at():
        bpy.ops.portrait.add(filepath=PLAN["photo"], without_waiting=True)
    yield from until(lambda: portrait() is not None and portrait().rig is not None, 120, "the rig")
    yield from idle()
    with at():
        bpy.ops.portrait.demo_motion()


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
    pixels = _pixels(str(path))
    fact("what it gives has the person in it", pixels[..., :3].std() > 0.05, f"{pixels[..., :3].mean():.2f}")
    yield from workspace("Layout")


def _edit() -> Steps:
    """The strip with a cut in it goes out as OpenTimelineIO, and comes back into an empty sequencer."""
    yield from acting_portrait("edit")
    portrait().frame_start, portrait().frame_end, portrait().frame_step = 1, 24, 4
    portrait().use_strip = True
    yield from render()
    yield from workspace("Video Editing", template="Video_Editing")
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
    timeline = _timeline()
    timeline.spaces.active.show_region_ui = True
    yield 0.5
    yield from sidebar.choose_tab(Place(timeline, next(one for one in timeline.regions if one.type == "UI")))
    main = next(region for region in timeline.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window(), screen=window().screen, area=timeline, region=main):
        bpy.ops.sequencer.view_all()
    scene.frame_set(10)
    park()
    yield from settled()
    take("edit", [(0, 0, window().width, window().height)])
    report["figures"]["edit_strips"] = len(before)
    yield from workspace("Layout")


def _timeline() -> bpy.types.Area:
    areas = [area for area in window().screen.areas if area.type == "SEQUENCE_EDITOR"]
    return max(
        (area for area in areas if "PREVIEW" not in area.spaces.active.view_type), key=lambda a: a.width * a.height
    )


def _ranges(strips: list[Any]) -> list[tuple[int, int, int, str]]:
    """Where strips are seen, in which channel, and what at their beginning."""
    compat = extension("blender.compat")
    found: list[tuple[int, int, int, str]] = []
    for strip in strips:
        shown = compat.strip_range(strip)
        name = strip.elements[shown.start - compat.strip_start(strip)].filename
        found.append((strip.channel, shown.start, shown.stop, name))
    return sorted(found)


def _pixels(path: str) -> np.ndarray:
    image = bpy.data.images.load(path)
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(-1, 4)

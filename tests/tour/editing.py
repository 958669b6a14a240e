# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait's strip under the hands of an editor: cut out over others, trimmed, slipped, moved, retimed, in a meta, in
another scene, and with proxies. What is rendered after each stays what it was, but for what was drawn anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import edit_window as edit
import numpy as np
import sidebar
from acting import render
from desktop import (
    PLAN,
    Steps,
    at,
    becomes,
    extension,
    fact,
    place,
    portrait,
    press,
    rig,
    until,
    window,
    workspace,
)
from new_scenes import idle, with_rig

from tests.loaded_picture import pixels

_LAST = 20
_FURTHER = 24  # the last frame that is rendered in the end
_MOVED = 30  # by so many frames


def steps() -> Steps:
    yield from _strip()
    yield from _trimmed()
    yield from _slipped()
    yield from _moved()
    yield from _in_a_meta()
    yield from _in_another_scene()
    yield from _proxies()
    yield from _retimed()
    yield from _cut_out_over_a_strip()
    yield from _cut_out_over_a_picture()
    yield from _compositor_on_strip()
    yield from workspace("Layout")


def _strip() -> Steps:
    yield from with_rig("editing")
    for frame, weight in ((1, 0.0), (_FURTHER, 0.9)):
        rig()["jawOpen"] = weight
        rig().keyframe_insert('["jawOpen"]', frame=frame)
    portrait().use_scene_range = False
    portrait().frame_start, portrait().frame_end, portrait().use_strip = 1, _LAST, True
    window().scene.frame_end = 80
    yield from render()
    with at():
        bpy.ops.portrait.frame_scene()
        bpy.ops.portrait.use_own_colors()
    yield from edit.open_window()
    edit.each_plays("the strip plays file N at frame N", {1: 1, 9: 9, _LAST: _LAST})
    yield from edit.picture("strip", 9)


def _draw_again(weight: float) -> Steps:
    """Another smile on all frames, rendered: every file is another one."""
    for side in ("Left", "Right"):
        rig()[f"mouthSmile{side}"] = weight
    rig().update_tag()
    yield 0.3
    before = {path.name: path.stat().st_mtime_ns for path in portrait().folder().glob("[0-9]*.png")}
    yield from render(editor="SEQUENCE_EDITOR")
    after = {path.name: path.stat().st_mtime_ns for path in portrait().folder().glob("[0-9]*.png")}
    fact("all frames were drawn anew", all(after[name] != time for name, time in before.items()), len(after))


def _trimmed() -> Steps:
    yield from edit.click(edit.own_strip())
    yield from edit.drag_handle(edit.own_strip(), right=False, frames=5)
    yield from edit.drag_handle(edit.own_strip(), right=True, frames=-6)
    shown = edit.range_of(edit.own_strip())
    fact("its handles are dragged with the mouse", 3 < shown.start < 9 and 11 < shown.stop < 19, shown)
    yield from _draw_again(0.3)
    fact("rendered again, it is as long as it was", edit.range_of(edit.own_strip()) == shown, shown)
    edit.each_plays("and plays the same frames", {frame: frame for frame in (shown.start, 10, shown.stop - 1)})
    yield from edit.picture("strip_trimmed", 10)


def _slipped() -> Steps:
    shown = edit.range_of(edit.own_strip())
    yield from edit.type_into("s", "3")
    yield 0.3
    slipped = edit.plays(10)
    fact("S slips what it plays, under its handles", abs(slipped - 10) == 3, slipped)
    fact("which stay", edit.range_of(edit.own_strip()) == shown)
    yield from _draw_again(0.5)
    edit.each_plays("rendered again, it is slipped as before", {10: slipped})
    fact("and its handles are where they were", edit.range_of(edit.own_strip()) == shown, shown)


def _moved() -> Steps:
    shown, played = edit.range_of(edit.own_strip()), edit.plays(10)
    yield from edit.type_into("g", str(_MOVED))
    moved = edit.range_of(edit.own_strip())
    fact("G moves it", moved == range(shown.start + _MOVED, shown.stop + _MOVED), moved)
    yield from _draw_again(0.7)
    fact("rendered again, it stays there", edit.range_of(edit.own_strip()) == moved)
    edit.each_plays("and plays the frames of before", {10 + _MOVED: played})
    yield from edit.view_all()
    yield from edit.picture("strip_moved", 10 + _MOVED)


def _in_a_meta() -> Steps:
    played, shown = edit.plays(10 + _MOVED), edit.range_of(edit.own_strip())
    yield from edit.click(edit.own_strip())
    yield from press("ctrl+g", edit.timeline().point(0.3, 0.9))
    yield from becomes("Ctrl-G puts it into a meta strip", lambda: [s.type for s in edit.strips()] == ["META"])
    yield from _draw_again(0.2)
    fact("rendered again, it is in it, as it was", edit.range_of(edit.own_strip()) == shown)
    edit.each_plays("and seen through it", {10 + _MOVED: played})
    yield from edit.picture("strip_in_meta", 10 + _MOVED)


def _in_another_scene() -> Steps:
    inner, played = window().scene, edit.plays(10 + _MOVED)
    outer = bpy.data.scenes.new("Trailer")
    outer.render.resolution_x, outer.render.resolution_y = inner.render.resolution_x, inner.render.resolution_y
    for name in ("view_transform", "look"):
        setattr(outer.view_settings, name, getattr(inner.view_settings, name))
    edit.show_scene(outer)
    yield 0.5
    outer.sequence_editor_create()
    strip = edit.add("scene", frame_start=1, channel=1, scene=inner.name)
    yield 0.5
    strip.scene_input = "SEQUENCER"
    fact("the scene is a strip of another one", strip.type == "SCENE")
    folder = bpy.data.scenes[inner.name].talking_portraits.active.folder()
    seen = edit.plays(edit.range_of(strip).start + 10 + _MOVED - inner.frame_start, folder)
    fact("which plays the portrait's strip", seen == played, seen)
    yield from edit.view_all()
    yield from edit.picture("strip_in_scene", 10 + _MOVED)
    edit.show_scene(inner)
    yield 0.5
    bpy.data.scenes.remove(outer)


def _proxies() -> Steps:
    """Small copies of the frames, made by Blender, and drawn anew with them."""
    (meta,) = edit.strips()
    edit.choose(meta)
    with edit.over_timeline():
        bpy.ops.sequencer.meta_separate()
    yield 0.3
    strip = edit.own_strip()
    edit.choose(strip)
    with edit.over_timeline():
        bpy.ops.sequencer.enable_proxies(proxy_25=True, overwrite=True)
        bpy.ops.sequencer.rebuild_proxy("INVOKE_DEFAULT")
    folder = portrait().folder() / "BL_proxy"
    seen = len(edit.range_of(strip))
    yield from until(lambda: len(list(folder.rglob("*_proxy.jpg"))) >= seen, 60, "proxies of what is seen")
    yield 1.0
    edit.preview().area.spaces.active.proxy_render_size = "PROXY_25"
    yield from edit.picture("strip_proxies", 10 + _MOVED)
    yield from _draw_again(0.9)
    left = list(folder.rglob("*_proxy.jpg"))
    fact("those of frames drawn anew go", not left, [path.name for path in left])
    yield from edit.picture("strip_proxies_gone", 10 + _MOVED)
    edit.preview().area.spaces.active.proxy_render_size = "SCENE"
    strip = edit.own_strip()
    edit.choose(strip)
    strip.use_proxy = False


def _retimed() -> Steps:
    """One part plays at half its speed; the keys are the user's, whatever is drawn anew."""
    strip = edit.own_strip()
    yield from edit.click(strip)
    shown = edit.range_of(strip)
    middle = (shown.start + shown.stop) // 2
    window().scene.frame_set(middle)
    with edit.over_timeline():
        bpy.ops.sequencer.retiming_show()
        bpy.ops.sequencer.retiming_key_add(timeline_frame=middle)
    yield 0.5
    yield from edit.picture("strip_retiming_keys", middle)
    with edit.over_timeline():
        bpy.ops.sequencer.retiming_segment_speed_set("EXEC_DEFAULT", speed=50.0)
    yield 0.5
    longer = edit.range_of(strip)
    fact("it is longer at half the speed", len(longer) > len(shown), f"{shown}, now {longer}")
    yield from edit.view_all()
    sampled = [*range(longer.start, longer.stop, 3)]
    played = {frame: edit.plays(frame) for frame in sampled}
    spans = sampled[-1] - sampled[0], played[sampled[-1]] - played[sampled[0]]
    fact("and plays fewer frames in the same time", spans[1] < 0.8 * spans[0], played)
    keys = _keys(edit.own_strip())
    yield from _draw_again(0.1)
    portrait().frame_end = _FURTHER
    yield from render(editor="SEQUENCE_EDITOR")
    fact("rendered again, and further, it is as long", edit.range_of(edit.own_strip()) == longer, longer)
    fact("its keys are where they were", _keys(edit.own_strip()) == keys, keys)
    edit.each_plays("and it plays the same frames at each place", played)
    yield from edit.picture("strip_retimed", middle + 4)
    with edit.over_timeline():
        bpy.ops.sequencer.retiming_reset()
    portrait().frame_end = _LAST


def _keys(strip: Any) -> list[int]:
    """None before Blender 4.4, which tells those of movies alone."""
    return [key.timeline_frame for key in getattr(strip, "retiming_keys", ())]


def _cut_out_over_a_strip() -> Steps:
    """The button of the tab, with a movie's strip chosen."""
    scene = window().scene
    background = edit.add(
        "movie", filepath=PLAN["movie"], frame_start=5 + _MOVED, channel=8, sound=False, use_framerate=False
    )
    yield 0.5
    yield from edit.view_all()
    yield from edit.click(background)
    fact("the movie's strip is chosen", scene.sequence_editor.active_strip == background)
    yield from sidebar.click("portrait.cut_out_over", edit.tab())
    yield from idle(300)
    strip = edit.own_strip()
    fact("the portrait lies over it", strip.channel > background.channel and strip.blend_type == "ALPHA_OVER")
    _check_cut_out(10 + _MOVED)
    yield from edit.picture("cut_out_over_strip", 10 + _MOVED)


def _cut_out_over_a_picture() -> Steps:
    """No strip chosen: the button asks for a file."""
    for strip in [strip for strip in edit.strips() if strip.type == "MOVIE"]:
        edit.strips().remove(strip)
    edit.choose()
    yield 0.3
    yield from sidebar.click("portrait.cut_out_over", edit.tab())
    yield 1.5
    browser = place("FILE_BROWSER")
    params = browser.area.spaces.active.params
    backdrop = Path(PLAN["backdrop"])
    params.directory, params.filename = str(backdrop.parent).encode(), backdrop.name
    yield 0.5
    yield from press("Return", browser.point(0.5, 0.5))
    yield from idle(300)
    background = next(strip for strip in edit.strips() if strip.type == "IMAGE" and strip != edit.own_strip())
    fact("the picture lies under it", background.channel < edit.own_strip().channel)
    shown = edit.range_of(edit.own_strip())
    fact("at the frames where that is seen", edit.range_of(background) == shown, shown)
    _check_cut_out(10 + _MOVED)
    edit.choose(edit.own_strip())
    yield from edit.view_all()
    yield from edit.picture("cut_out_over", 10 + _MOVED, in_guide=True)


def _check_cut_out(frame: int) -> None:
    """The person of the frame's file, and around it what lies below."""
    seen = edit.rendered(frame)
    edit.own_strip().mute = True
    below = edit.rendered(frame)
    edit.own_strip().mute = False
    drawn = pixels(portrait().folder() / f"{edit.own_number(frame):04d}.png")
    around, person = drawn[..., 3] < 0.01, drawn[..., 3] > 0.99
    off = 255 * np.abs(seen - below)[around].max(), 255 * np.abs(seen - drawn[..., :3])[person].max()
    fact("the person is seen before it, and around the person the other", max(off) < 2.6, f"{off} of 255 off")
    fact("and that is a picture", below.std() > 0.05, f"{below.std():.2f}")


def _compositor_on_strip() -> Steps:
    """The node group as a modifier, of Blender 5: as made it changes nothing, and its setting softens the edge."""
    if not extension("blender.compat_compositor").has_strip_compositor():
        return
    frame = 10 + _MOVED
    inside = slice(2, -2)  # Blender draws the outermost row in another way where a modifier has made floats of a strip
    before = edit.rendered(frame)[inside, inside]
    yield from sidebar.click("portrait.add_strip_nodes", edit.tab())
    yield 0.5
    (modifier,) = edit.own_strip().modifiers
    off = 255 * np.abs(edit.rendered(frame)[inside, inside] - before).max()
    fact("the strip has the compositor as its modifier, which changes nothing yet", off < 2.6, f"{off:.1f} of 255")
    sockets = {item.name: item.identifier for item in modifier.node_group.interface.items_tree}
    getattr(modifier.properties.inputs, sockets["Edge Blur"]).value = 12.0
    edit.own_strip().invalidate_cache("RAW")
    off = 255 * np.abs(edit.rendered(frame)[inside, inside] - before).max(axis=2)
    matte = pixels(portrait().folder() / f"{edit.own_number(frame):04d}.png")[inside, inside, 3]
    edge = (matte > 0.2) & (matte < 0.8)
    fact("Edge Blur softens the edge", off[edge].mean() > 3, f"{off[edge].mean():.1f} of 255 there")
    fact("and nothing around the person", off[matte < 0.001].max() < 2.6, f"{off[matte < 0.001].max():.1f}")
    yield from edit.picture("strip_compositor", frame)

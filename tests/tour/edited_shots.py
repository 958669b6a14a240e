# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots in an edit: one with sound, whose strips move together; one that is a strip already; and numbered pictures, as PNG
and as OpenEXR. Of each some frames are changed and rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import edit_window as edit
import numpy as np
import sidebar
from acting import render
from desktop import FOLDER, PLAN, Steps, at, extension, fact, portrait, rig, shot, until, window, workspace
from new_scenes import idle, new_file

from tests.loaded_picture import pixels

_START = 1
_MOVED = 20  # by so many frames
_SMILE = {8: 0.0, 10: 0.9, 14: 0.9, 16: 0.0}
_CHANGED = 12  # a frame of the smile
_AS_FILMED = 20


def steps() -> Steps:
    yield from _with_sound()
    yield from _of_a_strip()
    yield from _numbered_pictures("pictures", "numbered pictures")
    yield from _numbered_pictures("light", "OpenEXR pictures")


def _filmed(name: str, path: str) -> Steps:
    """A new file with a portrait of a shot."""
    yield from new_file(name)
    with at():
        bpy.ops.portrait.add_shot(filepath=path, first_frame=_START, without_waiting=True)
    yield from _found()
    window().scene.render.resolution_x, window().scene.render.resolution_y = portrait().frame_size


def _found() -> Steps:
    yield from until(lambda: portrait() is not None and portrait().rig is not None, 240, "the face in all frames")
    yield from idle(240)


def _smile() -> None:
    for side in ("Left", "Right"):
        for frame, weight in _SMILE.items():
            rig()[f"mouthSmile{side}"] = weight
            rig().keyframe_insert(f'["mouthSmile{side}"]', frame=frame)


def _drawn() -> list[Any]:
    return extension("portraits.sequencer").find_strips(portrait().uid)


def _kinds() -> list[str]:
    return sorted(strip.type for strip in edit.strips())


def _with_sound() -> Steps:
    """Strips of pictures and of sound: who clicks on one and moves it moves them all, and what is drawn then lies there."""
    yield from _filmed("sound", PLAN["talking"])
    with at():
        bpy.ops.portrait.use_own_colors()
        bpy.ops.portrait.add_strip()
    fact("the shot comes with its sound", _kinds() == ["MOVIE", "SOUND"], _kinds())
    yield from edit.open_window()
    film = next(strip for strip in edit.strips() if strip.type == "MOVIE")
    edit.choose()
    yield from edit.click(film)
    chosen = sorted(strip.type for strip in edit.strips() if strip.select)
    connects = bpy.app.version >= (4, 3, 0)
    fact("a click on the pictures chooses the sound, too", chosen == ["MOVIE", "SOUND"] or not connects, chosen)
    yield from edit.picture("shot_and_sound", _AS_FILMED)
    before = {strip.name: edit.range_of(strip).start for strip in edit.strips()}
    yield from edit.type_into("g", str(_MOVED))
    moved = {name: edit.range_of(edit.strips()[name]).start - start for name, start in before.items()}
    fact("moved, they stay together", set(moved.values()) == {_MOVED}, moved)
    _smile()
    yield from render(editor="SEQUENCE_EDITOR")
    film = next(strip for strip in edit.strips() if strip.type == "MOVIE")
    drawn = _drawn()
    fact("no second shot is added", _kinds() == ["IMAGE", "MOVIE", "SOUND"], _kinds())
    places = [edit.range_of(strip) for strip in drawn]
    fact("the changed frames lie over the shot where it was moved to", _CHANGED + _MOVED in places[0], places)
    fact("above it", all(strip.channel > film.channel for strip in drawn))
    edit.choose()
    yield from edit.click(drawn[0])
    chosen = sorted(strip.type for strip in edit.strips() if strip.select)
    fact("and are connected with both", chosen == ["IMAGE", "MOVIE", "SOUND"] or not connects, chosen)
    yield from edit.view_all()
    yield from edit.picture("shot_moved", _CHANGED + _MOVED)
    _check_pictures(_MOVED)
    yield from workspace("Layout")


def _of_a_strip() -> Steps:
    """What an editor has in the timeline already: one click makes a portrait of it."""
    yield from new_file("of_strip")
    yield from edit.open_window()
    scene = window().scene
    scene.render.resolution_y, scene.render.resolution_x = pixels(Path(PLAN["pictures"])).shape[:2]
    scene.sequence_editor_create()
    strip = edit.add(
        "movie", filepath=PLAN["talking"], frame_start=_START + _MOVED, channel=2, sound=False, use_framerate=False
    )
    yield from edit.view_all()
    yield from edit.click(strip)
    yield from sidebar.click("portrait.add_shot_of_strip", edit.tab())
    yield from _found()
    fact("the portrait lies where its strip does", portrait().shot.start == _START + _MOVED, portrait().shot.start)
    fact("the frame rate of the edit stays", window().scene.render.fps == 24)
    yield from edit.picture("shot_of_strip", _CHANGED + _MOVED)
    extension("plane.view_colors").use_own_colors(window().scene)
    for side in ("Left", "Right"):
        for frame, weight in _SMILE.items():
            rig()[f"mouthSmile{side}"] = weight
            rig().keyframe_insert(f'["mouthSmile{side}"]', frame=frame + _MOVED)
    portrait().use_strip = True
    yield from render(editor="SEQUENCE_EDITOR")
    fact("the changed frames lie over it", _kinds() == ["IMAGE", "MOVIE"], _kinds())
    yield from edit.view_all()
    yield from edit.picture("shot_of_strip_rendered", _CHANGED + _MOVED)
    seen = edit.rendered(_CHANGED + _MOVED)
    drawn = pixels(portrait().folder() / f"{_CHANGED + _MOVED:04d}.png")[..., :3]
    fact(
        "and are seen there", np.abs(seen - drawn).max() < 0.01, f"within {255 * np.abs(seen - drawn).max():.1f} of 255"
    )
    yield from workspace("Layout")


def _numbered_pictures(name: str, words: str) -> Steps:
    yield from _filmed(name, PLAN[name])
    fact(f"{words} are a shot", portrait().shot.is_filmed and portrait().shot.count == 24, portrait().shot.count)
    with at():
        bpy.ops.portrait.use_own_colors()
    window().scene.frame_set(_AS_FILMED)
    yield from shot(f"shot_of_{name}")
    _smile()
    with at():
        bpy.ops.portrait.add_strip()
    yield from render()
    files = sorted(path.name for path in portrait().folder().glob("[0-9]*.png"))
    fact("only changed frames are drawn", f"{_CHANGED:04d}.png" in files and len(files) < 10, files)
    window().scene.frame_set(_CHANGED)
    yield from shot(f"shot_of_{name}_rendered")
    yield from edit.open_window()
    yield from edit.picture(f"shot_of_{name}_edit", _CHANGED)
    _check_pictures(0)
    yield from workspace("Layout")


def _check_pictures(moved: int) -> None:
    """What the sequencer shows is the drawn frame, and elsewhere the shot, whose own pictures are known."""
    drawn = pixels(portrait().folder() / f"{_CHANGED:04d}.png")[..., :3]
    filmed = pixels(FOLDER / "plate_png" / f"shot.{_AS_FILMED:04d}.png")[..., :3]
    for text, frame, wanted in (("a drawn frame", _CHANGED, drawn), ("elsewhere the shot", _AS_FILMED, filmed)):
        off = 255 * np.abs(edit.rendered(frame + moved) - wanted)
        fact(f"{text} is seen in its own colors", off.mean() < 1.5, f"{off.mean():.2f} of 255, at most {off.max():.0f}")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that a .blend keeps as text: folders of frames, tunings. They go with a project that is moved or saved elsewhere.

When a file is saved, Blender keeps the paths of its images, sounds and strips right; it knows nothing of these.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import bpy
from bpy.app.handlers import persistent

from ..blender import stored_paths
from ..shots import points_place
from . import sequencer
from .scene_portraits import all_portraits

_FOLDER: Final = "output_folder"
_POINTS: Final = "points_file"

_texts_before: dict[tuple[str, ...], str] = {}
"""The texts that were changed for the save under way, as they were before, by their place (see `_texts`).

Their owners are not kept: Blender may move them in memory between two handlers.
"""


def keep_for(blend: Path) -> None:
    """Makes the texts right for a .blend that is about to be saved there.

    What lies in its folder becomes relative to it; what was chosen elsewhere stays absolute. A relative tuning or shot is
    still the same file after *Save As*. A relative folder of frames is one beside the new .blend, as it is with
    Blender's own output: the two do not write over each other's frames. Points that were found in a shot before the
    first save are laid beside it.
    """
    _texts_before.clear()
    beside, before = blend.parent, bpy.data.filepath
    moves = bool(before) and os.path.realpath(beside) != os.path.realpath(Path(before).parent)
    for place, holder, name, text in _texts():
        kept = points_place.settle(text, beside) if name == _POINTS else text
        if not kept.startswith("//"):
            path = stored_paths.stored(stored_paths.full(kept), beside)
            kept = kept if path.startswith("//..") else path
        elif moves and name not in (_FOLDER, sequencer.FOLDER_SETTING):
            kept = stored_paths.stored(stored_paths.full(kept), beside)
        if kept != text:
            _texts_before[place] = text
            _set(holder, name, kept)


def put_back() -> None:
    """Undoes `keep_for` where a copy was saved, or nothing: the open file is where it was."""
    for place, holder, name, _ in _texts():
        if place in _texts_before:
            _set(holder, name, _texts_before[place])


def _texts() -> Iterator[tuple[tuple[str, ...], Any, str, str]]:
    """Each path: where it is in the file, in names; what holds it; under which name; and the path."""
    for scene, portrait in all_portraits():
        if scene.library is not None:
            continue
        for holder, name in (
            (portrait, "personal"), (portrait, _FOLDER), (portrait.shot, "path"), (portrait.shot, _POINTS),
        ):  # fmt: skip
            if text := getattr(holder, name):
                yield (scene.name, portrait.uid, name), holder, name, text
        for strip in sequencer.find_strips(portrait.group_uid):
            if text := strip.get(sequencer.FOLDER_SETTING):
                yield (strip.id_data.name, "strip", strip.name), strip, sequencer.FOLDER_SETTING, text


def _set(holder: Any, name: str, text: str) -> None:
    if isinstance(holder, bpy.types.PropertyGroup):
        setattr(holder, name, text)
    else:
        holder[name] = text


@persistent
def _before_save(path: str, *_: object) -> None:
    if path:  # it is empty for the startup file
        keep_for(Path(path))


@persistent
def _after_save(path: str, *_: object) -> None:
    if path != bpy.data.filepath:
        put_back()
    _texts_before.clear()


@persistent
def _after_failure(*_: object) -> None:
    put_back()
    _texts_before.clear()


HANDLERS: Final = (
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
    (bpy.app.handlers.save_post_fail, _after_failure),
)

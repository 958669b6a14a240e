# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips over one another: a portrait that is cut out over another strip, or over a file's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import bpy

from ..blender import compat
from ..blender.problems import SceneError
from ..blender.stored_paths import shown
from .sequencer import PORTRAIT_KEY, find_strips, stored_directory
from .strip_channels import free_channel

_NOT_SEEN: Final = ("SOUND",)


def background_of(scene: bpy.types.Scene) -> Any | None:
    """The chosen strip that is no portrait's and can be seen: the active one, else the lowest."""
    editor = scene.sequence_editor
    if editor is None:
        return None
    chosen = [strip for strip in compat.strips_of(editor) if strip.select and _can_be_seen(strip)]
    if editor.active_strip in chosen:
        return editor.active_strip
    return min(chosen, key=lambda strip: strip.channel, default=None)


def shown_at(scene: bpy.types.Scene, portrait_uid: str) -> range | None:
    """From the first to the last frame at which a portrait's strips are seen; None where it has none in the scene."""
    holder = list(compat.strips_of(scene.sequence_editor)) if scene.sequence_editor is not None else []
    shown = [compat.strip_range(strip) for strip in find_strips(portrait_uid) if strip in holder]
    return range(min(each.start for each in shown), max(each.stop for each in shown)) if shown else None


def add_background(scene: bpy.types.Scene, path: Path, frames: range) -> Any:
    """A new strip of a picture or film in the lowest free channel, as long as the frames; a film no longer than it is.

    Raises:
        PortraitError: SCENE where Blender cannot read the file, or there is no room.
    """
    unreadable = SceneError(f"Blender cannot show {path.name} in the sequencer.", "Choose a picture or a film.")
    if not path.is_file():
        raise unreadable
    editor = scene.sequence_editor_create() if scene.sequence_editor is None else scene.sequence_editor
    strips = compat.strips_of(editor)
    channel = free_channel(strips, frames)
    name, file = shown(path.name), stored_directory(path.parent) + path.name
    is_film = path.suffix.lower() in bpy.path.extensions_movie
    try:
        if is_film:
            strip = strips.new_movie(name, file, channel, frames[0], fit_method="FILL")
        else:
            strip = strips.new_image(name, file, channel, frames[0], fit_method="FILL")
    except (RuntimeError, TypeError) as error:  # the latter of a path that is no UTF-8
        raise unreadable from error
    if not is_film or len(compat.strip_range(strip)) > len(frames):
        compat.set_strip_end(strip, frames.stop)
    return strip


def put_over(scene: bpy.types.Scene, portrait_uid: str, background: Any) -> bool:
    """Lets a portrait's strips lie over another strip and let through what they leave out; whether there are any."""
    holder = compat.strips_of(scene.sequence_editor)
    found = [strip for strip in find_strips(portrait_uid) if strip in list(holder)]
    for strip in found:
        strip.blend_type = "ALPHA_OVER"
        if strip.channel <= background.channel:
            others = [each for each in holder if each != strip]
            strip.channel = free_channel(others, compat.strip_range(strip), above=background.channel)
    return bool(found)


def _can_be_seen(strip: Any) -> bool:
    return PORTRAIT_KEY not in strip and strip.type not in _NOT_SEEN

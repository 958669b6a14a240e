# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound beside a portrait's strip: it is put into the sequencer, and moves with the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import bpy

from ..blender import compat
from ..blender.problems import SceneError
from ..blender.stored_paths import shown
from .sequencer import PORTRAIT_KEY, SHOT_KEY, stored_directory
from .strip_channels import free_channel

_SOUND_KEY: Final = "talking_portrait_sound"


def add_sound(scene: bpy.types.Scene, group_uid: str, path: Path, frames: range) -> Any | None:
    """A new sound strip that begins at the first of the frames; None where a strip has this file there already.

    Args:
        group_uid: of the portrait whose pictures it is connected with; all faces of a photo share them.

    Raises:
        PortraitError: SCENE where there is no channel left, or Blender cannot play the file.
    """
    editor = scene.sequence_editor_create() if scene.sequence_editor is None else scene.sequence_editor
    strips = compat.strips_of(editor)
    for strip in strips:
        if strip.type == "SOUND" and strip.sound is not None:
            same = Path(bpy.path.abspath(strip.sound.filepath)) == path
            if same and compat.media_start(strip) == frames[0]:
                return None
    channel = free_channel(strips, frames)
    try:
        strip = strips.new_sound(shown(path.name), stored_directory(path.parent) + path.name, channel, frames[0])
    except (RuntimeError, TypeError) as error:  # the latter of a path that is no UTF-8
        raise SceneError(
            f"Blender cannot play {path.name} as sound.", "Convert it to .wav to hear it; its keys are set."
        ) from error
    strip[_SOUND_KEY] = group_uid
    connect(scene, group_uid)
    return strip


def add_sound_of_shot(scene: bpy.types.Scene, group_uid: str, path: Path, frames: range) -> Any | None:
    """As `add_sound` of a filmed shot, beside its pictures; None also where the movie is silent, or Blender cannot play
    its sound, without which the pictures are seen all the same."""
    try:
        strip = add_sound(scene, group_uid, path, frames)
    except SceneError:
        return None
    if strip is None:
        return None
    if not strip.sound.samplerate:  # what Blender says of a movie without sound
        sound = strip.sound
        compat.strips_of(scene.sequence_editor).remove(strip)
        bpy.data.sounds.remove(sound)
        return None
    strip[SHOT_KEY] = group_uid
    return strip


def connect(scene: bpy.types.Scene, group_uid: str) -> None:
    """Connects a portrait's pictures with its shot's sound, or that it was keyed by, so that who moves one moves all.

    Only where both are: strips in metas are left alone, and one that the user has disconnected stays so until a new one
    comes beside it.
    """
    if scene.sequence_editor is None:
        return
    strips = compat.strips_of(scene.sequence_editor)
    pictures = [strip for strip in strips if group_uid in (strip.get(PORTRAIT_KEY), strip.get(SHOT_KEY))]
    sounds = [strip for strip in strips if strip.get(_SOUND_KEY) == group_uid]
    if pictures and sounds:
        compat.connect_strips(scene, [*pictures, *sounds])

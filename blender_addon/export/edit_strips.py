# SPDX-License-Identifier: GPL-3.0-or-later
"""An edit back in a scene's sequencer: a strip for each clip, at its place, with the marks of what made it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import bpy
from portrait_shared.edits import FRAMES, SOUND, Clip, Edit, Media
from portrait_shared.rates import exact_rate

from ..blender import compat
from ..blender.problems import SceneError
from ..blender.scene_time import scene_fps
from ..blender.stored_paths import shown
from ..portraits.sequencer import stored_directory

_CHANNELS: Final = 128
_MOST_PICTURES: Final = 100_000
_PICTURES: Final = frozenset((".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".webp", ".bmp", ".tga", ".hdr"))


@dataclass
class Built:
    """What came of an edit: how many strips, and what the user should know."""

    strips: int = 0
    notes: list[str] = field(default_factory=list)


def build(scene: bpy.types.Scene, edit: Edit) -> Built:
    """Puts an edit into the sequencer, above the channels that are in use; nothing that is there is changed.

    Raises:
        PortraitError: SCENE where there are not enough channels; nothing was added then.
    """
    built = Built(notes=list(edit.notes))
    editor = scene.sequence_editor_create() if scene.sequence_editor is None else scene.sequence_editor
    strips = compat.strips_of(editor)
    below = max((strip.channel for strip in strips), default=0)
    # A Speed effect lies on a channel of its own, above all others; there each strip is made, too, as long as its media is:
    # where it lay over others, Blender would push it aside.
    effects = below + max((clip.channel for clip in edit.clips), default=0) + 1
    if effects >= _CHANNELS:
        raise SceneError(
            f"The edit needs {effects - below + 1} channels, and {_CHANNELS - below} are free.",
            "Free some channels first.",
        )
    rate = exact_rate(scene_fps(scene))
    if rate != edit.rate:
        built.notes.append(
            f"The edit has {float(edit.rate):.6g} frames per second, the scene {float(rate):.6g}: set the scene's to match."
        )
    for clip in edit.clips:
        strip = _strip(strips, clip, effects + 1, built)
        if strip is None:
            continue
        strip.channel = below + clip.channel
        strip.mute = not clip.enabled
        for key, value in clip.metadata.items():
            strip[key] = value
        if clip.speed != 1:
            _retime(strips, strip, clip, effects, built)
        built.strips += 1
    there = {(marker.name, marker.frame) for marker in scene.timeline_markers}
    for marker in edit.markers:
        if (marker.name, marker.frame) not in there:
            scene.timeline_markers.new(marker.name, frame=marker.frame)
    return built


def _strip(strips: Any, clip: Clip, channel: int, built: Built) -> Any | None:
    """The clip's strip; None, with a note, where its files are not there."""
    media = clip.media
    if media is None:
        return None  # the edit's own notes say so
    try:
        strip = (
            _of_frames(strips, clip, media, channel) if media.kind == FRAMES else _of_file(strips, clip, media, channel)
        )
    except (RuntimeError, TypeError, FileNotFoundError):  # TypeError: of a path that is no UTF-8
        built.notes.append(f"{clip.name}: {media.path} is not there, or Blender cannot play it.")
        return None
    start = clip.at - (clip.first - media.first)
    length = media.count if media.kind == FRAMES else compat.media_frames(strip)
    compat.set_strip_start(strip, start)
    compat.set_handle_offsets(strip, clip.at - start, start + length - (clip.at + clip.count))
    return strip


def _of_frames(strips: Any, clip: Clip, media: Media, channel: int) -> Any:
    folder = Path(media.path)
    if not 0 < media.count <= _MOST_PICTURES or not folder.is_dir():
        raise FileNotFoundError(media.path)
    names = [_name(media, number) for number in range(media.first, media.first + media.count)]
    there = set(os.listdir(folder))
    held = next((name for name in names if name in there), None)
    if held is None:
        raise FileNotFoundError(media.path)
    directory = stored_directory(folder)
    strip = strips.new_image(shown(clip.name), shown(directory + names[0]), channel, clip.at)
    strip.directory = directory
    for number, name in enumerate(names):
        held = name if name in there else held  # a frame that is not there yet shows the one before it
        if number == 0:
            strip.elements[0].filename = held
        else:
            strip.elements.append(held)
    return strip


def _name(media: Media, number: int) -> str:
    sign = "-" if number < 0 else ""
    return f"{media.prefix}{sign}{abs(number):0{media.padding}d}{media.suffix}"


def _of_file(strips: Any, clip: Clip, media: Media, channel: int) -> Any:
    path = Path(media.path)
    if not path.is_file():
        raise FileNotFoundError(media.path)
    name, stored = shown(clip.name), stored_directory(path.parent) + path.name
    if media.kind == SOUND:
        return strips.new_sound(name, stored, channel, clip.at)
    if path.suffix.lower() in _PICTURES:
        return strips.new_image(name, stored, channel, clip.at)
    return strips.new_movie(name, stored, channel, clip.at)


def _retime(strips: Any, strip: Any, clip: Clip, channel: int, built: Built) -> None:
    if strip.type == "SOUND":
        built.notes.append(f"{clip.name} has another speed in the edit; Blender plays the sound at its own.")
        return
    # Blender's own retiming keys can be made in its window alone.
    effect = compat.new_effect(strips, f"{strip.name} speed", "SPEED", channel, clip.at, clip.count, strip)
    effect.speed_control, effect.speed_factor = "MULTIPLY", clip.speed

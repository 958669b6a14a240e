# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's sequencer as an edit: its pictures, movies and sounds, when each is seen, and the markers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import bpy
from portrait_shared import __version__
from portrait_shared.edits import FRAMES, MOVIE, SOUND, Clip, Edit, Marker, Media
from portrait_shared.rates import exact_rate

from ..blender import compat
from ..blender.problems import SceneError
from ..blender.scene_time import scene_fps
from ..portraits import sequencer

_NUMBERED: Final = re.compile(r"(.*?)(\d+)(\.\w+)", re.ASCII | re.DOTALL)
_NUMBERED_BY_US: Final = re.compile(r"(.*?)(-?\d{4,})(\.\w+)", re.ASCII | re.DOTALL)  # "a-0012" may be a name of others
_OWN: Final = "talking_portrait"
"""Begins the names of what the extension keeps on its strips."""


def edit_of(scene: bpy.types.Scene, *, selected: bool = False) -> Edit:
    """The edit in a scene's sequencer; strips in metas come with it, at their places.

    Args:
        selected: only of the selected strips, and of what is in selected metas.

    Raises:
        PortraitError: SCENE where there is nothing to export.
    """
    notes: list[str] = []
    clips = list(_clips(scene, selected, notes)) if scene.sequence_editor is not None else []
    if not clips:
        raise SceneError(
            "There is no strip with pictures, a movie or a sound" + (" among the selected ones." if selected else "."),
            "Put the frames into the sequencer with Add Strip.",
        )
    markers = tuple(Marker(marker.name, marker.frame) for marker in scene.timeline_markers)
    start = min([scene.frame_start, *(clip.at for clip in clips)])
    return Edit(scene.name, exact_rate(scene_fps(scene)), start, tuple(clips), markers, tuple(notes))


def _clips(scene: bpy.types.Scene, selected: bool, notes: list[str]) -> Iterator[Clip]:
    """Metas are opened: their strips get channels above those that are used, in their order."""
    strips = compat.strips_of(scene.sequence_editor)
    speeds = {strip.input_1: strip for strip in strips if strip.type == "SPEED"}
    highest = max((strip.channel for strip in strips), default=0)
    for strip in sorted(strips, key=lambda strip: (strip.channel, compat.strip_range(strip).start)):
        if selected and not strip.select:
            continue
        if strip.type == "META":
            inner = list(compat.strips_of(strip))
            for child in inner:
                shown = _common(compat.strip_range(child), compat.strip_range(strip))
                if shown:
                    yield from _clip(scene, child, highest + child.channel, shown, None, notes)
            highest += max((child.channel for child in inner), default=0)
        elif strip.type != "SPEED":
            yield from _clip(scene, strip, strip.channel, compat.strip_range(strip), speeds.get(strip), notes)


def _clip(
    scene: bpy.types.Scene, strip: Any, channel: int, shown: range, speed_effect: Any, notes: list[str]
) -> Iterator[Clip]:
    found = _media(scene, strip)
    if found is None:
        notes.append(f"The strip “{strip.name}” ({strip.type.replace('_', ' ').lower()}) was left out.")
        return
    media, first = found
    speed = _speed(scene, strip, media, speed_effect, notes)
    hidden = shown.start - compat.strip_start(strip)  # what lies before its left handle, negative where that is held
    own = {key: value for key, value in strip.items() if key.startswith(_OWN) and isinstance(value, (str, int, float))}
    if sequencer.PORTRAIT_KEY in own:
        own["made_with"] = f"Talking Portraits {__version__}"
    yield Clip(strip.name, media, channel, shown.start, len(shown), first + round(hidden * speed), speed,
               not strip.mute, own)  # fmt: skip


def _media(scene: bpy.types.Scene, strip: Any) -> tuple[Media, int] | None:
    """The files of a strip, and the media's frame at its first element; None for strips without any."""
    if strip.type == "IMAGE":
        names = [element.filename for element in strip.elements]
        ours = sequencer.PORTRAIT_KEY in strip
        found = (_NUMBERED_BY_US if ours else _NUMBERED).fullmatch(names[0])
        folder = str(Path(bpy.path.abspath(strip.directory)))
        if found is None or (len(names) == 1 and not ours):
            return Media(MOVIE, str(Path(folder) / names[0]), 0, 1), 0
        # One of ours holds a frame where the next is not there yet: its numbers are counted, not read.
        first = int(strip.get(sequencer.FIRST_KEY, found[2]))
        digits = len(found[2].lstrip("-"))
        return Media(FRAMES, folder, first, len(names), found[1], found[3], digits), first
    if strip.type == "MOVIE":
        return Media(MOVIE, bpy.path.abspath(strip.filepath), 0, compat.media_frames(strip)), 0
    if strip.type == "SOUND" and strip.sound is not None:
        return Media(SOUND, bpy.path.abspath(strip.sound.filepath), 0, compat.media_frames(strip)), 0
    return None


def _speed(scene: bpy.types.Scene, strip: Any, media: Media, effect: Any, notes: list[str]) -> float:
    """Media frames for each frame of the scene."""
    if effect is not None:
        animated = {curve.data_path for curve in compat.fcurves_of(scene)}
        if effect.speed_control == "MULTIPLY" and effect.path_from_id("speed_factor") not in animated:
            return float(effect.speed_factor)
        notes.append(f"The Speed effect on “{strip.name}” is no constant factor, and was left out.")
    if not compat.is_retimed(strip):
        return 1.0
    if strip.type != "IMAGE":  # nothing tells how long its media was before
        notes.append(f"The speed of “{strip.name}” was changed by retiming, and was left out.")
        return 1.0
    speed = media.count / max(compat.whole_length(strip), 1)
    if speed != 1 or len(getattr(strip, "retiming_keys", ())) > 2:
        notes.append(f"The speed of “{strip.name}” was changed by retiming; its mean is kept.")
    return speed


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))

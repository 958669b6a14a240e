# SPDX-License-Identifier: GPL-3.0-or-later
"""The strips of a filmed portrait: the shot itself, and above it one for each stretch of frames that were drawn of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import bpy

from ..blender import compat
from ..blender.frame_runs import frame_runs
from ..blender.problems import SceneError
from ..shots.properties import PORTRAIT_PG_shot
from . import sequencer, strip_sound
from .properties import PORTRAIT_PG_portrait
from .strip_channels import free_channel


def update(
    scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, folder: Path, numbers: Iterable[int],
    settings: Mapping[str, str | int | bool], size: tuple[int, int],
) -> None:  # fmt: skip
    """Lets the sequencer show the drawn frames where there are some, and the shot elsewhere.

    Strips that the user has cut, trimmed, retimed or locked stay as they are, but for their files. One whose frames are
    as filmed again goes.

    Args: as `sequencer.update_frames`.

    Raises:
        PortraitError: SCENE where there is no channel left, or Blender cannot play the shot.
    """
    shot = shot_strip(scene, portrait)
    added = shot is None
    if shot is None:
        shot = _add_shot(scene, portrait, size)
    wanted = [list(range(first, last + 1)) for first, last in frame_runs(sorted(set(numbers)))]
    channel = shot.channel
    kept: list[tuple[Any, list[int]]] = []
    for strip in sequencer.find_strips(portrait.uid):
        own = sequencer.own_numbers(strip)
        run = next((run for run in wanted if run[0] < own.stop and run[-1] >= own.start), None)
        if not sequencer.is_as_made(strip):
            sequencer.fill(strip.id_data, strip, _holder(strip), folder, list(own), settings, size)
            wanted = [part for each in wanted for part in _without(each, own)]
        elif run is None:
            _holder(strip).remove(strip)
            continue
        else:
            wanted.remove(run)
            kept.append((strip, run))
        if strip.id_data == scene:
            channel = max(channel, strip.channel)
    for strip, run in kept:  # once those are gone that would be in the way
        sequencer.fill(strip.id_data, strip, _holder(strip), folder, run, settings, size)
    for run in wanted:
        strips = compat.strips_of(scene.sequence_editor)
        place = range(run[0], run[-1] + 1)
        if channel == shot.channel or not _is_free(strips, channel, place):
            channel = free_channel(strips, place, above=shot.channel)
        sequencer.add_strip(scene, portrait.uid, portrait.name, folder, run, settings, size, channel)
    if added and portrait.shot.pictures() is None:
        strip_sound.add_sound_of_shot(scene, portrait.uid, portrait.shot.file, portrait.shot.frames)
    elif wanted:
        strip_sound.connect(scene, portrait.uid)


def shot_strip(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> Any | None:
    """The strip that plays the portrait's shot where it lies; None where there is none."""
    for strip, _ in sequencer.all_strips(scene):
        if strip.get(sequencer.SHOT_KEY) == portrait.uid and strip.type != "SOUND":
            return strip
        if strip.type == "MOVIE":
            same = os.path.realpath(bpy.path.abspath(strip.filepath)) == os.path.realpath(portrait.shot.file)
            if same and round(compat.media_start(strip)) == portrait.shot.start:
                return strip
        if strip.type == "IMAGE" and sequencer.PORTRAIT_KEY not in strip and _plays_pictures(strip, portrait.shot):
            return strip
    return None


def _plays_pictures(strip: Any, shot: PORTRAIT_PG_shot) -> bool:
    """Whether a strip shows the pictures of the shot, each where it lies."""
    pictures = shot.pictures()
    if pictures is None or os.path.realpath(bpy.path.abspath(strip.directory)) != os.path.realpath(pictures.folder):
        return False
    numbers = {name: number for number, name in pictures.names.items()}
    number = numbers.get(strip.elements[0].filename)
    return number is not None and round(compat.media_start(strip)) - (number - pictures.start) == shot.start


def _add_shot(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, size: tuple[int, int]) -> Any:
    shot = portrait.shot
    editor = scene.sequence_editor_create() if scene.sequence_editor is None else scene.sequence_editor
    strips = compat.strips_of(editor)
    own = [strip.channel for strip in sequencer.find_strips(portrait.uid) if strip.id_data == scene]
    channel = free_channel(strips, shot.frames)
    if own and channel > min(own):
        channel = next((low for low in range(min(own) - 1, 0, -1) if _is_free(strips, low, shot.frames)), channel)
    pictures = shot.pictures()
    first = shot.file if pictures is None else pictures.files[0]
    path = sequencer.stored_directory(first.parent) + first.name
    try:
        if pictures is None:
            strip = strips.new_movie(portrait.name, path, channel, shot.start, fit_method="FIT")
        else:
            strip = strips.new_image(portrait.name, path, channel, shot.start, fit_method="FIT")
            for file in pictures.files[1:]:
                strip.elements.append(file.name)
    except RuntimeError as error:
        raise SceneError(
            f"Blender cannot play {first.name} in the sequencer.", "Convert the shot to H.264 in an .mp4 file."
        ) from error
    strip.name = f"{portrait.name} shot"
    strip[sequencer.SHOT_KEY] = portrait.uid
    sequencer.fit(scene, strip, size)
    return strip


def _is_free(strips: Any, channel: int, place: range) -> bool:
    taken = [compat.strip_range(strip) for strip in strips if strip.channel == channel]
    return all(each.stop <= place.start or each.start >= place.stop for each in taken)


def _holder(strip: Any) -> Any:
    return next(holder for each, holder in sequencer.all_strips(strip.id_data) if each == strip)


def _without(run: list[int], own: range) -> list[list[int]]:
    """What is left of a stretch of frames beside those that a strip plays."""
    left = [number for number in run if number not in own]
    return [list(range(first, last + 1)) for first, last in frame_runs(left)]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The strips of a filmed portrait: the shot itself, and above it one for each stretch of frames that were drawn of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bpy

from ..blender import compat
from ..blender.frame_runs import frame_runs
from ..blender.problems import SceneError
from ..shots.properties import PORTRAIT_PG_shot
from . import sequencer, strip_sound
from .properties import PORTRAIT_PG_portrait
from .strip_channels import free_channel

_PLAYS_KEY: Final = "talking_portrait_plays"
"""On all strips that play a filmed portrait's shot, the user's own, too."""


@dataclass(frozen=True)
class _Piece:
    """A strip that plays a portrait's shot: the whole of it, or what an editor has left of it there.

    Attributes:
        holder: the collection of strips that it is in.
        moved: by so many frames it plays later than the shot lies.
        numbers: the frames of the shot that are seen in it.
    """

    strip: Any
    holder: Any
    moved: int
    numbers: range


def update(
    scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, folder: Path, numbers: Iterable[int],
    settings: Mapping[str, str | int | bool], size: tuple[int, int],
) -> None:  # fmt: skip
    """Lets the sequencer show the drawn frames where there are some, and the shot elsewhere.

    They lie over the shot wherever that was moved to, and are seen where it is seen. Strips that the user has cut,
    trimmed, retimed or locked stay as they are, but for their files. One whose frames are as filmed again goes.

    Args: as `sequencer.update_frames`.

    Raises:
        PortraitError: SCENE where there is no channel left, Blender cannot play the shot, or its strip was retimed: then new
            frames cannot lie over it.
    """
    pieces = _pieces(scene, portrait)
    added = not pieces
    if added:
        _add_shot(scene, portrait, size)
        pieces = _pieces(scene, portrait)
    runs = [range(first, last + 1) for first, last in frame_runs(sorted(set(numbers)))]
    wanted = [(piece, part) for piece in pieces for run in runs if (part := _common(run, piece.numbers))]
    highest = 0
    kept: list[tuple[Any, range]] = []
    for strip in sequencer.find_strips(portrait.uid):
        own = sequencer.own_numbers(strip)
        match = _seen_by(strip, own, wanted)
        if not sequencer.is_as_made(strip):
            sequencer.fill(strip.id_data, strip, _holder(strip), folder, list(own), settings, size)
            wanted = [(piece, part) for piece, run in wanted for part in _without(run, own)]
        elif match is None:
            _holder(strip).remove(strip)
            continue
        else:
            wanted.remove(match)
            kept.append((strip, match[1]))
        if strip.id_data == scene:
            highest = max(highest, strip.channel)
    for strip, run in kept:  # once those are gone that would be in the way
        sequencer.fill(strip.id_data, strip, _holder(strip), folder, list(run), settings, size)
    plain = [(piece, run) for piece, run in wanted if not compat.is_retimed(piece.strip)]
    for piece, run in plain:
        place = range(run.start + piece.moved, run.stop + piece.moved)
        if highest <= piece.strip.channel or not _is_free(piece.holder, highest, place):
            highest = free_channel(piece.holder, place, above=piece.strip.channel)
        sequencer.add_strip(
            scene, portrait.uid, portrait.name, folder, run, settings, size, highest, piece.moved, piece.holder
        )
    if added and portrait.shot.pictures() is None:
        strip_sound.add_sound_of_shot(scene, portrait.uid, portrait.shot.file, portrait.shot.frames)
    elif plain:
        strip_sound.connect(scene, portrait.uid)
    if len(plain) < len(wanted):
        raise SceneError(
            "The shot's strip was retimed: frames that were drawn of it cannot be put over it.",
            "Reset its speed (Strip › Retiming), render, then retime all the shot's strips together.",
        )


def shot_strip(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> Any | None:
    """The strip that plays the portrait's shot, the first where it was cut; None where there is none."""
    return next((piece.strip for piece in _pieces(scene, portrait)), None)


def _pieces(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> list[_Piece]:
    """In order of time. Strips that were once seen to play the shot are known as such, wherever they are moved to."""
    found = []
    for strip, holder in sequencer.all_strips(scene):
        moved = _moved(strip, portrait.shot)
        known = portrait.uid in (strip.get(sequencer.SHOT_KEY), strip.get(_PLAYS_KEY))
        if moved is not None and (known or moved == 0):
            strip[_PLAYS_KEY] = portrait.uid
            shown = compat.strip_range(strip)
            numbers = _common(portrait.shot.frames, range(shown.start - moved, shown.stop - moved))
            found.append(_Piece(strip, holder, moved, numbers))
    return sorted(found, key=lambda piece: compat.strip_range(piece.strip).start)


def _moved(strip: Any, shot: PORTRAIT_PG_shot) -> int | None:
    """By how many frames a strip plays the shot later than it lies; None where it plays something else."""
    start = round(compat.media_start(strip)) - shot.start
    if strip.type == "MOVIE":
        same = os.path.realpath(bpy.path.abspath(strip.filepath)) == os.path.realpath(shot.file)
        return start if same else None
    pictures = shot.pictures()
    if strip.type != "IMAGE" or sequencer.PORTRAIT_KEY in strip or pictures is None:
        return None
    if os.path.realpath(bpy.path.abspath(strip.directory)) != os.path.realpath(pictures.folder):
        return None
    numbers = {name: number for number, name in pictures.names.items()}
    number = numbers.get(strip.elements[0].filename)
    return None if number is None else start - (number - pictures.start)


def _seen_by(strip: Any, own: range, wanted: list[tuple[_Piece, range]]) -> tuple[_Piece, range] | None:
    """The stretch of frames that a strip of drawn ones shows: rather one over which it lies."""
    moved = compat.strip_start(strip) - own.start
    over = [pair for pair in wanted if _common(pair[1], own)]
    return min(over, key=lambda pair: pair[0].moved != moved, default=None)


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


def _without(run: range, own: range) -> list[range]:
    """What is left of a stretch of frames beside those that a strip plays."""
    left = range(run.start, min(run.stop, own.start)), range(max(run.start, own.stop), run.stop)
    return [part for part in left if part]


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))

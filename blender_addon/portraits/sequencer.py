# SPDX-License-Identifier: GPL-3.0-or-later
"""The strip of rendered frames: it grows as they arrive and remembers how to make them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import bpy
from portrait_shared.frames.frame_files import LAYERED, PICTURES, frame_path

from ..blender import compat
from ..blender.problems import SceneError
from ..blender.stored_paths import shown, stored
from ..plane.color_spaces import color_spaces
from .strip_channels import CHANNELS, free_channel, room_of
from .strip_elements import set_elements, set_elements_behind_handles
from .strip_proxies import forget_stale

PORTRAIT_KEY: Final = "talking_portrait"
SHOT_KEY: Final = "talking_portrait_of_shot"
"""On the strip that plays a filmed portrait's shot itself, where it was added for that."""
FIRST_KEY: Final = "talking_portrait_first"  # number of the file of a strip's first element
_COLORS_KEY: Final = "talking_portrait_colors"
_SCALE_KEY: Final = "talking_portrait_scale"
_SIZE_KEY: Final = "talking_portrait_size"
_MISSING_MEDIA_KEY: Final = "talking_portrait_missing_media"
_SETTING_PREFIX = "talking_portrait:"
FOLDER_SETTING: Final = f"{_SETTING_PREFIX}folder"


def find_strips(portrait_uid: str, key: str = PORTRAIT_KEY) -> list[Any]:
    """The portrait's image strips, in metas and in other scenes too: one that was cut is two."""
    return [
        strip
        for scene in bpy.data.scenes
        if scene.library is None
        for strip, _ in all_strips(scene)
        if strip.get(key) == portrait_uid
    ]


def find_strip(scene: bpy.types.Scene, portrait_uid: str) -> Any | None:
    """The portrait's image strip in a scene, or None where there is none (yet, or any more)."""
    return next((strip for strip, _ in all_strips(scene) if strip.get(PORTRAIT_KEY) == portrait_uid), None)


def update_frames(
    portrait_uid: str, folder: Path, numbers: Iterable[int], settings: Mapping[str, str | int | bool],
    size: tuple[int, int] = (0, 0),
) -> list[Any]:  # fmt: skip
    """Grows the portrait's strips so that file N lies at scene frame N; returns them.

    A frame that is not there yet shows the one before it. The strip's channel, effects and place in time, where
    the user changed them, stay; so does a strip that was cut, trimmed, retimed or locked, but for its files. None
    grows into another strip.

    Args:
        numbers: all frames that are in the folder.
        settings: what the frames were made with, kept on the strip as custom properties.
        size: (width, height) of the frames, pixels, to fit them into the scene.
    """
    there = sorted(set(numbers))
    found = []
    for scene in bpy.data.scenes:
        if scene.library is not None or not there:
            continue
        # Listed first: growing a strip may move others in memory.
        own = [pair for pair in all_strips(scene) if pair[0].get(PORTRAIT_KEY) == portrait_uid]
        for strip, neighbours in own:
            fill(scene, strip, neighbours, folder, there, settings, size)
            found.append(strip)
    return found


def add_strip(
    scene: bpy.types.Scene, portrait_uid: str, name: str, folder: Path, numbers: Iterable[int],
    settings: Mapping[str, str | int | bool], size: tuple[int, int] = (0, 0), channel: int | None = None,
    moved: int = 0, holder: Any | None = None,
) -> Any | None:  # fmt: skip
    """A new strip of all the frames, beside those that are there; None where there are no frames.

    Args: as `update_frames`, and
        channel: where it goes; a free one where None.
        moved: by so many frames it plays later than its files' numbers say.
        holder: the collection that it goes into, as of a meta; the sequencer's own where None.

    Raises:
        PortraitError: SCENE where there is no channel left.
    """
    there = sorted(set(numbers))
    if not there:
        return None
    editor = scene.sequence_editor_create() if scene.sequence_editor is None else scene.sequence_editor
    strips = compat.strips_of(editor) if holder is None else holder
    if channel is None:  # above all that could hide it
        top = max((each.channel for each in strips if each.type != "SOUND"), default=0)
        channel = free_channel(strips, range(there[0], there[-1] + 1), above=top if top < CHANNELS else 0)
    check_readable(str(settings.get("layers", "")))
    first = stored_directory(folder) + frame_path(folder, there[0], *_name_of(settings)).name
    strip = strips.new_image(name, shown(first), channel, there[0] + moved, fit_method="FIT")
    if editor.active_strip is None:
        editor.active_strip = strip
    strip[PORTRAIT_KEY], strip[FIRST_KEY] = portrait_uid, there[0]
    strip[_SCALE_KEY] = strip.transform.scale_x
    fill(scene, strip, strips, folder, there, settings, size)
    return strip


def remove_strips(portrait_uid: str) -> None:
    """Takes all strips of a portrait out of the sequencers, that of its shot too where it was added for it."""
    for scene in bpy.data.scenes:
        if scene.library is None:
            while (found := _first_own(scene, portrait_uid)) is not None:
                strip, holder = found
                holder.remove(strip)
            give_back_missing_media(scene)


def _first_own(scene: bpy.types.Scene, portrait_uid: str) -> tuple[Any, Any] | None:
    own = (pair for pair in all_strips(scene) if portrait_uid in (pair[0].get(PORTRAIT_KEY), pair[0].get(SHOT_KEY)))
    return next(own, None)


def give_back_missing_media(scene: bpy.types.Scene) -> None:
    """Turns *Missing Media* on again in a scene where a portrait's strip had turned it off and none is left."""
    if _MISSING_MEDIA_KEY in scene and not any(PORTRAIT_KEY in strip for strip, _ in all_strips(scene)):
        del scene[_MISSING_MEDIA_KEY]
        if scene.sequence_editor is not None:
            scene.sequence_editor.show_missing_media = True


def _hide_missing_media(scene: bpy.types.Scene) -> None:
    """Blender leaves the size of an appended element to chance, and crashes when it paints a frame that was deleted
    from the disk in that size."""
    if scene.sequence_editor.show_missing_media:
        scene.sequence_editor.show_missing_media = False
        scene[_MISSING_MEDIA_KEY] = True


def is_as_made(strip: Any) -> bool:
    """Whether a strip still shows all its elements, one a frame: it was neither cut, trimmed nor retimed, nor locked."""
    return not (strip.lock or any(compat.handle_offsets(strip)) or compat.is_retimed(strip))


def fit_strips(portrait_uid: str) -> None:
    """Fits strips into their scenes anew where the scene's size has changed and the user has not scaled them."""
    for strip in [*find_strips(portrait_uid), *find_strips(portrait_uid, SHOT_KEY)]:
        if _SIZE_KEY in strip:
            _fit(strip.id_data, strip, tuple(strip[_SIZE_KEY]))


def fit(scene: bpy.types.Scene, strip: Any, size: tuple[int, int]) -> None:
    """Fits a new strip into its scene, from now on with `fit_strips` too.

    Args:
        size: (width, height) of what it plays, pixels.
    """
    strip[_SCALE_KEY] = strip.transform.scale_x
    _fit(scene, strip, size)


def own_numbers(strip: Any) -> range:
    """The numbers of the frames that a portrait's strip plays, one for each of its elements."""
    first = int(strip.get(FIRST_KEY, compat.strip_start(strip)))
    return range(first, first + len(strip.elements))


def settings_of(strip: Any) -> dict[str, str | int | bool]:
    """The settings that the strip's frames were made with, so that they can be made again."""
    return {key.removeprefix(_SETTING_PREFIX): value for key, value in strip.items() if key.startswith(_SETTING_PREFIX)}


def _name_of(settings: Mapping[str, str | int | bool]) -> tuple[str, str]:
    """What stands before and after the number in the files' names; older strips do not say, and are plain pictures."""
    return str(settings.get("prefix", "")), LAYERED if settings.get("layers") else PICTURES


def check_readable(layers: str) -> None:
    """Raises SCENE where this Blender's sequencer cannot show files of such layers, named with commas between."""
    if layers not in ("", "rgba") and not compat.sequencer_reads_layers():
        raise SceneError(
            "The sequencer of this Blender cannot show OpenEXR files with layers.",
            "Choose no layers for the strip, or PNG, or use Blender 4.4 or later.",
        )


def _set_colors(strip: Any, settings: Mapping[str, str | int | bool]) -> None:
    """Tells the strip how its files' colours and alpha are written, once for each kind of file: what the user sets, stays."""
    _, suffix = _name_of(settings)
    if strip.get(_COLORS_KEY) != suffix:
        strip[_COLORS_KEY] = suffix
        spaces = color_spaces()
        strip.colorspace_settings.name = spaces.linear if suffix == LAYERED else spaces.picture
        strip.alpha_mode = "PREMUL" if suffix == LAYERED else "STRAIGHT"


def stored_directory(folder: Path) -> str:
    """As Blender keeps it: relative to the .blend where that is saved, with the separator at the end."""
    return stored(folder).rstrip("/\\") + "/"


def all_strips(scene: bpy.types.Scene) -> Iterator[tuple[Any, Any]]:
    """Each strip of a scene, those in metas too, with the collection that it is in."""
    holders = [compat.strips_of(scene.sequence_editor)] if scene.sequence_editor is not None else []
    while holders:
        holder = holders.pop()
        for strip in holder:
            yield strip, holder
            if strip.type == "META":
                holders.append(compat.strips_of(strip))


def fill(
    scene: bpy.types.Scene, strip: Any, neighbours: Any, folder: Path, there: list[int],
    settings: Mapping[str, str | int | bool], size: tuple[int, int],
) -> None:  # fmt: skip
    """Gives one strip its files, as `update_frames` says.

    Args:
        neighbours: the collection of strips that it is in.
        there: numbers of the files, in order.
    """
    check_readable(str(settings.get("layers", "")))
    # Ends Blender's prefetching: its thread reads the elements, which move in memory when they grow.
    strip.invalidate_cache("RAW")
    _hide_missing_media(scene)
    strip.directory = stored_directory(folder)
    first = strip.get(FIRST_KEY, there[0])
    if is_as_made(strip):
        # By the difference, so that a strip the user moved in time keeps its offset.
        moved = compat.strip_start(strip) - first
        earliest, latest = room_of(strip, neighbours)
        numbers = range(max(there[0], earliest - moved), min(there[-1], latest - 1 - moved) + 1)
        if numbers:
            if numbers[0] != first:
                compat.set_strip_start(strip, numbers[0] + moved)
            set_elements(strip, _element_names(folder, there, numbers, settings))
            strip[FIRST_KEY] = numbers[0]
    else:
        moved = compat.strip_start(strip) - first
        numbers = range(first, first + len(strip.elements))
        if not (strip.lock or compat.is_retimed(strip)):  # its handles can be pulled to what came meanwhile
            numbers = range(min(there[0], first), max(there[-1] + 1, numbers.stop))
        names = _element_names(folder, there, numbers, settings)
        set_elements_behind_handles(
            strip, numbers[0] + moved, names, lambda: free_channel(neighbours, compat.strip_range(strip))
        )
        strip[FIRST_KEY] = numbers[0]
    forget_stale(strip)
    _set_colors(strip, settings)
    for key, value in settings.items():
        strip[_SETTING_PREFIX + key] = value
    if all(size):
        _fit(scene, strip, size)
    strip.invalidate_cache("RAW")


def _fit(scene: bpy.types.Scene, strip: Any, size: tuple[int, int]) -> None:
    """Scales a strip so that frames of a size fill the scene, unless the user has scaled it."""
    transform, given = strip.transform, strip.get(_SCALE_KEY)
    if given is None or abs(transform.scale_x - given) + abs(transform.scale_y - given) > 1e-4:
        return
    scale = min(scene.render.resolution_x / size[0], scene.render.resolution_y / size[1])
    if abs(given - scale) > 1e-6:
        transform.scale_x = transform.scale_y = scale
        strip[_SCALE_KEY] = scale
    if tuple(strip.get(_SIZE_KEY, ())) != size:
        strip[_SIZE_KEY] = size


def _element_names(
    folder: Path, there: list[int], numbers: range, settings: Mapping[str, str | int | bool]
) -> list[str]:
    """A file for each number: its own, else that before it, else the first."""
    names, present, held = [], set(there), max((n for n in there if n < numbers[0]), default=there[0])
    for number in numbers:
        held = number if number in present else held
        names.append(frame_path(folder, held, *_name_of(settings)).name)
    return names

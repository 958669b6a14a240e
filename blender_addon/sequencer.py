# SPDX-License-Identifier: GPL-3.0-or-later
"""The strip of rendered frames: it grows as they arrive and remembers how to make them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import bpy
from portrait_shared.frame_files import frame_path

from . import compat

PORTRAIT_KEY: Final = "talking_portrait"
_FIRST_KEY = "talking_portrait_first"
_SETTING_PREFIX = "talking_portrait:"


def find_strip(scene: bpy.types.Scene, portrait_uid: str) -> Any | None:
    """The portrait's image strip, or None where there is none (yet, or any more)."""
    if scene.sequence_editor is None:
        return None
    strips = compat.strips_of(scene.sequence_editor)
    return next((strip for strip in strips if strip.get(PORTRAIT_KEY) == portrait_uid), None)


def show_frames(
    scene: bpy.types.Scene, portrait_uid: str, name: str, folder: Path, numbers: Iterable[int],
    settings: Mapping[str, str | int | bool],
) -> Any | None:  # fmt: skip
    """Makes or grows the strip so that file N lies at scene frame N.

    A frame that is not there yet shows the one before it. The strip's channel, effects and place in time, where
    the user changed them, stay.

    Args:
        numbers: all frames that are in the folder.
        settings: what the frames were made with, kept on the strip as custom properties.

    Returns:
        The strip, or None where there are no frames yet.
    """
    there = sorted(set(numbers))
    if not there:
        return None
    names = _element_names(folder, there)
    strip = find_strip(scene, portrait_uid)
    if strip is None:
        strip = _new_strip(scene, name, folder, there[0], names[0])
    elif (shift := there[0] - strip.get(_FIRST_KEY, there[0])) != 0:
        # By the difference, so that a strip the user moved in time keeps its offset.
        compat.set_strip_start(strip, compat.strip_start(strip) + shift)
    # Ends Blender's prefetching: its thread reads the elements, which move in memory when they grow.
    strip.invalidate_cache("RAW")
    # Blender leaves the size of an appended element to chance, and crashes when it paints a frame that was deleted
    # from the disk in that size.
    scene.sequence_editor.show_missing_media = False
    strip.directory = _directory(folder)
    _set_elements(strip, names)
    strip[PORTRAIT_KEY], strip[_FIRST_KEY] = portrait_uid, there[0]
    for key, value in settings.items():
        strip[_SETTING_PREFIX + key] = value
    strip.invalidate_cache("RAW")
    return strip


def settings_of(strip: Any) -> dict[str, str | int | bool]:
    """What `show_frames` kept on the strip, so that it can be made again."""
    return {key.removeprefix(_SETTING_PREFIX): value for key, value in strip.items() if key.startswith(_SETTING_PREFIX)}


def _new_strip(scene: bpy.types.Scene, name: str, folder: Path, start: int, element: str) -> Any:
    editor = scene.sequence_editor_create() if scene.sequence_editor is None else scene.sequence_editor
    strips = compat.strips_of(editor)
    strip = strips.new_image(name, _directory(folder) + element, _free_channel(strips), start, fit_method="FIT")
    if editor.active_strip is None:
        editor.active_strip = strip
    return strip


def _element_names(folder: Path, there: list[int]) -> list[str]:
    names, present = [], set(there)
    for number in range(there[0], there[-1] + 1):
        names.append(frame_path(folder, number).name if number in present else names[-1])
    return names


def _set_elements(strip: Any, names: list[str]) -> None:
    while len(strip.elements) > len(names):
        strip.elements.pop(-1)
    for element, name in zip(strip.elements, names, strict=False):
        if element.filename != name:
            element.filename = name
    for name in names[len(strip.elements) :]:
        strip.elements.append(name)


def _free_channel(strips: Any) -> int:
    """The lowest channel without any strip: growing there never runs into another one."""
    used = {strip.channel for strip in strips}
    return next(channel for channel in range(1, 129) if channel not in used)


def _directory(folder: Path) -> str:
    """As Blender keeps it: relative to the .blend where that is saved, with the separator at the end."""
    text = str(folder)
    if bpy.data.filepath:
        try:
            text = bpy.path.relpath(text)
        except ValueError:  # another drive on Windows
            pass
    return text.rstrip("/\\") + "/"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a portrait has a strip: one that the user asked for is made and grown, one that they deleted stays deleted.

It is an option, off at first: once a scene has a strip, Blender's *Render Image* shows the sequencer and not the
3-D scene in which the portrait stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import bpy
from portrait_shared.disclosure import Disclosure
from portrait_shared.errors import PortraitError

from ..plane import image_plane
from ..portraits import photo, sequencer, shot_strips, strip_sound
from ..portraits.properties import PORTRAIT_PG_portrait
from .frame_folder import frames_of

Settings = Mapping[str, str | int | bool]


def settings_of(portrait: PORTRAIT_PG_portrait, first: int, last: int) -> dict[str, str | int | bool]:
    """What a strip keeps of how its frames were made, see `PORTRAIT_PG_portrait.apply_settings`."""
    return {
        "engine": portrait.engine, "matte": portrait.matte, "depth": portrait.depth,
        "photo": photo.file_of(portrait.photo) if portrait.photo is not None else "",
        "resolution_percentage": portrait.resolution_percentage,
        "frame_start": first, "frame_end": last, "frame_step": portrait.frame_step, "folder": portrait.output_folder,
        "prefix": portrait.frame_prefix, "layers": ",".join(portrait.layers),
        "label": Disclosure(False, portrait.disclosure.label).as_json(),
    }  # fmt: skip


def show(
    scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, folder: Path, numbers: Iterable[int], settings: Settings,
    size: tuple[int, int],
) -> None:  # fmt: skip
    """Lets the portrait's strips show its frames; makes one where it was asked for and not made yet.

    Args:
        size: (width, height) of the frames, pixels.

    Raises:
        PortraitError: SCENE where the sequencer has no room for it.
    """
    there = sorted(set(numbers))
    if portrait.shot.is_filmed:
        if portrait.use_strip:
            shot_strips.update(scene, portrait, folder, there, settings, size)
            portrait.strip_was_made = True
        return
    if not there:
        return
    if sequencer.update_frames(portrait.group_uid, folder, there, settings, size):
        adopt(portrait)
    elif portrait.use_strip and not portrait.strip_was_made:
        sequencer.add_strip(scene, portrait.group_uid, portrait.name, folder, there, settings, size)
        strip_sound.connect(scene, portrait.group_uid)
        portrait.strip_was_made = True
    else:
        portrait.use_strip = portrait.strip_was_made = False


def add(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> bool:
    """Makes a strip of the frames that are there, and of those to come; whether there are any yet.

    Raises:
        PortraitError: SCENE where the sequencer has no room for it.
    """
    portrait.use_strip = True
    try:
        folder, there = portrait.folder(), frames_of(portrait)
    except PortraitError:  # its folder is beside a .blend that was never saved: there are no frames
        return False
    if portrait.shot.is_filmed:
        there = sorted(set(there).intersection(image_plane.wanted_frames(portrait.plane)))
        settings = settings_of(portrait, portrait.shot.start, portrait.shot.frames[-1])
        shot_strips.update(scene, portrait, folder, there, settings, portrait.frame_size)
        portrait.strip_was_made = True
        return True
    if not there:
        return False
    settings = settings_of(portrait, there[0], there[-1])
    sequencer.add_strip(scene, portrait.group_uid, portrait.name, folder, there, settings, portrait.frame_size)
    strip_sound.connect(scene, portrait.group_uid)
    portrait.strip_was_made = True
    return True


def remove(portrait: PORTRAIT_PG_portrait) -> None:
    """Takes the portrait's strips out of the sequencers; there will be none until one is asked for again."""
    sequencer.remove_strips(portrait.group_uid)
    portrait.use_strip = portrait.strip_was_made = False


def adopt(portrait: PORTRAIT_PG_portrait) -> None:
    """Turns the option on for a portrait that has strips: in files older than the option it is not set."""
    if not (portrait.use_strip and portrait.strip_was_made) and sequencer.find_strips(portrait.group_uid):
        portrait.use_strip = portrait.strip_was_made = True

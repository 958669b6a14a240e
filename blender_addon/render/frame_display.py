# SPDX-License-Identifier: GPL-3.0-or-later
"""What plane and strip show follows the files: frames that were deleted, a project's folder that was moved.

In the window a timer looks (see `frame_states`); without one it is done when a file is loaded and before a render.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.app.handlers import persistent
from portrait_shared.errors import PortraitError
from portrait_shared.frames.frame_files import PICTURES, frames_in, has_frames, prefix_of

from ..blender import stored_paths
from ..blender.scene_time import stretch
from ..compositing.scene_nodes import Frames
from ..compositing.strip_nodes import follow_in_compositors
from ..jobs.job_queue import active_of
from ..plane import image_plane, plane_frames
from ..portraits import sequencer
from ..portraits.properties import DEFAULT_FOLDER, PORTRAIT_PG_portrait
from ..portraits.scene_portraits import all_portraits, portraits_of
from . import portrait_strip
from .frame_folder import owner_of


def follow(
    scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, folder: Path, numbers: Iterable[int], prefix: str = "",
    suffix: str = PICTURES,
) -> bool:  # fmt: skip
    """Lets a plane that plays a folder's frames of a prefix and suffix play those that are there now; whether anything
    changed."""
    if active_of(portrait.uid) is not None:
        return False  # the job shows them itself
    if not image_plane.is_dressed(portrait.plane):
        return False
    sequence = image_plane.wanted_sequence(portrait.plane)
    if sequence is None or not plane_frames.is_of(sequence, folder, suffix) or _prefix(sequence) != prefix:
        return False
    if not image_plane.follow_files(portrait.plane, folder, numbers, stretch(scene), prefix, suffix):
        return False
    if there := sorted(numbers):
        frames = Frames(folder, there, stretch(scene), prefix, suffix)
        follow_in_compositors(portrait.group_uid, portrait.plane, frames)
    return True


def mend(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
    """Finds a portrait's frames where the project's folder is now, and shows those that are there."""
    portrait_strip.adopt(portrait)
    for image in (portrait.photo, *(reference.photo for reference in portrait.references)):
        stored_paths.make_relative(image)
    for strip in sequencer.find_strips(portrait.group_uid):
        _mend_strip(portrait, strip)
    sequencer.fit_strips(portrait.group_uid)
    if not image_plane.is_dressed(portrait.plane):
        return
    sequence = image_plane.wanted_sequence(portrait.plane)
    if sequence is not None and sequence.library is None:
        folder = _mend_sequence(portrait, sequence)
        # Of when they were rendered: the portrait's may be others now.
        prefix, suffix = _prefix(sequence), Path(sequence.filepath).suffix
        follow(scene, portrait, folder, frames_in(folder, prefix, suffix), prefix, suffix)


def mend_all() -> None:
    for scene, portrait in all_portraits():
        if scene.library is None and portrait == portrait.lead:
            mend(scene, portrait)


def _prefix(sequence: bpy.types.Image) -> str:
    return prefix_of(stored_paths.full(sequence.filepath).name)


def _mend_sequence(portrait: PORTRAIT_PG_portrait, sequence: bpy.types.Image) -> Path:
    shown = stored_paths.full(sequence.filepath)
    folder = _where_now(portrait, shown.parent, sequence.filepath.startswith("//"))
    path = stored_paths.stored(folder / shown.name)
    if path != sequence.filepath:
        sequence.filepath = path
    return folder


def _mend_strip(portrait: PORTRAIT_PG_portrait, strip: bpy.types.ImageStrip) -> None:
    folder = _where_now(portrait, stored_paths.full(strip.directory), strip.directory.startswith("//"))
    directory = sequencer.stored_directory(folder)
    if directory != strip.directory:
        strip.directory = directory


def _where_now(portrait: PORTRAIT_PG_portrait, shown: Path, relative: bool) -> Path:
    """The folder of the frames that are shown: as it is known, or where the project has it now.

    An absolute path may lead to the project of which this one is a copy: its own frames come first.
    """
    known = has_frames(shown)
    if known and (relative or owner_of(shown) != portrait.group_uid):
        return shown
    for folder in _candidates(portrait, shown):
        if owner_of(folder) in ("", portrait.group_uid) and has_frames(folder):
            return folder
    return shown


def _candidates(portrait: PORTRAIT_PG_portrait, shown: Path) -> Iterable[Path]:
    """Where frames of a folder may be now: as the portrait says, then in the .blend's folder, see `stored_paths.beside`."""
    try:
        yield portrait.folder()
    except PortraitError:
        pass  # its folder is beside a .blend that was never saved
    yield from stored_paths.beside(shown)
    if bpy.data.filepath:
        yield stored_paths.full(f"{DEFAULT_FOLDER}/{shown.name}")


@persistent
def _after_load(*_: object) -> None:
    mend_all()


@persistent
def _before_render(*_: object) -> None:
    if bpy.app.background:  # in the window the timer looks, and this is called in the middle of Blender's own work
        mend_all()


@persistent
def _on_frame(scene: bpy.types.Scene, *_: object) -> None:
    if not bpy.app.background:
        for portrait in portraits_of(scene).items:
            if image_plane.is_dressed(portrait.plane):
                plane_frames.show_solid(image_plane.texture_node(portrait.plane), scene.frame_current)


HANDLERS = (
    (bpy.app.handlers.frame_change_pre, _on_frame),
    (bpy.app.handlers.load_post, _after_load),
    (bpy.app.handlers.render_init, _before_render),
)

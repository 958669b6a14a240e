# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that were rendered before the .blend was saved for the first time are moved beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import bpy
from bpy.app.handlers import persistent
from portrait_shared.errors import ErrorCode, PortraitError, system_refusal

from ..blender import problems
from ..jobs.job_queue import active_of
from ..portraits.properties import PORTRAIT_PG_portrait
from ..portraits.scene_portraits import all_portraits
from ..portraits.unsaved_place import unsaved_place
from . import frame_display, frame_folder


def settle(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
    """Moves a portrait's frames from the session's folder to the one that it has now, and shows them from there.

    Nothing is moved while the portrait is rendered; what cannot be moved stays, and the panel says so.
    """
    text = portrait.folder_text
    if not text.startswith("//") or not bpy.data.filepath or active_of(portrait.uid) is not None:
        return
    try:
        session = unsaved_place(text)
    except PortraitError:  # without a window there is none
        return
    if frame_folder.owner_of(session) != portrait.group_uid or session == portrait.folder():
        return
    try:
        _move(session, frame_folder.take(portrait))
    except OSError as error:
        reason = f"The frames could not be moved beside the .blend: {system_refusal(error)}"
        remedy = f"They lie in {session} until Blender ends: copy them, or render again."
        problems.keep(portrait.uid, PortraitError(ErrorCode.OUTPUT_NOT_WRITABLE, reason, remedy))
    except PortraitError as error:
        problems.keep(portrait.uid, error)
    frame_display.mend(scene, portrait)


def settle_all() -> None:
    """Those of all portraits."""
    for scene, portrait in all_portraits():
        if scene.library is None and portrait == portrait.lead:
            settle(scene, portrait)


def _move(session: Path, folder: Path) -> None:
    """Moves a folder's files, that which says whose they are last: a move that is cut off can go on."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(session.iterdir(), key=lambda path: path.name == frame_folder.OWNER_FILE):
        shutil.move(str(path), str(folder / path.name))
    os.rmdir(session)


@persistent
def _after_save(path: str, *_: object) -> None:
    if path == bpy.data.filepath:  # and no copy elsewhere
        settle_all()


HANDLERS = ((bpy.app.handlers.save_post, _after_save),)

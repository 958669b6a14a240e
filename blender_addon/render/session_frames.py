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
from ..blender.problems import Fix, SceneError
from ..jobs import job_queue
from ..portraits.properties import PORTRAIT_PG_portrait
from ..portraits.scene_portraits import all_portraits
from ..portraits.unsaved_place import unsaved_place
from . import frame_display, frame_folder


def settle(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
    """Moves a portrait's frames from the session's folder to the one that it has now, and shows them from there.

    Nothing is moved while frames are still rendered there; what cannot be moved stays, and the panel says so.
    """
    text = portrait.folder_text
    if not text.startswith("//") or not bpy.data.filepath:
        return
    try:
        session = unsaved_place(text)
    except PortraitError:  # without a window there is none
        return
    if frame_folder.owner_of(session) != portrait.group_uid or session == portrait.folder():
        return
    if any(job.writes_to == session for job in job_queue.waiting()):
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
    """Moves a folder's frames, so that a move that is cut off can go on. No file of others is replaced, and no frame that
    was rendered there since.

    Raises:
        PortraitError: SCENE where files of others have the frames' names.
        OSError: they cannot be moved.
    """
    owner = session / frame_folder.OWNER_FILE
    frames = [path for path in session.iterdir() if path.is_file() and path != owner]  # folders are other portraits'
    if frame_folder.owner_of(folder) != frame_folder.owner_of(session):
        there = next((path.name for path in frames if os.path.lexists(folder / path.name)), None)
        if there is not None:
            raise SceneError(
                f"The frames stay where they are, because {folder} has other files of their names, such as {there}.",
                f"Choose another folder and render again; the frames lie in {session} until Blender ends.",
                Fix.CHOOSE_FOLDER,
            )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(owner, folder / owner.name)
    for path in frames:
        _move_file(path, folder / path.name)
    owner.unlink()
    if not any(session.iterdir()):
        session.rmdir()


def _move_file(path: Path, to: Path) -> None:
    if to.is_file() and to.stat().st_mtime_ns >= path.stat().st_mtime_ns:
        path.unlink()
        return
    try:
        shutil.move(path, to)
    except OSError:
        if path.is_file():  # half of a copy on another disk would pass for a frame
            to.unlink(missing_ok=True)
        raise


@persistent
def _after_save(path: str, *_: object) -> None:
    if path == bpy.data.filepath:  # and no copy elsewhere
        settle_all()


HANDLERS = ((bpy.app.handlers.save_post, _after_save),)

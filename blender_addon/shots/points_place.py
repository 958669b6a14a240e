# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the points of a shot are kept: beside the .blend; until that is saved, in Blender's own folder for the session."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import bpy

from ..blender import stored_paths
from ..blender.numbered_names import numbered_names

_FOLDER: Final = "portrait_points"


def new_place(name: str) -> str:
    """A file for a portrait's points that is not there yet, as the .blend keeps it."""
    beside = Path(bpy.data.filepath).parent if bpy.data.filepath else Path(bpy.app.tempdir)
    return stored_paths.stored(_free(beside / _FOLDER, bpy.path.clean_name(name)))


def settle(text: str, beside: Path) -> str:
    """Copies points that lie in the session's folder beside a .blend that is about to be saved.

    Args:
        text: where they lie, as the .blend keeps it.
        beside: the .blend's folder.

    Returns:
        Where they lie then, absolute; the text itself where there was nothing to copy.
    """
    path = stored_paths.full(text)
    session = os.path.realpath(bpy.app.tempdir)
    if not os.path.realpath(path).startswith(session) or not path.is_file():
        return text
    if os.path.realpath(beside).startswith(session):
        return text
    place = _free(beside / _FOLDER, path.stem)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    except OSError as error:  # the .blend itself is saved all the same; its points can be found again
        print(f"Talking Portraits: the points of a shot were not copied beside the .blend: {error}")
        return text
    return str(place)


def _free(folder: Path, stem: str) -> Path:
    paths = (folder / f"{name}.npz" for name in numbered_names(stem))
    return next(path for path in paths if not path.exists())

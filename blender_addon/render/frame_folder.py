# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a portrait's frames: no two portraits share one, in this .blend or in others beside it.

A hidden file in the folder says whose frames lie there. From its first render on, a portrait keeps its folder, also
when it is renamed or its .blend is saved elsewhere under another name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import bpy
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.frame_files import frames_in, has_frames, prepare_folder, write_frame

from ..blender.numbered_names import numbered_names
from ..blender.problems import Fix, SceneError
from ..portraits.properties import PORTRAIT_PG_portrait
from ..portraits.scene_portraits import all_portraits

OWNER_FILE: Final = ".talking-portrait"
_MAX_OWNER_BYTES: Final = 1000


def take(portrait: PORTRAIT_PG_portrait) -> Path:
    """The portrait's folder, which stays its own from now on: a free one where the user has not chosen any.

    Raises:
        PortraitError: SCENE where the folder that the user chose is another portrait's, or is beside a .blend that
            was never saved.
    """
    if portrait.output_folder:
        folder = portrait.folder()
        check(portrait, folder)
        return folder
    wanted = portrait.folder_name or bpy.path.clean_name(portrait.name)
    for name in numbered_names(wanted):
        portrait.folder_name = name
        folder = portrait.folder()
        if user_of(portrait, folder) is None and not _is_foreign(portrait, folder):
            break
    return folder


def check(portrait: PORTRAIT_PG_portrait, folder: Path) -> None:
    """Raises SCENE where another portrait renders to the same folder: each would replace the other's frames."""
    other = user_of(portrait, folder)
    if other is not None:
        raise SceneError(
            f"The portraits “{portrait.name}” and “{other.name}” have the same folder for their frames.",
            "Choose another folder for one of them.",
            Fix.CHOOSE_FOLDER,
        )
    if _is_foreign(portrait, folder):
        raise SceneError(
            f"The folder {folder} has the frames of a portrait in another file.",
            "Choose another folder, or remove those frames.",
            Fix.CHOOSE_FOLDER,
        )


def user_of(portrait: PORTRAIT_PG_portrait, folder: Path) -> PORTRAIT_PG_portrait | None:
    """Another portrait of this .blend that renders to the folder."""
    for _, other in all_portraits():
        if (
            other.group_uid != portrait.group_uid
            and (theirs := _folder_of(other)) is not None
            and _equal(theirs, folder)
        ):
            return other
    return None


def claim(folder: Path, uid: str) -> None:
    """Writes into the folder whose it is. Called by workers.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    if owner_of(folder) != uid:
        prepare_folder(folder)
        write_frame(folder / OWNER_FILE, uid.encode())


def frames_of(portrait: PORTRAIT_PG_portrait) -> list[int]:
    """Numbers of the portrait's frames on the disk, in order; those of another portrait do not count.

    Raises:
        PortraitError: as `PORTRAIT_PG_portrait.folder`.
    """
    folder = portrait.folder()
    return (
        frames_in(folder, portrait.frame_prefix, portrait.frame_suffix)
        if owner_of(folder) in ("", portrait.group_uid)
        else []
    )


def owner_of(folder: Path) -> str:
    """Uid of the portrait whose frames lie there; empty where the folder does not say."""
    try:
        return read_bounded(folder / OWNER_FILE, _MAX_OWNER_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""  # whether the folder can be used is found out when it is written to


def _is_foreign(portrait: PORTRAIT_PG_portrait, folder: Path) -> bool:
    return owner_of(folder) not in ("", portrait.group_uid) and has_frames(folder)


def _equal(one: Path, other: Path) -> bool:
    return os.path.normcase(one) == os.path.normcase(other)


def _folder_of(portrait: PORTRAIT_PG_portrait) -> Path | None:
    """None for one that has never rendered to a folder of its own name: it takes a free one when it does."""
    if not (portrait.output_folder or portrait.folder_name):
        return None
    try:
        return portrait.folder()
    except SceneError:
        return None  # beside a .blend that was never saved

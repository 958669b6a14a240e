# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths as a .blend keeps them: relative to it once it is saved, so that a project's folder can be moved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import bpy


def stored(path: Path, beside: Path | None = None) -> str:
    """Relative to the saved .blend, with ``//`` before it; absolute before the first save and on another drive of Windows.

    Args:
        beside: the folder of the .blend where it is about to be saved; else that of where it was.
    """
    if beside is None:
        if not bpy.data.filepath:
            return str(path)
        beside = Path(bpy.data.filepath).parent
    try:
        # Blender resolves no symbolic links: a relative path upwards would lead elsewhere in a .blend opened through one.
        inside = os.path.relpath(os.path.realpath(path), os.path.realpath(beside))
        if not inside.startswith(os.pardir):
            return "//" + inside.replace(os.sep, "/")
        return bpy.path.relpath(str(path), start=str(beside))
    except ValueError:
        return str(path)


def shown(name: str) -> str:
    """A file's name as a data-block may be called: of one that is no UTF-8 the odd bytes become question marks."""
    return name.encode("utf-8", "replace").decode()


def full(text: str, library: bpy.types.Library | None = None) -> Path:
    """The absolute path of one that a .blend, or a library of it, keeps."""
    return Path(os.path.normpath(bpy.path.abspath(text, library=library)))


def beside(path: Path) -> Iterator[Path]:
    """Where a file may be in the folder of the saved .blend if the project was moved: by ever fewer of its folders."""
    if not bpy.data.filepath:
        return
    parts = path.parts[1:] if path.is_absolute() else path.parts
    for start in range(len(parts)):
        yield Path(bpy.data.filepath).parent.joinpath(*parts[start:])


def make_relative(image: bpy.types.Image | None) -> None:
    """Keeps an image's path relative to the saved .blend; its pixels stay."""
    if image is None or image.library is not None or not image.filepath or not bpy.data.filepath:
        return
    if not image.filepath.startswith("//"):
        image.filepath_raw = stored(full(image.filepath))

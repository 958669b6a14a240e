# SPDX-License-Identifier: GPL-3.0-or-later
"""The files behind what Blender shows: of an image, of strips in the sequencer, of a portrait's frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bpy
from portrait_shared.frames.frame_files import credentials_path, frame_path

from ..blender import compat, stored_paths
from ..blender.problems import SceneError
from ..portraits.properties import PORTRAIT_PG_portrait
from ..render.frame_folder import frames_of

_TILE: Final = "<UDIM>"
_SUFFIXES: Final = {
    "JPEG": ".jpg", "TIFF": ".tif", "OPEN_EXR": ".exr", "OPEN_EXR_MULTILAYER": ".exr", "WEBP": ".webp", "BMP": ".bmp",
    "TARGA": ".tga", "TARGA_RAW": ".tga", "JPEG2000": ".jp2",
}  # fmt: skip
_UNSAVED: Final = "It has changes in Blender that are not saved; what was verified is its file."


@dataclass(frozen=True)
class ShownFiles:
    """What is to be looked at.

    Attributes:
        files: on the disk.
        packed: names and contents of files that the .blend holds.
        notes: what is not as it seems, sentences.
    """

    files: tuple[Path, ...] = ()
    packed: tuple[tuple[str, bytes], ...] = ()
    notes: tuple[str, ...] = ()


def of_image(image: bpy.types.Image, user: bpy.types.ImageUser) -> ShownFiles:
    """Of an image as an editor shows it; of a sequence the picture that is shown now.

    Raises:
        PortraitError: SCENE where it has no file.
    """
    if image.packed_files:
        packed = tuple(
            (_packed_name(image, each.filepath), bytes(each.packed_file.data)) for each in image.packed_files
        )
        return ShownFiles(packed=packed, notes=_unsaved(image))
    if image.source not in ("FILE", "SEQUENCE", "MOVIE", "TILED") or not image.filepath:
        raise SceneError(
            f"“{image.name}” is not a file yet: Blender has only its pixels.", "Save it first, with Image ▸ Save As."
        )
    if image.source == "TILED":
        files = [image.filepath.replace(_TILE, str(tile.number)) for tile in image.tiles]
    elif image.source == "SEQUENCE":
        files = [image.filepath_from_user(image_user=user)]
    else:
        files = [image.filepath]
    return ShownFiles(tuple(stored_paths.full(file, image.library) for file in files), notes=_unsaved(image))


def of_strips(strips: Iterable[Any]) -> ShownFiles:
    """Of strips in the sequencer, and of those within metas: pictures and movies.

    Raises:
        PortraitError: SCENE where none of them has any.
    """
    files = tuple(dict.fromkeys(file for strip in strips for file in _of_strip(strip)))
    if not files:
        raise SceneError("The selected strips show no pictures and no movie.", "Select image or movie strips.")
    return ShownFiles(files)


def of_portrait(portrait: PORTRAIT_PG_portrait) -> ShownFiles:
    """Of a portrait's rendered frames, and the signed list beside them.

    Raises:
        PortraitError: SCENE where there are none, or the .blend was never saved.
    """
    numbers = frames_of(portrait)
    if not numbers:
        raise SceneError("None of the portrait's frames was rendered yet.", "Render it first.")
    folder, prefix, suffix = portrait.folder(), portrait.frame_prefix, portrait.frame_suffix
    return ShownFiles(_with_list((frame_path(folder, number, prefix, suffix) for number in numbers), folder, prefix))


def _of_strip(strip: Any) -> Iterator[Path]:
    if strip.type == "META":
        for child in compat.strips_of(strip):
            yield from _of_strip(child)
    elif strip.type == "IMAGE":
        folder = stored_paths.full(strip.directory)
        yield from (folder / element.filename for element in strip.elements)
    elif strip.type == "MOVIE":
        yield stored_paths.full(strip.filepath)


def _with_list(files: Iterable[Path], folder: Path, prefix: str) -> tuple[Path, ...]:
    """The files, before them the signed list that names them where there is one: what it says of missing ones is told."""
    signed = credentials_path(folder, prefix)
    return (signed, *files) if signed.is_file() else tuple(files)


def _packed_name(image: bpy.types.Image, path: str) -> str:
    """What a packed file is called: as on the disk that it came from."""
    name = Path(path.replace("\\", "/")).name or image.name
    return name if Path(name).suffix else name + _SUFFIXES.get(image.file_format, ".png")


def _unsaved(image: bpy.types.Image) -> tuple[str, ...]:
    return (_UNSAVED,) if image.is_dirty else ()

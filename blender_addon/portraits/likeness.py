# SPDX-License-Identifier: GPL-3.0-or-later
"""What else is known of a person than the photo that moves: further photos, and a tuning to them."""

from __future__ import annotations

from pathlib import Path

import bpy
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.references import MAX_REFERENCES, ReferenceImage

from ..blender import stored_paths
from ..blender.numbered_names import numbered_names
from ..blender.problems import Fix, SceneError
from . import photo
from .found_points import PORTRAIT_PG_reference
from .properties import PORTRAIT_PG_portrait

_read: dict[Path, tuple[tuple[int, int], PersonalFile]] = {}


def further_references(portrait: PORTRAIT_PG_portrait) -> list[ReferenceImage]:
    """The further photos with their landmarks, in order; one whose face has not been found is of no use yet.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE where one cannot be read any more, naming it.
    """
    return [_reference(item) for item in portrait.references if item.detected]


def add_photo(portrait: PORTRAIT_PG_portrait, path: str) -> PORTRAIT_PG_reference | None:
    """Takes a photo in, whose face is yet to be found; None where the portrait has it already.

    Raises:
        PortraitError: those of `photo.load`; BAD_IMAGE where there are as many as an engine takes.
    """
    if len(portrait.references) + 1 >= MAX_REFERENCES:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"A portrait takes up to {MAX_REFERENCES} photos.", "Keep the sharpest."
        )
    image = photo.load(path)
    digest = image_digest(photo.pixels(image))
    if digest == portrait.photo_digest or any(item.photo_digest == digest for item in portrait.references):
        bpy.data.images.remove(image)
        return None
    stored_paths.make_relative(image)
    item = portrait.references.add()
    item.name, item.photo, item.photo_digest = stored_paths.shown(Path(path).name), image, digest
    portrait.reference_index = len(portrait.references) - 1
    return item


def remove_photo(portrait: PORTRAIT_PG_portrait, index: int) -> None:
    """Takes a photo out again; its file stays."""
    portrait.references.remove(index)
    portrait.reference_index = max(0, min(portrait.reference_index, len(portrait.references) - 1))


def personal_file(portrait: PORTRAIT_PG_portrait) -> PersonalFile | None:
    """What tunes the engine to the person, None where nothing does. Read anew only where the file has changed.

    Raises:
        PortraitError: FILE_MISSING, BAD_WEIGHTS.
    """
    if not portrait.personal:
        return None
    path = personal_path(portrait)
    try:
        status = path.stat()
    except OSError:
        raise SceneError(
            f"The person's tuning {path} is no longer there.",
            "Choose the file where it is now, or empty the field to draw without it.",
            None,
            ErrorCode.FILE_MISSING,
        ) from None
    stamp = status.st_mtime_ns, status.st_size
    if path not in _read or _read[path][0] != stamp:
        _read[path] = stamp, PersonalFile.load(path)
    return _read[path][1]


def personal_path(portrait: PORTRAIT_PG_portrait) -> Path:
    """Where the file lies that tunes the engine, where the portrait has one."""
    return stored_paths.full(portrait.personal, portrait.id_data.library)  # of a linked scene: beside that


def digest(portrait: PORTRAIT_PG_portrait) -> str:
    """Further photos and tuning as text for hashes, because pixels depend on them; empty where there are none.

    Raises:
        PortraitError: as `personal_file`.
    """
    personal = personal_file(portrait)
    parts = [f"{item.photo_digest} {item.points.tobytes().hex()}" for item in portrait.references if item.detected]
    return " ".join([*parts, f"personal {personal.digest}"] if personal is not None else parts)


def new_personal_path(portrait: PORTRAIT_PG_portrait) -> Path:
    """Where a new tuning goes: beside the .blend, under the portrait's name, over no other file.

    Raises:
        PortraitError: SCENE with the fix *Save* where the .blend was never saved.
    """
    if not bpy.data.filepath:
        raise SceneError(
            "The tuning goes beside the .blend, which has not been saved yet.", "Save the .blend first.", Fix.SAVE
        )
    stem = bpy.path.clean_name(portrait.name)
    folder = Path(bpy.data.filepath).resolve().parent
    paths = (folder / f"{name}.safetensors" for name in numbered_names(stem))
    return next(path for path in paths if not path.exists())


def _reference(item: PORTRAIT_PG_reference) -> ReferenceImage:
    try:
        image = photo.check(item.photo, tuple(item.photo.size) if item.photo is not None else (0, 0))
    except PortraitError as error:
        # Without a fix: Locate Photo is for the portrait's first photo.
        raise SceneError(
            f"The further photo {item.name}: {error.message}", "Remove it from the list, and add it again.",
            None, error.code,
        ) from error  # fmt: skip
    return ReferenceImage(photo.pixels(image), item.points)

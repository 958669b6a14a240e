# SPDX-License-Identifier: GPL-3.0-or-later
"""The photograph: its file, and its pixels as the plane shows them.

The server's reader decides what picture a file holds. Where Blender reads the same, its image is that of the file; else
the image holds the server's picture, packed into the .blend, and remembers the file.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import bpy
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import PICTURE_SUFFIXES
from portrait_shared.protocol.references import MAX_IMAGE_PIXELS
from portrait_shared.track import MAX_SIDE_PIXELS

from ..blender import stored_paths
from ..blender.problems import Fix, SceneError
from ..blender.stored_paths import shown
from ..plane.color_spaces import color_spaces
from .photo_reading import ask_server, content_of, is_plain

IMAGE_GLOB: Final = ";".join(f"*{suffix}" for suffix in PICTURE_SUFFIXES)

_FILE_KEY = "talking_portraits_file"
_CONTENT_KEY = "talking_portraits_content"


def load(path: str) -> bpy.types.Image:
    """The image of a file, loaded anew so that it can be switched and packed on its own.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE; SERVER_UNAVAILABLE and the like where the server has
            to be asked and cannot be.
    """
    file = Path(bpy.path.abspath(path))
    if not os.path.isfile(file):
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no picture {file}.", "Choose a picture's file.")
    content = content_of(file)
    plain = is_plain(content)
    right = None if plain else ask_server(content, file)
    image = _shown_by_blender(file)
    if right is None and image is None:
        right = ask_server(content, file)
    if right is not None and (image is None or not _shows(image, right)):
        if image is not None:
            bpy.data.images.remove(image)
        image = _holding(right, file)
    try:
        _check_size(image)
    except PortraitError:
        bpy.data.images.remove(image)
        raise
    image[_CONTENT_KEY] = hashlib.sha256(content).hexdigest()
    return image


def file_of(image: bpy.types.Image) -> str:
    """The path of the photo's file as Blender writes it; empty where it has none."""
    return image.get(_FILE_KEY) or image.filepath


def check(image: bpy.types.Image | None, size: tuple[int, int]) -> bpy.types.Image:
    """The photo, ready to be read, as large as when its landmarks were placed.

    Returns:
        The image; another one, which has taken its place everywhere, where the file has changed and Blender cannot
        show it rightly.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE or SIZE_MISMATCH, each with the fix *Locate Photo*; those of `load`.
    """
    if image is None:
        raise SceneError("The portrait's photo was removed from the file.", "Locate it on the disk.",
                         Fix.RELOCATE_PHOTO, ErrorCode.FILE_MISSING)  # fmt: skip
    try:
        image = _up_to_date(image)
        _check_size(image)
    except PortraitError as error:
        if error.code not in (ErrorCode.BAD_IMAGE, ErrorCode.IMAGE_TOO_LARGE):
            raise
        raise SceneError(error.message, "Locate a picture that can be read.", Fix.RELOCATE_PHOTO, error.code) from error
    if tuple(image.size) != tuple(size):
        raise SceneError(
            f"The photo is {image.size[0]}x{image.size[1]} pixels now; its landmarks were placed on "
            f"{size[0]}x{size[1]}.",
            "Locate the original, or add the new picture as a portrait of its own.",
            Fix.RELOCATE_PHOTO,
            ErrorCode.SIZE_MISMATCH,
        )  # fmt: skip
    return image


def stored_file(image: bpy.types.Image) -> tuple[bytes, str] | None:
    """What the photo's file holds, and the suffix of its name; None where there is none, or it was painted over.

    Raises:
        PortraitError: FILE_MISSING, IMAGE_TOO_LARGE.
    """
    if image.is_dirty or image.source != "FILE":
        return None
    file = found_file(image)
    if image.packed_file is not None and not image.get(_FILE_KEY):
        return bytes(image.packed_file.data), file.suffix
    return (content_of(file), file.suffix) if os.path.isfile(file) else None


def pixels(image: bpy.types.Image) -> np.ndarray:
    """The picture as display colours, (H, W, 3) uint8 RGB, or (H, W, 4) with straight alpha where it has any.

    Byte images are taken as they are stored; float ones go from scene-linear to sRGB.
    """
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    values = values.reshape(height, width, 4)[::-1]
    if image.is_float:
        rgba = _from_floats(image, values)
    else:
        values *= 255
        values += 0.5
        rgba = values.astype(np.uint8)
    return np.ascontiguousarray(rgba if (rgba[..., 3] < 255).any() else rgba[..., :3])


def _up_to_date(image: bpy.types.Image) -> bpy.types.Image:
    """The image with what its file holds now."""
    held = image.get(_FILE_KEY)
    if image.is_dirty or image.source != "FILE" or (image.packed_file is not None and not held):
        return image
    file = found_file(image)
    if not os.path.isfile(file):
        if held:
            return image  # the picture is in the .blend
        raise SceneError(f"The photo {file} is no longer there.", "Locate it where it is now.",
                         Fix.RELOCATE_PHOTO, ErrorCode.FILE_MISSING)  # fmt: skip
    known = image.get(_CONTENT_KEY)
    # Older versions kept no hash, and placed the landmarks on Blender's own reading, which is used on for them.
    if known is None or image.library is not None or known == hashlib.sha256(content_of(file)).hexdigest():
        if not held:
            image.reload()  # what is in memory may be older than the file
        return image
    fresh = load(str(file))
    name = image.name
    image.user_remap(fresh)
    bpy.data.images.remove(image)
    fresh.name = name
    return fresh


def found_file(image: bpy.types.Image) -> Path:
    """Where the photo's file is now.

    Blender keeps the paths of its own images right. The path that an image of the server's picture remembers may be of
    before the project was moved: then a file of the same content counts that lies beside the .blend as it did there.
    """
    file = stored_paths.full(file_of(image), image.library)
    if image.get(_FILE_KEY) and image.library is None and not os.path.isfile(file):
        own = next((each for each in stored_paths.beside(file) if _holds(each, image.get(_CONTENT_KEY))), None)
        if own is not None:
            image[_FILE_KEY] = str(own)
            return own
    return file


def _holds(file: Path, known: str | None) -> bool:
    try:
        return os.path.isfile(file) and hashlib.sha256(content_of(file)).hexdigest() == known
    except PortraitError:
        return False


def _shown_by_blender(file: Path) -> bpy.types.Image | None:
    """The image of a file; None where Blender cannot read it, or takes it for a film by its name."""
    try:
        image = bpy.data.images.load(str(file))
    except RuntimeError:
        return None
    if image.source == "FILE":
        if not image.is_float:
            image.colorspace_settings.name = color_spaces().picture  # a configuration may presume another one
        return image
    bpy.data.images.remove(image)
    return None


def _shows(image: bpy.types.Image, right: np.ndarray) -> bool:
    """Whether Blender reads exactly the server's picture, so that the file itself can be shown."""
    height, width = right.shape[:2]
    return (
        tuple(image.size) == (width, height)
        and not image.is_float
        and image.colorspace_settings.name == color_spaces().picture
        and np.array_equal(pixels(image), right)
    )


def _holding(right: np.ndarray, file: Path) -> bpy.types.Image:
    """An image of 8-bit sRGB pixels, packed, that knows the file they are from."""
    height, width = right.shape[:2]
    image = bpy.data.images.new(shown(file.name), width, height, alpha=right.shape[2] == 4)
    image.colorspace_settings.name = color_spaces().picture
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., : right.shape[2]] = right[::-1] / np.float32(255)
    image.pixels.foreach_set(rgba.ravel())
    image.pack()
    image[_FILE_KEY] = str(file)
    return image


def _from_floats(image: bpy.types.Image, values: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 of scene-linear floats: only portraits of earlier releases have such an image."""
    color, alpha = values[..., :3], values[..., 3:]
    if (alpha < 1).any():  # float buffers are premultiplied
        color = np.where(alpha > 0, color / np.maximum(alpha, 1e-6), 0)
    if image.colorspace_settings.name not in ("Non-Color", "Raw"):
        color = _srgb_of_linear(color)
    rgba = np.concatenate((color, alpha), axis=2)
    return np.round(np.clip(np.nan_to_num(rgba), 0, 1) * 255).astype(np.uint8)


def _srgb_of_linear(color: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    color = np.maximum(color, 0)
    return np.where(color <= 0.0031308, 12.92 * color, 1.055 * np.maximum(color, 1e-9) ** (1 / 2.4) - 0.055)


def _check_size(image: bpy.types.Image) -> None:
    width, height = image.size
    if width == 0 or height == 0:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"Blender cannot read {image.name} as a picture.", "Choose another picture."
        )
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_IMAGE_PIXELS:
        raise PortraitError(
            ErrorCode.IMAGE_TOO_LARGE,
            f"{image.name} is {width}x{height} pixels; the limit is {MAX_IMAGE_PIXELS // 1_000_000} megapixels and "
            f"{MAX_SIDE_PIXELS} a side.",
            "Make it smaller first.",
        )

# SPDX-License-Identifier: GPL-3.0-or-later
"""The photograph: its file, and its pixels as the plane shows them.

Blender ignores a file's EXIF orientation; the plane, the landmarks and the server all see Blender's picture,
so they agree with one another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import bpy
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from .problems import Fix, SceneError

MAX_SIDE_PIXELS: Final = 16384
MAX_PIXELS: Final = 64_000_000
IMAGE_GLOB: Final = "*.png;*.jpg;*.jpeg;*.jp2;*.tif;*.tiff;*.bmp;*.webp;*.tga;*.exr;*.hdr;*.psd"


def load(path: str) -> bpy.types.Image:
    """The image of a file, loaded anew so that it can be switched and packed on its own.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE.
    """
    file = Path(bpy.path.abspath(path))
    if not file.is_file():
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no picture {file}.", "Choose a picture's file.")
    try:
        image = bpy.data.images.load(str(file))
    except RuntimeError as error:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"Blender cannot read {file.name}: {error}".strip(), "Choose another picture."
        ) from error
    try:
        _check_size(image)
    except PortraitError:
        bpy.data.images.remove(image)
        raise
    return image


def check(image: bpy.types.Image | None, size: tuple[int, int]) -> bpy.types.Image:
    """The photo, ready to be read, as large as when its landmarks were placed.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE or SIZE_MISMATCH, each with the fix *Locate Photo*.
    """
    if image is None:
        raise SceneError("The portrait's photo was removed from the file.", "Locate it on the disk.",
                         Fix.RELOCATE_PHOTO, ErrorCode.FILE_MISSING)  # fmt: skip
    if image.packed_file is None and image.source == "FILE" and not image.is_dirty:
        file = Path(bpy.path.abspath(image.filepath, library=image.library))
        if not file.is_file():
            raise SceneError(f"The photo {file} is no longer there.", "Locate it where it is now.",
                             Fix.RELOCATE_PHOTO, ErrorCode.FILE_MISSING)  # fmt: skip
        image.reload()  # what is in memory may be older than the file
    try:
        _check_size(image)
    except PortraitError as error:
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


def pixels(image: bpy.types.Image) -> np.ndarray:
    """The picture as display colours, (H, W, 3) uint8 RGB, or (H, W, 4) with straight alpha where it has any.

    Byte images are taken as they are stored; float ones (16-bit PNG, EXR) go from scene-linear to sRGB.
    """
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    values = values.reshape(height, width, 4)[::-1]
    color, alpha = values[..., :3], values[..., 3:]
    if image.is_float:
        if (alpha < 1).any():  # float buffers are premultiplied
            color = np.where(alpha > 0, color / np.maximum(alpha, 1e-6), 0)
        if image.colorspace_settings.name not in ("Non-Color", "Raw"):
            color = _srgb_of_linear(color)
    rgba = np.concatenate((color, alpha), axis=2)
    rgba = np.round(np.clip(np.nan_to_num(rgba), 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(rgba if (rgba[..., 3] < 255).any() else rgba[..., :3])


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
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_PIXELS:
        raise PortraitError(
            ErrorCode.IMAGE_TOO_LARGE,
            f"{image.name} is {width}x{height} pixels; the limit is {MAX_PIXELS // 1_000_000} megapixels and "
            f"{MAX_SIDE_PIXELS} a side.",
            "Make it smaller first.",
        )

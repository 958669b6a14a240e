# SPDX-License-Identifier: GPL-3.0-or-later
"""Pillow's pictures, of whatever mode and orientation, to upright arrays of 8 bits in sRGB."""

from __future__ import annotations

import logging

import numpy as np
from PIL import ExifTags, Image, ImageOps

from portrait_server.media.picture_colours import in_srgb

_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262

log = logging.getLogger(__name__)


def finished(image: Image.Image, profile: bytes | None) -> np.ndarray:
    """The loaded picture as `read_image` returns it, not turned: (H, W, 3 or 4) uint8.

    Args:
        profile: ICC profile of its colours, as `stated_profile` tells.
    """
    image = in_srgb(eight_bit_mode(image), profile)
    if image.mode == "RGBA":
        pixels = np.array(image)
        return pixels if (pixels[..., 3] < 255).any() else np.ascontiguousarray(pixels[..., :3])
    return np.array(image.convert("RGB"))


def upright(image: Image.Image) -> Image.Image:
    """The loaded picture turned as its EXIF or XMP says."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # noqa: BLE001  EXIF is somebody's bytes, and the picture is there without it
        log.warning("The EXIF data cannot be read, so the picture is taken as upright: %.200s", error)
        return image


def orientation(image: Image.Image) -> int:
    """How an opened picture, not loaded yet, lies, by EXIF's numbers: 1 is upright."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  as in `upright`, which says so
        return 1


def eight_bit_mode(image: Image.Image) -> Image.Image:
    """L, LA, RGB, RGBA, CMYK or LAB of 8 bits a channel."""
    if image.mode.startswith("I"):
        return _eight_bit_grey(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels")
    if image.mode in ("La", "RGBa"):  # premultiplied
        return image.convert(image.mode[:-1] + "A")
    if image.mode == "LA":
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("L", "RGB", "CMYK", "LAB") else image.convert("RGB")


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    clear = image.info.get("transparency")
    opacity = None if clear is None else np.where(values == clear, 0, 255).astype(np.uint8)
    tags = getattr(image, "tag_v2", {})
    if tags.get(_TIFF_BITS) == (12,):
        values = values << 4
    if values.dtype.itemsize > 2 and (values.min() < 0 or values.max() > 65535):
        raise ValueError("whole numbers beyond 16 bits")
    if tags.get(_TIFF_PHOTOMETRIC) == 0:  # white is 0, which Pillow heeds for 8 bits alone
        values = 65535 - values
    # The high byte, as Pillow itself takes from 16-bit colour.
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if opacity is not None:
        grey = Image.merge("LA", (grey, Image.fromarray(opacity)))
    grey.info = {key: value for key, value in image.info.items() if key != "transparency"}  # EXIF among it
    return grey

# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture files to upright 8-bit RGB(A) arrays, whatever their mode, depth, profile or orientation."""

from __future__ import annotations

import io
import logging
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps
from portrait_shared.errors import ErrorCode, PortraitError

MAX_SIDE_PIXELS = 16384
MAX_PIXELS = 64_000_000
# Pillow's other readers start programs (EPS) or are of no use for photographs.
_FORMATS = ("JPEG", "MPO", "PNG", "TIFF", "WEBP", "AVIF", "BMP", "GIF", "TGA", "PPM", "JPEG2000", "PSD")
# What Pillow's readers raise on damaged files.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error)
_SAVE_AS = "Open it in an image editor and save it as PNG or JPEG."

log = logging.getLogger(__name__)


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """The picture as a person sees it: upright, sRGB, the first frame of an animation.

    Returns:
        (H, W, 3) uint8 RGB, or (H, W, 4) with straight alpha where a pixel is not opaque.

    Raises:
        PortraitError: FILE_MISSING, IMAGE_TOO_LARGE (before anything is decoded), or BAD_IMAGE.
    """
    path = Path(path)
    check_file(path)
    with warnings.catch_warnings():
        # The limits below are stricter than Pillow's warning, and an odd EXIF tag is no concern.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        try:
            with Image.open(path, formats=_available_formats()) as image:
                check_size(path, *image.size)
                image.load()
                return _to_array(_in_srgb(_upright(image)))
        except Image.DecompressionBombError:
            raise _too_large(path, "more pixels than can be read safely") from None
        except Image.UnidentifiedImageError:
            raise _bad_image(path, "it is not a picture of a kind that can be read") from None
        except MemoryError:
            raise _too_large(path, "more pixels than fit in memory") from None
        except _DECODE_ERRORS as error:
            raise _bad_image(path, f"it is damaged or incomplete ({error})") from error


def opaque(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the picture over mid grey, since colours under full transparency mean nothing.

    Args:
        image: (H, W, 3 or 4) uint8, straight alpha.
    """
    if image.shape[2] == 3:
        return np.ascontiguousarray(image)
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + 127 * (255 - alpha) + 127) // 255).astype(np.uint8)


def check_array(image: np.ndarray) -> None:
    """Refuses what is not a picture of a size that `read_image` would return.

    Raises:
        PortraitError: BAD_IMAGE, IMAGE_TOO_LARGE.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4) or 0 in image.shape:
        raise PortraitError(
            ErrorCode.BAD_IMAGE,
            f"A picture is an array (height, width, 3 or 4) of 8-bit values, not {image.dtype} {image.shape}.",
        )
    check_size(Path("The picture"), image.shape[1], image.shape[0])


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether the file is, by its name or else by its content, a picture rather than a video."""
    Image.init()
    path = Path(path)
    if Image.registered_extensions().get(path.suffix.lower()) in _FORMATS:
        return True
    try:
        # TGA has no mark to know it by, and takes some videos for its own.
        with Image.open(path, formats=tuple(name for name in _available_formats() if name != "TGA")):
            return True
    except _DECODE_ERRORS:
        return False


def _available_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def check_file(path: Path) -> None:
    """Raises: PortraitError: FILE_MISSING, or BAD_IMAGE for a folder or an empty file."""
    if not path.exists():
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path, or choose the picture again."
        )
    if not path.is_file():
        raise PortraitError(ErrorCode.BAD_IMAGE, f"{path} is not a file.", "Give the path of a picture.")
    if path.stat().st_size == 0:
        raise _bad_image(path, "it is empty")


def check_size(path: Path, width: int, height: int) -> None:
    """Raises: PortraitError: IMAGE_TOO_LARGE."""
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_PIXELS:
        raise _too_large(path, f"{width}x{height} pixels")


def _too_large(path: Path, what: str) -> PortraitError:
    return PortraitError(
        ErrorCode.IMAGE_TOO_LARGE,
        f"{path} has {what}; up to {MAX_SIDE_PIXELS} a side and {MAX_PIXELS // 1_000_000} megapixels are read.",
        "Scale it down; 4096 pixels a side is the most a portrait is drawn at.",
    )


def _bad_image(path: Path, why: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_IMAGE, f"Cannot read {path} as a picture: {why}.", _SAVE_AS)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DECODE_ERRORS as error:
        log.warning("The EXIF data cannot be read, so the picture is taken as upright: %s", error)
        return image


def _in_srgb(image: Image.Image) -> Image.Image:
    profile_bytes = image.info.get("icc_profile")
    image = _eight_bit(image)
    if not profile_bytes or image.mode not in ("L", "RGB", "RGBA", "CMYK", "LAB"):
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_bytes))
        # A round trip would shift values by one for nothing.
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return image
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        colours = image.convert("RGB") if alpha else image
        converted = ImageCms.profileToProfile(colours, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.warning("The colour profile cannot be used, so the picture is taken as sRGB: %s", error)
        return image
    if converted is None:
        return image
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits to L, palettes and greys with alpha to RGB(A); the rest as it is."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("whole numbers beyond 16 bits")
        # The high byte, as Pillow itself takes from 16-bit colour.
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels")
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("RGB")


def _to_array(image: Image.Image) -> np.ndarray:
    if image.mode == "RGBA":
        pixels = np.array(image)
        return pixels if (pixels[..., 3] < 255).any() else np.ascontiguousarray(pixels[..., :3])
    return np.array(image.convert("RGB"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture files to upright RGB(A) arrays of 8 or 16 bits, whatever their mode, depth, profile or orientation.

The one reader of photographs: the command line calls it, and the extension asks the server for it.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
from PIL import Image
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import PICTURE_SUFFIXES, UNNAMED

from portrait_server.media import exr_pictures
from portrait_server.media.deep_pictures import Depth, deep_picture, widened
from portrait_server.media.picture_colours import stated_profile
from portrait_server.media.picture_errors import bad_image, check_file, check_size, in_words, raw_data, too_large
from portrait_server.media.picture_modes import eight_bit_mode, finished, orientation, upright
from portrait_server.media.picture_work import MAX_PICTURE_FILE_BYTES, too_much_work

# Pillow's other readers start programs (EPS) or are of no use for photographs.
FORMATS = ("JPEG", "MPO", "PNG", "TIFF", "WEBP", "AVIF", "HEIF", "BMP", "GIF", "TGA", "PPM", "JPEG2000", "PSD")
_ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
_TGA_SUFFIXES = (".tga", ".icb", ".vda", ".vst")
_RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef",
                 ".srw", ".3fr", ".iiq", ".erf", ".mef", ".mos", ".kdc", ".dcr", ".rwl", ".x3f")  # fmt: skip
_RADIANCE_MARKS = (b"#?RADIANCE", b"#?RGBE")
_TIFF_SUBFILE, _DNG_VERSION = 254, 50706

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def read_image(path: str | os.PathLike[str], depth: Depth = 8) -> np.ndarray:
    """The picture as a person sees it: upright, sRGB, the first frame of an animation.

    Args:
        depth: bits a channel of what is returned. With 16, a PNG, TIFF or PPM file of 16 bits keeps them, and the light of
            an OpenEXR file has as many levels; of any other file the 8 bits are spread over 16.

    Returns:
        (H, W, 3) uint8 or uint16 RGB, or (H, W, 4) with straight alpha where a pixel is not opaque.

    Raises:
        PortraitError: FILE_MISSING, IMAGE_TOO_LARGE (before anything is decoded), or BAD_IMAGE.
    """
    path = Path(path)
    check_file(path)
    if path.stat().st_size > MAX_PICTURE_FILE_BYTES:
        raise too_large(path, f"{path.stat().st_size:,} bytes")
    with in_words(str(path)), path.open("rb") as file:
        return _decode(file, path.suffix, str(path), depth)


def decode_image(content: bytes | memoryview, suffix: str, name: str = UNNAMED, depth: Depth = 8) -> np.ndarray:
    """What `read_image` returns of a file with this content.

    Args:
        suffix: of the file's name, with its dot.
        name: what messages call the file.
        depth: bits a channel of what is returned.

    Raises:
        PortraitError: IMAGE_TOO_LARGE, BAD_IMAGE.
    """
    with in_words(name):
        if not content:
            raise bad_image(name, "it is empty")
        return _decode(io.BytesIO(content), suffix, name, depth)


def opaque(image: np.ndarray) -> np.ndarray:
    """(H, W, 3): the picture over mid grey, since colours under full transparency mean nothing.

    Args:
        image: (H, W, 3 or 4) uint8, or float32 from 0 to 255, straight alpha.
    """
    if image.shape[2] == 3:
        return np.ascontiguousarray(image)
    if image.dtype != np.uint8:
        return 127 + (image[..., :3] - 127) * (image[..., 3:] / 255)
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + 127 * (255 - alpha) + 127) // 255).astype(np.uint8)


def eight_bit(image: np.ndarray) -> np.ndarray:
    """A picture (…) uint8 or uint16 in 8 bits: the high byte, as `read_image` itself takes of 16 bits."""
    return image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether the file is a still picture, rather than a video or an animation.

    A damaged one is told by its name. One of a kind that is refused, a camera's raw data or Radiance's light, counts as a picture:
    `read_image` says why it is refused.
    """
    path = Path(path)
    named_so = path.suffix.lower() in (*PICTURE_SUFFIXES, *_RAW_SUFFIXES)
    if not os.path.isfile(path):
        return named_so  # not opened: a pipe would be waited for
    if named_so and Image.registered_extensions().get(path.suffix.lower()) not in _ANIMATED_FORMATS:
        return True
    try:
        with in_words(str(path)), path.open("rb") as file:
            if file.read(16).startswith((exr_pictures.MARK, *_RADIANCE_MARKS)):
                return True
            file.seek(0)
            with opened_picture(file, path.suffix) as image:
                return not is_animation(image)
    except PortraitError as error:
        return named_so or error.code is ErrorCode.IMAGE_TOO_LARGE


def is_animated_picture(path: Path) -> bool:
    """Whether the file is of a kind of picture that may play, by its name, and does."""
    return Image.registered_extensions().get(path.suffix.lower()) in _ANIMATED_FORMATS and not is_picture(path)


def is_animation(image: Image.Image) -> bool:
    """Whether an opened file plays; the many pictures of an MPO, a TIFF, a PSD or a HEIC are no film."""
    return image.format in _ANIMATED_FORMATS and bool(getattr(image, "is_animated", False))


def open_animation(path: Path) -> Image.Image | None:
    """The opened file, to be closed by the caller, if it is an animated picture; None for any other file."""
    if not os.path.isfile(path):
        return None
    try:
        with in_words(str(path)):
            image = Image.open(path, formats=[name for name in _ANIMATED_FORMATS if name in Image.OPEN])
    except PortraitError:
        return None
    if is_animation(image):
        return image
    image.close()
    return None


def _decode(file: BinaryIO, suffix: str, name: str, depth: Depth) -> np.ndarray:
    head = file.read(16)
    file.seek(0)
    if head.startswith(exr_pictures.MARK):
        return exr_pictures.decode_exr(file, name, depth)
    if head.startswith(_RADIANCE_MARKS):
        raise bad_image(name, "it holds light as floating-point numbers, not a finished picture")
    if suffix.lower() in _RAW_SUFFIXES or head[8:10] == b"CR":
        raise raw_data(name)
    with opened_picture(file, suffix) as image:
        check_size(name, *image.size)
        tags = getattr(image, "tag_v2", {})  # of TIFF alone
        if _DNG_VERSION in tags or tags.get(_TIFF_SUBFILE, 0) & 1:
            raise raw_data(name)  # the first picture in its file is only a small preview
        if too_long := too_much_work(image, file):
            raise bad_image(name, too_long)
        profile = stated_profile(image, file)
        turn = orientation(image) if depth == 16 else 1
        image.load()
        pixels = finished(upright(eight_bit_mode(image)), profile)
        if depth == 8:
            return pixels
        deep = deep_picture(image, file, turn, profile, pixels)
        return widened(pixels) if deep is None else deep


def opened_picture(file: BinaryIO, suffix: str) -> Image.Image:
    """The file as Pillow opens it, by those of its readers that are of use for photographs; nothing is decoded yet.

    Raises:
        Whatever Pillow raises, see `in_words`.
    """
    Image.init()
    # TGA files begin with no mark to know them by, and Pillow's reader takes much else for one.
    names = [name for name in FORMATS if name in Image.OPEN and (name != "TGA" or suffix.lower() in _TGA_SUFFIXES)]
    return Image.open(file, formats=names)

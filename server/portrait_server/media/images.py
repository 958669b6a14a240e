# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture files to upright RGB(A) arrays of 8 or 16 bits, whatever their mode, depth, profile or orientation.

The one reader of photographs: the command line calls it, and the extension asks the server for it.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO, Literal

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageOps
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import PICTURE_SUFFIXES, UNNAMED
from portrait_shared.protocol.references import MAX_IMAGE_PIXELS
from portrait_shared.track import MAX_SIDE_PIXELS

from portrait_server.media.deep_pictures import deep_picture, widened
from portrait_server.media.picture_colours import in_srgb, stated_profile
from portrait_server.media.picture_work import MAX_PICTURE_FILE_BYTES, too_much_work

# Pillow's other readers start programs (EPS) or are of no use for photographs.
FORMATS = ("JPEG", "MPO", "PNG", "TIFF", "WEBP", "AVIF", "HEIF", "BMP", "GIF", "TGA", "PPM", "JPEG2000", "PSD")
_ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
_TGA_SUFFIXES = (".tga", ".icb", ".vda", ".vst")
_RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef",
                 ".srw", ".3fr", ".iiq", ".erf", ".mef", ".mos", ".kdc", ".dcr", ".rwl", ".x3f")  # fmt: skip
_LIGHT_MARKS = (b"\x76\x2f\x31\x01", b"#?RADIANCE", b"#?RGBE")  # of OpenEXR and Radiance
_TIFF_SUBFILE, _TIFF_BITS, _TIFF_PHOTOMETRIC, _DNG_VERSION = 254, 258, 262, 50706
_SAVE_AS = "Open it in an image editor and save it as PNG or JPEG."
_MOST_DETAIL_CHARACTERS = 200

log = logging.getLogger(__name__)

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


Depth = Literal[8, 16]
"""Bits a channel."""


def read_image(path: str | os.PathLike[str], depth: Depth = 8) -> np.ndarray:
    """The picture as a person sees it: upright, sRGB, the first frame of an animation.

    Args:
        depth: bits a channel of what is returned. With 16, a PNG, TIFF or PPM file of 16 bits keeps them; of any other
            file the 8 bits are spread over 16.

    Returns:
        (H, W, 3) uint8 or uint16 RGB, or (H, W, 4) with straight alpha where a pixel is not opaque.

    Raises:
        PortraitError: FILE_MISSING, IMAGE_TOO_LARGE (before anything is decoded), or BAD_IMAGE.
    """
    path = Path(path)
    check_file(path)
    if path.stat().st_size > MAX_PICTURE_FILE_BYTES:
        raise _too_large(path, f"{path.stat().st_size:,} bytes")
    with _in_words(str(path)), path.open("rb") as file:
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
    with _in_words(name):
        if not content:
            raise _bad_image(name, "it is empty")
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

    A damaged one is told by its name. One of a kind that is refused, a camera's raw data or HDR, counts as a picture:
    `read_image` says why it is refused.
    """
    path = Path(path)
    named_so = path.suffix.lower() in (*PICTURE_SUFFIXES, *_RAW_SUFFIXES)
    if not os.path.isfile(path):
        return named_so  # not opened: a pipe would be waited for
    if named_so and Image.registered_extensions().get(path.suffix.lower()) not in _ANIMATED_FORMATS:
        return True
    try:
        with _in_words(str(path)), path.open("rb") as file:
            if file.read(16).startswith(_LIGHT_MARKS):
                return True
            file.seek(0)
            with _opened(file, path.suffix) as image:
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
        with _in_words(str(path)):
            image = Image.open(path, formats=[name for name in _ANIMATED_FORMATS if name in Image.OPEN])
    except PortraitError:
        return None
    if is_animation(image):
        return image
    image.close()
    return None


def check_file(path: Path) -> None:
    """Raises: PortraitError: FILE_MISSING, or BAD_IMAGE for a folder or an empty file."""
    if not os.path.exists(path):
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path, or choose the picture again."
        )
    if not os.path.isfile(path):
        raise PortraitError(ErrorCode.BAD_IMAGE, f"{path} is not a file.", "Give the path of a picture.")
    if path.stat().st_size == 0:
        raise _bad_image(path, "it is empty")


def check_size(name: str | PurePath, width: int, height: int) -> None:
    """Raises: PortraitError: IMAGE_TOO_LARGE."""
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_IMAGE_PIXELS:
        raise _too_large(name, f"{width}x{height} pixels")


def finished(image: Image.Image, profile: bytes | None) -> np.ndarray:
    """The loaded picture as `read_image` returns it, not turned: (H, W, 3 or 4) uint8.

    Args:
        profile: ICC profile of its colours, as `stated_profile` tells.
    """
    image = in_srgb(_eight_bit(image), profile)
    if image.mode == "RGBA":
        pixels = np.array(image)
        return pixels if (pixels[..., 3] < 255).any() else np.ascontiguousarray(pixels[..., :3])
    return np.array(image.convert("RGB"))


def _decode(file: BinaryIO, suffix: str, name: str, depth: Depth) -> np.ndarray:
    head = file.read(16)
    file.seek(0)
    if head.startswith(_LIGHT_MARKS):
        raise _bad_image(name, "it holds light as floating-point numbers, not a finished picture")
    if suffix.lower() in _RAW_SUFFIXES or head[8:10] == b"CR":
        raise _raw(name)
    with _opened(file, suffix) as image:
        check_size(name, *image.size)
        tags = getattr(image, "tag_v2", {})  # of TIFF alone
        if _DNG_VERSION in tags or tags.get(_TIFF_SUBFILE, 0) & 1:
            raise _raw(name)  # the first picture in its file is only a small preview
        if too_long := too_much_work(image, file):
            raise _bad_image(name, too_long)
        profile = stated_profile(image, file)
        turn = orientation(image) if depth == 16 else 1
        image.load()
        pixels = finished(upright(_eight_bit(image)), profile)
        if depth == 8:
            return pixels
        deep = deep_picture(image, file, turn, profile, pixels)
        return widened(pixels) if deep is None else deep


def _opened(file: BinaryIO, suffix: str) -> Image.Image:
    Image.init()
    # TGA files begin with no mark to know them by, and Pillow's reader takes much else for one.
    names = [name for name in FORMATS if name in Image.OPEN and (name != "TGA" or suffix.lower() in _TGA_SUFFIXES)]
    return Image.open(file, formats=names)


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises into a PortraitError."""
    try:
        with warnings.catch_warnings():
            # The limits here are stricter than Pillow's warning, and an odd EXIF tag is no concern.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            yield
    except PortraitError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(name, "more pixels than can be read safely") from None
    except Image.UnidentifiedImageError:
        raise _bad_image(name, "it is not a picture of a kind that can be read") from None
    except MemoryError:
        raise _too_large(name, "more pixels than fit in memory") from None
    except PermissionError:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"You may not read {name}.", "Ask its owner for the right to read it, or copy it."
        ) from None
    except Exception as error:
        # A dozen decoders raise errors of every kind on a damaged file: RuntimeError, TypeError, SyntaxError…
        detail = f"{error}"[:_MOST_DETAIL_CHARACTERS] or type(error).__name__
        raise _bad_image(name, f"it is damaged or incomplete ({detail})") from error


def _too_large(name: str | PurePath, what: str) -> PortraitError:
    return PortraitError(
        ErrorCode.IMAGE_TOO_LARGE,
        f"{name} has {what}; up to {MAX_SIDE_PIXELS} a side and {MAX_IMAGE_PIXELS // 1_000_000} megapixels are read.",
        "Scale it down; 4096 pixels a side is the most a portrait is drawn at.",
    )


def _bad_image(name: str | PurePath, why: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_IMAGE, f"Cannot read {name} as a picture: {why}.", _SAVE_AS)


def _raw(name: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_IMAGE,
        f"Cannot read {name} as a picture: it holds a camera's raw data.",
        "Develop it in a photo program and save it as JPEG, PNG or TIFF.",
    )


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


def _eight_bit(image: Image.Image) -> Image.Image:
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

# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame as a picture of its own, for whoever takes no PNG, with what it says of itself, unsigned."""

from __future__ import annotations

import io
from typing import Final

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from portrait_server.media.images import eight_bit, opaque
from portrait_server.media.png import xmp_chunk

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_JPEG_QUALITY: Final = 95
_LZW: Final = 5  # TIFF's number of that compression
_TIFF_XMP: Final = 700
_HEADER_BYTES: Final = 8 + 25  # of a PNG: the signature and the IHDR chunk, which must come first


def encode_picture(image: np.ndarray, suffix: str, xmp: bytes) -> bytes:
    """A picture's file.

    Args:
        image: (H, W, 3 or 4) uint16, sRGB with straight alpha; written with 8 bits where no more are used. A JPEG shows it over
            mid grey.
        suffix: one of `SUFFIXES`.
        xmp: what it says of itself, see `portrait_server.media.png.xmp_of`.
    """
    shallow = eight_bit(image)
    if suffix in (".jpg", ".jpeg"):
        written = io.BytesIO()
        Image.fromarray(opaque(shallow)).save(written, "JPEG", quality=_JPEG_QUALITY, subsampling=0, xmp=xmp)
        return written.getvalue()
    pixels = shallow if np.array_equal(shallow.astype(np.uint16) * 257, image) else image
    if suffix == ".png":
        content = _encoded(".png", pixels, ())
        return content[:_HEADER_BYTES] + xmp_chunk(xmp) + content[_HEADER_BYTES:]
    if pixels.dtype == np.uint16:  # which Pillow cannot write in colour, nor OpenCV with XMP
        return _encoded(".tiff", pixels, (cv2.IMWRITE_TIFF_COMPRESSION, _LZW))
    written = io.BytesIO()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[_TIFF_XMP] = xmp
    tags.tagtype[_TIFF_XMP] = 1  # BYTE
    Image.fromarray(pixels).save(written, "TIFF", compression="tiff_lzw", tiffinfo=tags)
    return written.getvalue()


def _encoded(suffix: str, pixels: np.ndarray, settings: tuple[int, ...]) -> bytes:
    order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    content: bytes = cv2.imencode(suffix, cv2.cvtColor(pixels, order), settings)[1].tobytes()
    return content

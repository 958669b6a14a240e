# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenEXR files of any program as pictures: their scene-linear light in sRGB, as an ordinary screen shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import OpenEXR

from portrait_server.media.deep_pictures import Depth
from portrait_server.media.picture_errors import bad_image, check_size, in_words, too_large
from portrait_server.media.picture_profiles import REC709, srgb_encoded, to_d50

MARK: Final = b"\x76\x2f\x31\x01"
"""What such files begin with."""
_LEAST_ALPHA: Final = 1e-4  # below it a half float tells no colour any more
_BRIGHTEST: Final = np.float32(65504)  # what a half float can hold; infinite light counts as that
_MOST_SAMPLES: Final = 300_000_000  # of all channels and parts together, which are read at once: 1.2 GB at most
_ROWS: Final = 256  # that are turned into sRGB at a time, so that no whole picture is held in floats twice
_NEAR_REC709: Final = 1e-4  # chromaticities are kept in single precision, and rounded by some programs
_SQUARE: Final = 0.01
_SRGB: Final = ("srgb_rec709_display", "srgb_rec709_scene")
"""Values of colorInteropID by which files hold codes instead of light: Blender 5 saves images of its own so."""
_DEEP: Final = (OpenEXR.deepscanline, OpenEXR.deeptile)
_WRITE_PLAIN: Final = "Write it again with plain channels R, G and B: from Blender as OpenEXR, not MultiLayer."
_WRITE_AGAIN: Final = "Copy it, or render it, once more."


class Window(NamedTuple):
    """Rows and columns of a picture's plane; the last ones belong to it."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(cls, header: dict[str, Any], name: str) -> Window:
        (left, top), (right, bottom) = header[name]
        return cls(int(left), int(top), int(right), int(bottom))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left + 1, self.bottom - self.top + 1

    def shared(self, other: Window) -> Window:
        """What lies in both."""
        return Window(*map(max, self[:2], other[:2]), *map(min, self[2:], other[2:]))

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Where it lies in an array of the other's pixels."""
        rows = slice(self.top - outer.top, self.bottom - outer.top + 1)
        return rows, slice(self.left - outer.left, self.right - outer.left + 1)


def decode_exr(file: BinaryIO, name: str, depth: Depth) -> np.ndarray:
    """The picture of the first part that has channels R, G and B, as large as its display window.

    Light above 1 is white. Outside its data window the picture is black, and transparent where it has alpha.

    Args:
        file: at its beginning.
        name: what messages call it.
        depth: bits a channel of what is returned.

    Returns:
        (H, W, 3) uint8 or uint16 sRGB, or (H, W, 4) with straight alpha where a pixel is not opaque.

    Raises:
        PortraitError: IMAGE_TOO_LARGE (before anything is decoded); BAD_IMAGE, also for a deep file.
    """
    with in_words(name, _WRITE_AGAIN):
        headers = [part.header for part in OpenEXR.File(file, header_only=True, num_threads=0).parts]
        number = _checked(headers, name)
        to_rec709 = _to_rec709(headers[number], name)
        file.seek(0)
        # Shots are read beside the threads that draw: more of them would be of no use.
        parts = OpenEXR.File(file, separate_channels=True, num_threads=0).parts
        if len(parts) != len(headers):  # the package leaves out those that it fails to decode
            raise ValueError("its pixels cannot be decoded")
        channels = parts[number].channels
        planes = [channels[each].pixels for each in "RGBA" if each in channels]
    return _picture(headers[number], planes, to_rec709, name, depth)


def _checked(headers: Sequence[dict[str, Any]], name: str) -> int:
    """Which part is the picture. Raises: PortraitError: it cannot be read, or takes too much memory."""
    if any(header["type"] in _DEEP for header in headers):
        raise bad_image(
            name, "it is a deep OpenEXR file, with many samples in a pixel", "Flatten it to one sample a pixel."
        )
    number = next((at for at, header in enumerate(headers) if _channels(header).keys() >= set("RGB")), None)
    if number is None:
        raise bad_image(name, "it is an OpenEXR file without channels R, G and B", _WRITE_PLAIN)
    header, channels = headers[number], _channels(headers[number])
    if any((channels[each].xSampling, channels[each].ySampling) != (1, 1) for each in "RGBA" if each in channels):
        raise bad_image(name, "some of its colours have fewer pixels than others", _WRITE_PLAIN)
    aspect = header["pixelAspectRatio"]
    if aspect > 0 and abs(aspect - 1) > _SQUARE:
        raise bad_image(
            name, f"its pixels are {aspect:.2f} times as wide as they are high",
            "Scale it to square pixels, with the pixel aspect ratio 1.",
        )  # fmt: skip
    space = header.get("colorInteropID", "")
    if space not in ("", "unknown", *_SRGB) and not space.startswith("lin_"):
        raise bad_image(name, f"its colours are “{space:.40}”, not scene-linear", "Write it with scene-linear colours.")
    for window in ("displayWindow", "dataWindow"):
        check_size(name, *Window.of(header, window).size)
    samples = sum(math.prod(Window.of(each, "dataWindow").size) * len(each["channels"]) for each in headers)
    if samples > _MOST_SAMPLES:
        raise too_large(name, f"{samples:,} samples in all its channels", "Write its colours to a file of their own.")
    return number


def _channels(header: dict[str, Any]) -> dict[str, Any]:
    return {channel.name: channel for channel in header["channels"]}


def _to_rec709(header: dict[str, Any], name: str) -> np.ndarray | None:
    """(3, 3) float32, whites adapted to one another; None where the file's primaries are Rec.709's, as unless it tells."""
    stated = header.get("chromaticities")
    if stated is None:
        return None
    values = [float(value) for value in stated]
    red, green, blue, white = ((values[at], values[at + 1]) for at in range(0, 8, 2))
    if np.abs(np.subtract((white, red, green, blue), REC709)).max() <= _NEAR_REC709:
        return None
    try:
        matrix = np.linalg.inv(to_d50(REC709)) @ to_d50((white, red, green, blue))
    except (ZeroDivisionError, np.linalg.LinAlgError):
        matrix = np.full((3, 3), np.nan)
    if not np.isfinite(matrix).all():
        raise bad_image(name, "its chromaticities are no colours of red, green and blue", _WRITE_PLAIN)
    return matrix.astype(np.float32)


def _picture(
    header: dict[str, Any], planes: Sequence[np.ndarray], to_rec709: np.ndarray | None, name: str, depth: Depth
) -> np.ndarray:
    """The display window's pixels, see `decode_exr`, of what fills the data window: 3 or 4 planes."""
    if any(plane.dtype.kind != "f" for plane in planes):
        raise bad_image(name, "its colours are whole numbers", _WRITE_PLAIN)
    display, data = Window.of(header, "displayWindow"), Window.of(header, "dataWindow")
    width, height = display.size
    white, is_encoded = 2**depth - 1, header.get("colorInteropID") in _SRGB
    picture = np.zeros((height, width, len(planes)), np.uint8 if depth == 8 else np.uint16)
    for top in range(display.top, display.bottom + 1, _ROWS):
        part = data.shared(display._replace(top=top, bottom=min(top + _ROWS - 1, display.bottom)))
        if min(part.size) > 0:
            light = np.stack([plane[part.within(data)] for plane in planes], -1).astype(np.float32)
            picture[part.within(display)] = np.rint(_shown(light, to_rec709, is_encoded) * white)
    has_alpha = len(planes) == 4 and bool((picture[..., 3] < white).any())
    return picture if has_alpha else np.ascontiguousarray(picture[..., :3])


def _shown(light: np.ndarray, to_rec709: np.ndarray | None, is_encoded: bool) -> np.ndarray:
    """sRGB from 0 to 1 and straight alpha of premultiplied light, or of its codes, (H, W, 3 or 4) float32."""
    light = np.nan_to_num(light).clip(-_BRIGHTEST, _BRIGHTEST)
    colours, alpha = light[..., :3], light[..., 3:].clip(0, 1)
    if alpha.size:
        colours = colours / np.maximum(alpha, _LEAST_ALPHA)
    if to_rec709 is not None:
        colours = colours @ to_rec709.T
    colours = colours.clip(0, 1)
    return np.concatenate([colours if is_encoded else srgb_encoded(colours), alpha], -1)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender's colour configuration, its own one or a studio's, calls the colours of files: found out, not presumed.

A file that is read as one colour space is turned into the scene's working space. So a few colours in a file of floats tell
what a space is, whatever its name. That is needed: the space that a configuration gives to pictures of 8 bits when it is
not asked may be one of film logs, as in those of ACES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import bpy
import numpy as np
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.layers import COLORSPACES

from .view_colors import enum_values

_REC709: Final = COLORSPACES[0]
_RED: Final = {
    "rec709": (1.0, 0.0, 0.0), "rec2020": (0.6274, 0.0691, 0.0164), "acescg": (0.6131, 0.0702, 0.0206),
}  # fmt: skip
"""The red of sRGB in the spaces that layered frames can be written in."""
_PROBE: Final = np.array([[1, 0, 0], [0.75, 0.75, 0.75], [0.5, 0.25, 0.125], [0.125, 0.5, 0.25], [0.25, 0.125, 0.625]])
_ALIKE: Final = 0.006  # of the largest value; files of Radiance have steps of 1/256
_NEAR_SRGB: Final = 0.02  # a pure power of 2.2 counts as sRGB: studios' monitors are described so
_PICTURES: Final = ("sRGB", "sRGB - Texture", "sRGB Encoded Rec.709 (sRGB)", "Utility - sRGB - Texture", "srgb_texture")
_LINEAR: Final = ("Linear Rec.709", "Linear Rec.709 (sRGB)", "Utility - Linear - sRGB", "lin_rec709", "lin_srgb")

_Read = Callable[[np.ndarray, str], np.ndarray]
"""Reads a file of colours (N, 3) as a space of a name; returns them in the scene's working space, (N, 3)."""


class ColorSpaces(NamedTuple):
    """Names in this configuration, and how layered frames are to be written.

    Attributes:
        picture: of sRGB pictures: photos, and frames in PNG files.
        written: the space of layered frames, of `portrait_shared.layers.COLORSPACES`: the scene's working space where that
            is one of them. Blender then alters nothing when it reads a file; else it would turn motion as well, as if that
            was a colour.
        linear: what that space is called.
    """

    picture: str
    written: str
    linear: str


_known: dict[str, ColorSpaces] = {}


def color_spaces() -> ColorSpaces:
    """Those of the open file. Not while a panel is drawn: images are made and removed for it."""
    working = getattr(getattr(bpy.data, "colorspace", None), "working_space", "")
    if working not in _known:
        with PrivateFolder() as folder:
            _known[working] = _found_out(_reader(str(folder / "probe.hdr")))
    return _known[working]


def _found_out(read: _Read) -> ColorSpaces:
    of_bytes, of_floats, spaces = _given()
    picture = next((name for name in _offered(of_bytes, _PICTURES, spaces) if _is_srgb(read, name)), of_bytes)
    seen = read(_PROBE, picture)
    misses = {space: np.abs(seen[0] - red).max() for space, red in _RED.items()}
    written = min(misses, key=misses.__getitem__)
    if misses[written] > _ALIKE:
        written = _REC709
    values = _srgb_linear(_PROBE) if written == _REC709 else seen
    errors: dict[str, float] = {}
    for name in _offered(of_floats, _LINEAR, spaces):
        errors[name] = float(np.abs(read(values, name) - seen).max())
        if errors[name] <= _ALIKE:
            break
    return ColorSpaces(picture, written, min(errors, key=errors.__getitem__))


def _given() -> tuple[str, str, list[str]]:
    """The spaces that new images get, of bytes and of floats, and all that there are."""
    names, spaces = [], []
    for floats in (False, True):
        image = bpy.data.images.new("space", 1, 1, float_buffer=floats)
        names.append(image.colorspace_settings.name)
        spaces = enum_values(image.colorspace_settings, "name")
        bpy.data.images.remove(image)
    return names[0], names[1], spaces


def _offered(given: str, likely: Iterable[str], spaces: list[str]) -> Iterable[str]:
    """All spaces, those first that are likely to be right: several can look alike."""
    return dict.fromkeys([given, *(name for name in likely if name in spaces), *spaces])


def _is_srgb(read: _Read, name: str) -> bool:
    values = read(_PROBE[:2], name)
    near = min(float(np.abs(values[0] - red).max()) for red in _RED.values())
    return max(near, float(np.abs(values[1] - _srgb_linear(_PROBE[1])).max())) <= _NEAR_SRGB


def _reader(path: str) -> _Read:
    def read(values: np.ndarray, name: str) -> np.ndarray:
        with open(path, "wb") as file:
            file.write(_radiance(values))
        image = bpy.data.images.load(path, check_existing=False)
        image.colorspace_settings.name = name
        pixels = np.empty(4 * len(values), np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        return pixels.reshape(-1, 4)[:, :3]

    return read


def _srgb_linear(values: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _radiance(values: np.ndarray) -> bytes:
    """A file of floats in one row: (N, 3), 0 or more; N below 8, so that they are not packed."""
    _, exponent = np.frexp(values.max(axis=1))
    steps = np.minimum(np.round(values * 256 / np.exp2(exponent)[:, None]), 255)
    pixels = np.concatenate([steps, exponent[:, None] + 128], axis=1).astype(np.uint8)
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X %d\n" % len(values) + pixels.tobytes()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of an opened picture as sRGB, by what it says of them: code points, a profile, gamma, or EXIF."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms

from portrait_server.media.picture_profiles import (
    ADOBE_GAMMA,
    ADOBE_RGB,
    REC709,
    Primaries,
    light_of_profile,
    matrix_profile,
    of_code_points,
    srgb_curve,
    srgb_encoded,
)

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_EXIF_IFD, _INTEROP_IFD, _COLOR_SPACE, _INTEROP_INDEX = 0x8769, 0xA005, 0xA001, 1
_HEAD_BYTES = 65_536
_PNG_HEAD_CHUNKS = 64
_SRGB_GAMMA = 1 / 2.2
_LEAST_SPANNED = 0.01  # sRGB spans .22
# A round trip through a profile that is sRGB by another maker shifts values by one.
_SAME_LEVELS = 2
_LATTICE = np.array([*range(0, 32, 4), *range(32, 256, 16), 255], np.uint8)

log = logging.getLogger(__name__)


def stated_profile(image: Image.Image, file: BinaryIO) -> bytes | None:
    """The ICC profile of the colours that a picture states, in whatever way; None where it states none, or sRGB.

    Args:
        image: opened; its pixels need not be.
        file: the same file's bytes.
    """
    try:
        return _stated(image, file)
    except Exception as error:  # noqa: BLE001  numbers that make no colours, and the picture is there without them
        log.warning("What the picture says of its colours means nothing, so they are taken as sRGB: %.200s", error)
        return None


def _stated(image: Image.Image, file: BinaryIO) -> bytes | None:
    profile: bytes | None = image.info.get("icc_profile")
    head = _head_of(file)
    if image.format == "PNG":
        codes = _png_code_points(head)
        if codes is not None:
            return of_code_points(*codes)
        return profile or _png_profile(image)
    if profile:
        return profile
    if image.format == "HEIF" and isinstance(nclx := image.info.get("nclx_profile"), dict):
        return of_code_points(int(nclx["color_primaries"]), int(nclx["transfer_characteristics"]))
    if image.format == "AVIF" and (at := head.find(b"colrnclx")) >= 0 and len(head) >= at + 12:
        return of_code_points(*struct.unpack(">HH", head[at + 8 : at + 12]))
    return matrix_profile(ADOBE_RGB, ADOBE_GAMMA) if _exif_says_adobe(image) else None


def in_srgb(image: Image.Image, profile_bytes: bytes | None) -> Image.Image:
    """The picture in sRGB: L, RGB or RGBA.

    Args:
        image: of 8 bits: L, LA, RGB, RGBA, CMYK or LAB.
        profile_bytes: an ICC profile; one that cannot be used, or fits other colours, counts as none.
    """
    if profile_bytes:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_bytes))
            mode = _MODES[profile.profile.xcolor_space.strip()]
            if mode == "RGB" and image.mode in ("L", "LA"):
                image = image.convert("RGB" if image.mode == "L" else "RGBA")
            alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
            colours = image.convert(image.mode[:-1]) if alpha else image
            if colours.mode != mode:
                log.warning("The colour profile is for %s, so it is not used for a picture of %s", mode, colours.mode)
            elif not _is_srgb(profile, mode):
                converted = _convert(colours, profile)
                if alpha:
                    converted.putalpha(alpha)
                return converted
        except Exception as error:  # noqa: BLE001  a profile is somebody's bytes, and the picture is there without it
            log.warning("The colour profile cannot be used, so the picture is taken as sRGB: %.200s", error)
    if image.mode in ("CMYK", "LAB"):
        return image.convert("RGB")
    return image.convert("RGBA") if image.mode == "LA" else image


def to_srgb_16(profile_bytes: bytes | None, grey: bool) -> Callable[[np.ndarray], np.ndarray] | None:
    """What `in_srgb` does to a picture, with 16 bits; None where its profile has tables of colours.

    Args:
        grey: the picture has one channel.

    Returns:
        makes (N, 3) uint16 in sRGB of (N, 3), or (N, 1) grey, uint16.
    """
    if not profile_bytes:
        return _three
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_bytes))
        mode = _MODES[profile.profile.xcolor_space.strip()]
        if mode != "RGB" and (mode != "L" or not grey):
            return _three  # it fits other colours, as `in_srgb` says
        if _is_srgb(profile, mode):
            return _three
        to_light = light_of_profile(profile_bytes)
    except Exception as error:  # noqa: BLE001  as in `in_srgb`
        log.warning("The colour profile cannot be used, so the picture is taken as sRGB: %.200s", error)
        return _three
    if to_light is None:
        return None
    curves, matrix = to_light

    def convert(colours: np.ndarray) -> np.ndarray:
        channels = _three(colours).T
        light = np.stack([curve[channel] for curve, channel in zip(curves, channels, strict=True)], -1) @ matrix.T
        return np.round(65535 * srgb_encoded(np.clip(light, 0, 1))).astype(np.uint16)

    return convert


def _three(colours: np.ndarray) -> np.ndarray:
    """Grey (N, 1) in three channels; colours (N, 3) as they are."""
    return np.repeat(colours, 3, axis=1) if colours.shape[1] == 1 else colours


def _convert(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None
    return converted


def _is_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> bool:
    """Whether colours go through it as they are; what it calls itself proves nothing."""
    if mode == "L":
        values = np.arange(256, dtype=np.uint8)[np.newaxis]
        straight = np.repeat(values[..., np.newaxis], 3, axis=2)
    elif mode == "RGB":
        straight = values = np.stack(np.meshgrid(_LATTICE, _LATTICE, _LATTICE, indexing="ij"), -1).reshape(1, -1, 3)
    else:
        return False
    through = np.asarray(_convert(Image.fromarray(values), profile))
    return bool(np.abs(through.astype(int) - straight).max() <= _SAME_LEVELS)


def _head_of(file: BinaryIO) -> bytes:
    position = file.tell()
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(position)
    return head


def _png_code_points(head: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of a cICP chunk, which Pillow does not read."""
    at = 8
    for _ in range(_PNG_HEAD_CHUNKS):
        if len(head) < at + 12 or head[at + 4 : at + 8] == b"IDAT":
            return None
        if head[at + 4 : at + 8] == b"cICP":
            return head[at + 8], head[at + 9]
        at += 12 + int.from_bytes(head[at : at + 4], "big")
    return None


def _png_profile(image: Image.Image) -> bytes | None:
    """The colours of the chunks gAMA and cHRM, unless sRGB overrules them."""
    if "srgb" in image.info:
        return None
    gamma, corners = float(image.info.get("gamma") or _SRGB_GAMMA), image.info.get("chromaticity")
    colours: Primaries = REC709
    if corners is not None and len(corners) == 8 and all(0 < value < 1 for value in corners):
        stated = tuple(zip(corners[::2], corners[1::2], strict=True))
        spanned = abs(np.linalg.det(np.diff(stated[1:], axis=0)))  # of red, green and blue; twice their triangle's area
        if spanned > _LEAST_SPANNED and np.abs(np.array(stated) - np.array(REC709)).max() > 0.002:
            colours = (stated[0], stated[1], stated[2], stated[3])
    if abs(gamma / _SRGB_GAMMA - 1) < 0.05:  # 1 / 2.2 is how the chunk says sRGB
        return None if colours == REC709 else matrix_profile(colours, srgb_curve())
    return matrix_profile(colours, float(np.clip(1 / gamma, 0.1, 10)))


def _exif_says_adobe(image: Image.Image) -> bool:
    try:
        exif = image.getexif()
        space = exif.get_ifd(_EXIF_IFD).get(_COLOR_SPACE)
        index = str(exif.get_ifd(_INTEROP_IFD).get(_INTEROP_INDEX, ""))
    except Exception as error:  # noqa: BLE001  EXIF is somebody's bytes, and the picture is there without it
        log.warning("The EXIF data cannot be read, so the colours are taken as sRGB: %.200s", error)
        return False
    return space == 2 or (space in (None, 0xFFFF) and index.startswith("R03"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""A layered frame as an OpenEXR file that says what made it, and from what."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import OpenEXR
from portrait_shared.frames.exr_header import Attribute, pixel_seal, with_attributes
from portrait_shared.frames.frame_marks import DEVICE_KEYWORD, DIGEST_KEYWORD, SEAL_KEYWORD
from portrait_shared.layers import CHANNELS, FULL_FLOAT, in_order

from portrait_server.media.picture_profiles import REC709, Primaries, srgb_linear, to_d50
from portrait_server.media.png import tool_of
from portrait_server.media.source_types import draws_with_networks, source_type

_CODES: Final = 65536  # levels that a colour may have: those of 16 bits, of which those of 8 are a part
_D60: Final = (0.32168, 0.33767)  # as SMPTE ST 2065-1 rounds it
_PRIMARIES: Final[dict[str, Primaries]] = {
    "rec709": REC709,
    "rec2020": (REC709[0], (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "acescg": (_D60, (0.713, 0.293), (0.165, 0.830), (0.128, 0.044)),
}


def encode_exr(
    frame: np.ndarray, layers: Sequence[str], colorspace: str, digest: str, engine: str | None, device: str = ""
) -> bytes:  # fmt: skip
    """An OpenEXR file of one part of scan lines, ZIP: half floats, the depth's 32 bits; colours scene-linear, premultiplied.

    Args:
        frame: (H, W, K) float32, as `Engine.render_layers` draws it.
        layers: see `portrait_shared.layers.LAYERS`.
        colorspace: of `portrait_shared.layers.COLORSPACES`; its primaries are stated in the file.
        digest: what `portrait_shared.digest.frame_digest` gives for it.
        engine: name of the engine that drew it; None for a shot's own frame, of which nothing is stated.
        device: what it drew on, see `Device.kind`; nothing is stated where empty.

    Returns:
        The bytes of the file; the same arguments give the same bytes.
    """
    channels: dict[str, np.ndarray] = {}
    at = 0
    for layer in in_order(layers):
        names = CHANNELS[layer]
        part = frame[..., at : at + len(names)]
        at += len(names)
        if layer == "rgba":
            part = _premultiplied(part, colorspace)
        elif layer == "matte":
            part = part / 255
        kind = np.float32 if layer in FULL_FLOAT else np.float16
        for name, plane in zip(names, np.moveaxis(part, -1, 0), strict=True):
            channels[name] = np.ascontiguousarray(plane, kind)
    white, red, green, blue = _PRIMARIES[colorspace]
    chromaticities = (*red, *green, *blue, *white)
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage,
        "chromaticities": chromaticities,
    }  # fmt: skip
    # What newer programs, Blender 5 among them, know a space by.
    header["colorInteropID"] = OpenEXR.chromaticitiesToColorInteropID(chromaticities)
    # Frames are encoded side by side, each by one thread.
    written = io.BytesIO()
    OpenEXR.File(header, channels, num_threads=0).write(written)
    data = written.getvalue()
    stated = {DIGEST_KEYWORD: digest, SEAL_KEYWORD: pixel_seal(data)}
    if engine is not None:
        stated |= {"software": tool_of(engine), "DigitalSourceType": source_type(draws_with_networks(engine))}
        if device:
            stated[DEVICE_KEYWORD] = device
    return with_attributes(data, {name: Attribute.text(text) for name, text in stated.items()})


def _premultiplied(picture: np.ndarray, colorspace: str) -> np.ndarray:
    """Straight sRGB (H, W, 4) from 0 to 255 as scene-linear colours, multiplied by alpha: float32."""
    codes = np.rint(picture[..., :3] * ((_CODES - 1) / 255)).astype(np.uint16)
    alpha = picture[..., 3:] / np.float32(255)
    light = _light()[codes]
    if colorspace != "rec709":
        light = light @ _from_rec709(colorspace).T
    return np.concatenate([light * alpha, alpha], -1)


@cache
def _light() -> np.ndarray:
    """(65536,) float32: of sRGB's codes, in parts of white."""
    return srgb_linear(np.linspace(0, 1, _CODES)).astype(np.float32)


@cache
def _from_rec709(colorspace: str) -> np.ndarray:
    """(3, 3) float32, whites adapted to one another by Bradford's method."""
    return (np.linalg.inv(to_d50(_PRIMARIES[colorspace])) @ to_d50(REC709)).astype(np.float32)

# SPDX-License-Identifier: GPL-3.0-or-later
"""ICC profiles for colours that a picture states in another way: by code points, by gamma and primaries, or by EXIF."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

XY = tuple[float, float]
Primaries = tuple[XY, XY, XY, XY]
"""White, red, green, blue: x and y of CIE 1931."""

D65: XY = (0.3127, 0.3290)
REC709: Primaries = (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB: Primaries = (D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
ADOBE_GAMMA = 563 / 256
_D50_XYZ = np.array((0.9642, 1.0, 0.8249))
# ITU-T H.273, table 2.
_PRIMARIES_OF_CODE: dict[int, Primaries] = {
    1: REC709,
    2: REC709,  # not specified
    4: ((0.310, 0.316), (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: (D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: (D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
# The camera's curve of these is undone by a display, which is what sRGB describes for pictures.
_SRGB_TRANSFERS = (1, 2, 6, 13, 14, 15)
_REFERENCE_WHITE_NITS = 203  # ITU-R BT.2408: where white paper lies in HDR
_HLG_PEAK_NITS = 1000
_TABLE_ENTRIES = 4096
_MOST_TAGS = 200
_PARAMETERS = (1, 3, 4, 5, 7)
"""How many numbers each kind of parametric curve has."""
_CHROMATIC_ADAPTATION = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))
"""Bradford's cone responses of XYZ, from the ICC's specification."""


def of_code_points(primaries: int, transfer: int) -> bytes | None:
    """The profile of ITU-T H.273's code points; None for sRGB itself, and for codes that name no RGB colours."""
    if primaries not in _PRIMARIES_OF_CODE:
        return None
    colours = _PRIMARIES_OF_CODE[primaries]
    if transfer in _SRGB_TRANSFERS:
        return None if colours == REC709 else matrix_profile(colours, srgb_curve())
    if transfer in (4, 5):
        return matrix_profile(colours, 2.2 if transfer == 4 else 2.8)
    if transfer == 8:
        return matrix_profile(colours, 1.0)
    if transfer == 16:
        return matrix_profile(colours, _perceptual_quantizer())
    if transfer == 18:
        return matrix_profile(colours, _hybrid_log_gamma())
    return None


def matrix_profile(colours: Primaries, curve: float | np.ndarray) -> bytes:
    """An ICC profile (version 2) of RGB colours.

    Args:
        curve: a gamma, or linear light (N,) 0 to 1 of N evenly spaced values.
    """
    columns = to_d50(colours)
    if isinstance(curve, float):
        tone = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(curve * 256))
    else:
        entries = np.round(np.clip(curve, 0, 1) * 65535).astype(">u2")
        tone = b"curv\0\0\0\0" + struct.pack(">I", len(entries)) + entries.tobytes()
    name = b"Stated by the picture\0"
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)),
        (b"cprt", b"text\0\0\0\0none\0"),
        (b"wtpt", _xyz(_D50_XYZ)),
        *((tag, _xyz(column)) for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)),
        *((tag, tone) for tag in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    table, body, begin = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags:
        table += tag + struct.pack(">II", begin + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    rest = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(">I4sI4s4s4s", 128 + len(rest), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50_XYZ)[8:]
    return head.ljust(128, b"\0") + rest


def light_of_profile(profile: bytes) -> tuple[list[np.ndarray], np.ndarray] | None:
    """How an ICC profile makes light of codes, where it is curves and a matrix; None where it has tables of colours.

    Returns:
        for red, green and blue the linear light (65536,) of each code of 16 bits; the matrix (3, 3) from those to sRGB's.

    Raises:
        ValueError, IndexError, struct.error: it is damaged.
    """
    tags = {}
    for number in range(min(struct.unpack_from(">I", profile, 128)[0], _MOST_TAGS)):
        name, begin, length = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        tags[name] = profile[begin : begin + length]
    if b"A2B0" in tags:
        return None
    if b"kTRC" in tags:
        return [_light(tags[b"kTRC"])] * 3, np.eye(3)
    if not {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"} <= tags.keys():
        return None
    columns = [np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536 for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    matrix = np.linalg.inv(to_d50(REC709)) @ np.stack(columns, -1)
    return [_light(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")], matrix


def _light(curve: bytes) -> np.ndarray:
    """(65536,) linear light of a `curv` or `para` tag (ICC.1:2010, 10.5 and 10.15)."""
    code = np.linspace(0, 1, 65536)
    if curve[:4] == b"curv":
        (count,) = struct.unpack_from(">I", curve, 8)
        if count == 0:
            return code
        if count == 1:
            return code ** (struct.unpack_from(">H", curve, 12)[0] / 256)
        table = np.frombuffer(curve, ">u2", count, 12) / 65535
        return np.interp(code, np.linspace(0, 1, count), table)
    if curve[:4] != b"para":
        raise ValueError("an unknown kind of curve")
    kind = struct.unpack_from(">H", curve, 8)[0]
    values = [value / 65536 for value in struct.unpack_from(f">{_PARAMETERS[kind]}i", curve, 12)]
    g, a, b, c, d, e, f = values + [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(values) :]
    if kind in (1, 2):  # above and below -b/a, where the others name the place
        c, d, e, f = 0.0, -b / a, c, c
    return np.where(code >= d, np.maximum(a * code + b, 0) ** g + e, c * code + f)


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    """Codes from 0 to 1 of linear light (…) from 0 to 1, by IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def srgb_linear(codes: np.ndarray) -> np.ndarray:
    """Linear light from 0 to 1 of codes (…) from 0 to 1, by IEC 61966-2-1."""
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def srgb_curve() -> np.ndarray:
    """(N,) linear light of IEC 61966-2-1."""
    return srgb_linear(np.linspace(0, 1, _TABLE_ENTRIES))


def _perceptual_quantizer() -> np.ndarray:
    """SMPTE ST 2084; what is brighter than white paper is white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.linspace(0, 1, _TABLE_ENTRIES) ** (1 / m2)
    return 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) / _REFERENCE_WHITE_NITS


def _hybrid_log_gamma() -> np.ndarray:
    """ITU-R BT.2100 on a display of 1000 cd/m²; what is brighter than white paper is white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    value = np.linspace(0, 1, _TABLE_ENTRIES)
    scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    return scene**1.2 * _HLG_PEAK_NITS / _REFERENCE_WHITE_NITS


def to_d50(colours: Primaries) -> np.ndarray:
    """(3, 3): XYZ under D50 of red, green and blue, as columns."""
    white, *rgb = (np.array((x / y, 1, (1 - x - y) / y)) for x, y in colours)
    scaled = np.column_stack(rgb)
    scaled = scaled * np.linalg.solve(scaled, white)
    gains = (_CHROMATIC_ADAPTATION @ _D50_XYZ) / (_CHROMATIC_ADAPTATION @ white)
    return np.linalg.inv(_CHROMATIC_ADAPTATION) @ np.diag(gains) @ _CHROMATIC_ADAPTATION @ scaled


def _xyz(values: Sequence[float] | np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))

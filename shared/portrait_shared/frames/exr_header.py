# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of an OpenEXR file: its attributes read, others put in, and a seal of its pixels.

Of a single part of scan lines alone, as layered frames are (https://openexr.com/en/latest/OpenEXRFileLayout.html): a
magic number, the version, attributes up to an empty name, a table of where each chunk of lines lies, the chunks.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"\x76\x2f\x31\x01"
_START: Final = 8  # after magic number and version
_MOST_ATTRIBUTES: Final = 256
_MOST_NAME_BYTES: Final = 255
_MOST_ATTRIBUTE_BYTES: Final = 1 << 16
_MOST_TEXT_BYTES: Final = 1000
_MOST_LINES: Final = 1 << 16
_LINES: Final = {b"\x00": 1, b"\x01": 1, b"\x02": 1, b"\x03": 16}  # in a chunk, by compression: none, RLE, ZIPS, ZIP
# What the pixels' look depends on.
_LOOK: Final = (
    "channels", "chromaticities", "colorInteropID", "compression", "dataWindow", "displayWindow", "lineOrder", "pixelAspectRatio",
)  # fmt: skip


class CutShort(ValueError):
    """A file ends before it should."""


@dataclass(frozen=True)
class Attribute:
    """One of a header: the name of its type, such as ``string``, and its bytes."""

    kind: str
    value: bytes

    @classmethod
    def text(cls, value: str) -> Attribute:
        return cls("string", value.encode())

    @classmethod
    def rational(cls, numerator: int, denominator: int) -> Attribute:
        return cls("rational", struct.pack("<iI", numerator, denominator))

    @classmethod
    def timecode(cls, word: int) -> Attribute:
        """A time code of SMPTE 12M without user data."""
        return cls("timecode", struct.pack("<II", word, 0))

    def encoded(self, name: str) -> bytes:
        return b"".join(
            (name.encode(), b"\0", self.kind.encode(), b"\0", struct.pack("<i", len(self.value)), self.value)
        )


def leading_attributes(data: bytes) -> tuple[dict[str, Attribute], int]:
    """The attributes by name that lie whole in the first bytes of a file, and where the empty name is that ends them.

    Raises:
        CutShort: it ends in its header.
        ValueError: not an OpenEXR file of one part of scan lines, or its header is damaged.
    """
    if data.startswith(MAGIC) and len(data) < _START:
        raise CutShort("it has hardly begun")
    # Of the version only long names may be said besides the number 2: no tiles, no deep data, no further parts.
    if not data.startswith(MAGIC) or struct.unpack_from("<I", data, 4)[0] & ~0x400 != 2:
        raise ValueError("not an OpenEXR file of scan lines")
    found: dict[str, Attribute] = {}
    at = _START
    for _ in range(_MOST_ATTRIBUTES):
        name, at = _name(data, at)
        if not name:
            return found, at - 1
        kind, at = _name(data, at)
        if at + 4 > len(data):
            raise CutShort("it ends in its header")
        (length,) = struct.unpack_from("<i", data, at)
        at += 4
        if not 0 <= length <= _MOST_ATTRIBUTE_BYTES:
            break
        if at + length > len(data):
            raise CutShort("it ends in its header")
        found.setdefault(name, Attribute(kind, data[at : at + length]))
        at += length
    raise ValueError("the header is damaged")


def with_attributes(data: bytes, attributes: Mapping[str, Attribute]) -> bytes:
    """A file with some attributes put in, or in the place of those of their names.

    Raises:
        CutShort, ValueError: as `leading_attributes`, or its chunks are not where it says.
    """
    there, end = leading_attributes(data)
    count = _check_chunks(data, there, end)
    header = b"".join(each.encoded(name) for name, each in {**there, **attributes}.items())
    first = end + 1 + 8 * count
    longer = _START + len(header) - end
    places = struct.unpack_from(f"<{count}Q", data, end + 1)
    table = struct.pack(f"<{count}Q", *(place + longer for place in places))
    return b"".join((data[:_START], header, b"\0", table, data[first:]))


def texts_of(attributes: Mapping[str, Attribute]) -> dict[str, str]:
    """The texts among attributes, but for long ones."""
    return {
        name: each.value.decode(errors="replace")
        for name, each in attributes.items()
        if each.kind == "string" and len(each.value) <= _MOST_TEXT_BYTES
    }


def pixel_seal(data: bytes) -> str:
    """SHA-256 (hex) over all that the pixels' look depends on: those attributes, and the chunks.

    Raises:
        ValueError: as `with_attributes`.
    """
    there, end = leading_attributes(data)
    count = _check_chunks(data, there, end)
    total = hashlib.sha256()
    for name in _LOOK:
        if name in there:
            total.update(there[name].encoded(name))
    total.update(memoryview(data)[end + 1 + 8 * count :])
    return total.hexdigest()


def _check_chunks(data: bytes, attributes: Mapping[str, Attribute], end: int) -> int:
    """How many chunks there are; each must lie where the table says, one after another, up to the file's end."""
    window, compression = attributes.get("dataWindow"), attributes.get("compression")
    lines = None if compression is None else _LINES.get(compression.value)
    if window is None or len(window.value) != 16 or lines is None:
        raise ValueError("the header lacks what the pixels need")
    _, top, _, bottom = struct.unpack("<4i", window.value)
    if not 0 <= bottom - top < _MOST_LINES:
        raise ValueError("the picture has no lines")
    count = -(-(bottom - top + 1) // lines)
    at = end + 1 + 8 * count
    if at > len(data):
        raise CutShort("it ends in its table")
    for number, place in enumerate(struct.unpack_from(f"<{count}Q", data, end + 1)):
        if place != at:
            raise ValueError("a chunk is not where the table says")
        if at + 8 > len(data):
            raise CutShort("it ends before its last chunk")
        line, length = struct.unpack_from("<ii", data, at)
        at += 8 + length
        if line != top + number * lines or length < 0:
            raise ValueError("a chunk is damaged")
        if at > len(data):
            raise CutShort("it ends in a chunk")
    if at != len(data):
        raise ValueError("something follows its end")
    return count


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name that ends with a zero, and where the next thing begins."""
    end = data.find(b"\0", at, at + _MOST_NAME_BYTES + 1)
    if end < 0:
        raise (
            ValueError("the header is damaged")
            if len(data) > at + _MOST_NAME_BYTES
            else CutShort("it ends in its header")
        )
    return data[at:end].decode(errors="replace"), end + 1

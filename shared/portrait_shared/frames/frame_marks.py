# SPDX-License-Identifier: GPL-3.0-or-later
"""What a frame's file says of itself, and whether anybody has altered it since.

In tEXt chunks of a PNG, or in attributes of an OpenEXR file, it carries the digest of all that its pixels depend on, that
of the photo it was made of, the device that drew it, and the seal, the digest of its own pixels.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from portrait_shared.files.whole_files import open_without_waiting, read_bounded
from portrait_shared.frames import exr_header
from portrait_shared.frames.exr_header import Attribute, CutShort
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.protocol.framing import MAX_PART_BYTES

DIGEST_KEYWORD = "talking-portraits:digest"
PHOTO_KEYWORD = "talking-portraits:photo"
DEVICE_KEYWORD = "talking-portraits:device"
SEAL_KEYWORD = "talking-portraits:pixels"
MAX_FRAME_BYTES = MAX_PART_BYTES + 2**20  # what a server sends, and what is written into it here
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 8 + 25  # the signature and the IHDR chunk, which must come first
_GLANCE_BYTES = 4096
_MAX_TEXT_BYTES = 1000
_MAX_CHUNKS = 2**17
_MAX_LEADING_CHUNKS = 64
_TOOL_KEYWORD = "software"  # of the attribute in which an OpenEXR file names it
_TOOL = re.compile(r"Talking Portraits (\S+) \(([^)]*)\)")
_XMP_TOOL = re.compile(rb'xmp:CreatorTool="([^"]*)"')
_WORDS = (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"caBX")  # the last holds Content Credentials


@dataclass(frozen=True)
class FrameMark:
    """What a frame file says of itself.

    Attributes:
        digest: of all that its pixels depend on, see `portrait_shared.digest.frame_digest`.
        photo: content hash of the first reference; empty where the file does not tell.
        device: of what kind the device was that drew it; empty where the file does not tell, as a shot's own frame.
        release: of the project, that drew it; empty as `device`.
        engine: the name of the engine; empty as `device`.
        sealed: whether it has a seal, by which alterations show; frames of early releases have none.
    """

    digest: str
    photo: str = ""
    device: str = ""
    release: str = ""
    engine: str = ""
    sealed: bool = True


def read_mark(path: Path) -> FrameMark | None:
    """What a frame file says of itself; None where the file is missing, damaged or not one of ours."""
    try:
        return mark_of(read_bounded(path, MAX_FRAME_BYTES))
    except OSError:
        return None


def read_digest(path: Path) -> str | None:
    """The digest of a frame file; None where the file is missing, damaged or not one of ours."""
    mark = read_mark(path)
    return mark.digest if mark is not None else None


def mark_of(data: bytes) -> FrameMark | None:
    """What a frame's file says of itself; None where it is damaged, altered or not one of ours."""
    try:
        return checked_mark(data)
    except ValueError:
        return None


def checked_mark(data: bytes) -> FrameMark:
    """What a frame's file says of itself.

    A frame that was written before there were seals counts where it is whole.

    Raises:
        CutShort: the file ends before it should: its writer was ended, or writes still.
        ValueError: it is damaged, altered or not one of ours.
    """
    if data.startswith(exr_header.MAGIC):
        texts, seal = exr_header.texts_of(exr_header.leading_attributes(data)[0]), exr_header.pixel_seal(data)
    else:
        texts, seal = _opened(data)
    mark = _mark(texts)
    if mark is None or texts.get(SEAL_KEYWORD, seal) != seal:
        raise ValueError("its pixels were altered" if mark else "it is not one of ours")
    return mark


def glance(path: Path) -> FrameMark | None:
    """As `read_mark`, but reads only what stands before the pixels, which may be damaged."""
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            head = file.read(_GLANCE_BYTES) or b""  # None of a pipe
            if head.startswith(exr_header.MAGIC):
                return _mark(exr_header.texts_of(exr_header.leading_attributes(head)[0]))
            return _mark(_leading_texts(file)) if head.startswith(_SIGNATURE) else None
    except (OSError, ValueError):
        return None


def _mark(texts: Mapping[str, str]) -> FrameMark | None:
    if DIGEST_KEYWORD not in texts:
        return None
    tool = _TOOL.fullmatch(texts.get(_TOOL_KEYWORD, ""))
    release, engine = tool.groups() if tool else ("", "")
    photo, device = texts.get(PHOTO_KEYWORD, ""), texts.get(DEVICE_KEYWORD, "")
    return FrameMark(texts[DIGEST_KEYWORD], photo, device, release, engine, SEAL_KEYWORD in texts)


def _leading_texts(file: BinaryIO) -> dict[str, str]:
    """The texts before a PNG's pixels, by keyword; what is longer, such as credentials, is passed over."""
    texts: dict[str, str] = {}
    file.seek(len(_SIGNATURE))
    for _ in range(_MAX_LEADING_CHUNKS):
        start = file.read(8)
        if len(start) < 8 or start[4:] in (b"IDAT", b"IEND"):
            break
        (length,) = struct.unpack_from(">I", start)
        if length <= _MAX_TEXT_BYTES:
            content = file.read(length)
            if len(content) == length:
                _take_text(texts, start[4:], memoryview(content))
            file.seek(4, os.SEEK_CUR)
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return texts


def text_chunk(keyword: str, text: str) -> bytes:
    """A tEXt chunk of a PNG file."""
    content = b"tEXt" + f"{keyword}\0{text}".encode("latin-1", "replace")
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def marked(data: bytes, photo: str) -> bytes:
    """A frame's file with the content hash of the photo that it was made of."""
    if data.startswith(exr_header.MAGIC):
        return exr_header.with_attributes(data, {PHOTO_KEYWORD: Attribute.text(photo)})
    return b"".join((data[:_HEADER_BYTES], text_chunk(PHOTO_KEYWORD, photo), data[_HEADER_BYTES:]))


def timed_exr(data: bytes, times: FrameTimes, number: int) -> bytes:
    """A layered frame that tells the rate, and the time code of its number where that is known."""
    rate, word = times.rate, times.packed_timecode(number)
    attributes = {"framesPerSecond": Attribute.rational(rate.numerator, rate.denominator)}
    if word is not None:
        attributes["timeCode"] = Attribute.timecode(word)
    return exr_header.with_attributes(data, attributes)


def pixel_seal(data: bytes) -> str:
    """SHA-256 (hex) over the lengths and checksums of all chunks of a PNG that its pixels' look depends on: all but
    words, dates and credentials. It tells what programs and disks have altered; whoever wants to deceive can make another.

    Raises:
        ValueError: as `png_chunks`.
    """
    return _opened(data)[1]


def _opened(data: bytes) -> tuple[dict[str, str], str]:
    """The texts before a PNG's pixels, by keyword, and its seal; of two with one keyword the first."""
    texts: dict[str, str] = {}
    total = hashlib.sha256()
    pixels = False
    for kind, content, checksum in png_chunks(data):
        if not pixels:
            _take_text(texts, kind, content)
        if kind not in _WORDS:
            total.update(kind + struct.pack(">II", len(content), checksum))
            pixels = pixels or kind == b"IDAT"
    return texts, total.hexdigest()


def _take_text(texts: dict[str, str], kind: bytes, content: memoryview) -> None:
    """What a chunk says in words, where it does; of XMP the tool alone."""
    if kind not in (b"tEXt", b"iTXt") or len(content) > _MAX_TEXT_BYTES:
        return
    keyword, _, text = bytes(content).partition(b"\0")
    if kind == b"tEXt":
        texts.setdefault(keyword.decode("latin-1"), text.decode("latin-1"))
    elif (tool := _XMP_TOOL.search(text)) is not None:
        texts.setdefault(_TOOL_KEYWORD, tool[1].decode(errors="replace"))


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Chunks (type, content, checksum) of a PNG file, one after another.

    Raises:
        CutShort: it ends before its end marker.
        ValueError: not a PNG, a chunk's checksum is wrong, or something follows the end.
    """
    if not data.startswith(_SIGNATURE):
        raise CutShort("it has hardly begun") if _SIGNATURE.startswith(data) else ValueError("not a PNG file")
    view, at = memoryview(data), len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if at + 12 > len(data):
            break
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            raise CutShort("it ends in a chunk")
        checksum = zlib.crc32(view[at + 4 : end - 4])
        if struct.unpack_from(">I", data, end - 4)[0] != checksum:
            raise ValueError("a chunk is damaged")
        kind = data[at + 4 : at + 8]
        if kind == b"IEND" and end != len(data):
            raise ValueError("something follows its end")
        yield kind, view[at + 8 : end - 4], checksum
        if kind == b"IEND":
            return
        at = end
    raise CutShort("the file ends before its end marker")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames on disk: their names, writing them whole or not at all, and whether one is still valid.

A frame is a PNG file that carries, in tEXt chunks, the digest of all that its pixels depend on, that of the photo it
was made of, and the seal, that of its own pixels. A frame whose digest is the one asked for, and which nobody has
altered since, need not be rendered again.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from portrait_shared.errors import PortraitError
from portrait_shared.private_folders import PrivateFolder, sweep_folders
from portrait_shared.protocol import MAX_PART_BYTES
from portrait_shared.whole_files import open_without_waiting, read_bounded, replace_file, sweep_partials, write_error

DIGEST_KEYWORD = "talking-portraits:digest"
PHOTO_KEYWORD = "talking-portraits:photo"
SEAL_KEYWORD = "talking-portraits:pixels"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 8 + 25  # the signature and the IHDR chunk, which must come first
_GLANCE_BYTES = 4096
_MAX_FRAME_BYTES = MAX_PART_BYTES + 2**20  # what a server sends, and what is written into it here
_MAX_TEXT_BYTES = 1000
_MAX_CHUNKS = 2**17
_WORDS = (b"tEXt", b"zTXt", b"iTXt", b"tIME")
_STAGE = ".portrait-stage-"
_MAX_PREFIX_CHARACTERS = 100
_FRAME_FILE = re.compile(r"(.*?)(-?\d{4,})\.png", re.ASCII)


@dataclass(frozen=True)
class FrameMark:
    """What a frame file says of itself.

    Attributes:
        digest: of all that its pixels depend on, see `portrait_shared.digest.frame_digest`.
        photo: content hash of the first reference; empty where the file does not tell.
    """

    digest: str
    photo: str = ""


def frame_path(folder: Path, number: int, prefix: str = "") -> Path:
    """``0001.png`` and so on, behind a prefix; a negative number keeps its sign in front of the four digits."""
    return folder / (f"{prefix}{number:04d}.png" if number >= 0 else f"{prefix}-{-number:04d}.png")


def whole_prefix(text: str) -> str:
    """What is put before a frame's number, made of a text: no part of a path, and nothing that reads as a number."""
    kept = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", text).lstrip(" .")[:_MAX_PREFIX_CHARACTERS]
    return f"{kept}_" if kept and (kept[-1].isdigit() or kept[-1] == "-") else kept


def frames_in(folder: Path, prefix: str = "") -> list[int]:
    """Numbers of the frame files with a prefix that lie in a folder, in order."""
    return sorted(number for before, number in _names_in(folder) if before == prefix)


def has_frames(folder: Path) -> bool:
    """Whether frame files lie in a folder, whatever their prefix."""
    return any(True for _ in _names_in(folder))


def prefix_of(name: str) -> str:
    """What is before the number in the name of a frame file; empty where it is none."""
    found = _FRAME_FILE.fullmatch(name)
    return found[1] if found is not None else ""


def _names_in(folder: Path) -> Iterator[tuple[str, int]]:
    """(prefix, number) of each frame file."""
    if not os.path.isdir(folder):
        return
    for file in folder.iterdir():
        if (found := _FRAME_FILE.fullmatch(file.name)) is not None and not file.name.startswith("."):
            yield found[1], int(found[2])


def own_frames(folder: Path, photo: str, prefix: str = "") -> list[int]:
    """Those frames of a folder that were made of a photo, or do not tell, in order; damaged ones may be among them."""
    marks = ((number, glance(frame_path(folder, number, prefix))) for number in frames_in(folder, prefix))
    return [number for number, mark in marks if mark is not None and mark.photo in ("", photo)]


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Chunks (type, content, checksum) of a PNG file, one after another.

    Raises:
        ValueError: not a PNG, cut short, a chunk's checksum is wrong, or something follows the end.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("not a PNG file")
    view, at = memoryview(data), len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if at + 12 > len(data):
            break
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        checksum = zlib.crc32(view[at + 4 : end - 4])
        if end > len(data) or struct.unpack_from(">I", data, end - 4)[0] != checksum:
            raise ValueError("a chunk is damaged")
        kind = data[at + 4 : at + 8]
        if kind == b"IEND" and end != len(data):
            raise ValueError("something follows its end")
        yield kind, view[at + 8 : end - 4], checksum
        if kind == b"IEND":
            return
        at = end
    raise ValueError("the file ends before its end marker")


def pixel_seal(data: bytes) -> str:
    """SHA-256 (hex) over the lengths and checksums of all chunks of a PNG that its pixels' look depends on: all but
    words and dates. It tells what programs and disks have altered; whoever wants to deceive can make another.

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
        if kind == b"tEXt" and not pixels:
            _take_text(texts, content)
        elif kind not in _WORDS:
            total.update(kind + struct.pack(">II", len(content), checksum))
            pixels = pixels or kind == b"IDAT"
    return texts, total.hexdigest()


def _take_text(texts: dict[str, str], content: memoryview) -> None:
    if len(content) <= _MAX_TEXT_BYTES:
        keyword, _, text = bytes(content).partition(b"\0")
        texts.setdefault(keyword.decode("latin-1"), text.decode("latin-1"))


def text_chunk(keyword: str, text: str) -> bytes:
    """A tEXt chunk of a PNG file."""
    content = b"tEXt" + f"{keyword}\0{text}".encode("latin-1")
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def marked_png(data: bytes, photo: str) -> bytes:
    """A frame's PNG with the content hash of the photo that it was made of."""
    return b"".join((data[:_HEADER_BYTES], text_chunk(PHOTO_KEYWORD, photo), data[_HEADER_BYTES:]))


def read_mark(path: Path) -> FrameMark | None:
    """What a frame file says of itself; None where the file is missing, damaged or not one of ours."""
    try:
        return mark_of(read_bounded(path, _MAX_FRAME_BYTES))
    except OSError:
        return None


def mark_of(data: bytes) -> FrameMark | None:
    """What a frame's PNG says of itself; None where it is damaged, altered or not one of ours.

    Frames of before they carried a seal count where they are whole.
    """
    try:
        texts, seal = _opened(data)
    except ValueError:
        return None
    return _mark(texts) if texts.get(SEAL_KEYWORD, seal) == seal else None


def glance(path: Path) -> FrameMark | None:
    """As `read_mark`, but reads only the file's head: the pixels behind it may be damaged."""
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            head = file.read(_GLANCE_BYTES) or b""  # None of a pipe
    except OSError:
        return None
    texts: dict[str, str] = {}
    for kind, content in _leading_chunks(head):
        if kind == b"IDAT":
            break
        if kind == b"tEXt":
            _take_text(texts, content)
    return _mark(texts)


def read_digest(path: Path) -> str | None:
    """The digest of a frame file; None where the file is missing, damaged or not one of ours."""
    mark = read_mark(path)
    return mark.digest if mark is not None else None


def _mark(texts: Mapping[str, str]) -> FrameMark | None:
    return FrameMark(texts[DIGEST_KEYWORD], texts.get(PHOTO_KEYWORD, "")) if DIGEST_KEYWORD in texts else None


def _leading_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Those that are whole in the head of a PNG file."""
    at = len(_SIGNATURE) if data.startswith(_SIGNATURE) else len(data)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            return
        yield data[at + 4 : at + 8], memoryview(data)[at + 8 : at + 8 + length]
        at += 12 + length


def missing_frames(folder: Path, digests: Mapping[int, str], prefix: str = "") -> list[int]:
    """Frame numbers, in order, whose file is not there with the digest asked for."""
    paths = {number: frame_path(folder, number, prefix) for number in digests}
    return [number for number, digest in sorted(digests.items()) if read_digest(paths[number]) != digest]


def prepare_folder(folder: Path) -> None:
    """Makes the folder and proves that it can be written to, before anything is rendered; what killed clients have
    left in it half-written goes.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise _write_error(folder, error) from error
    sweep_partials(folder)
    sweep_folders(folder, _STAGE)


def write_frame(path: Path, data: bytes) -> None:
    """Writes a frame at once or not at all; a frame that was there before survives a failure.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    try:
        replace_file(path, data)
    except OSError as error:
        raise _write_error(path, error) from error


def copy_equal_frames(folder: Path, digests: Mapping[int, str], prefix: str = "") -> list[int]:
    """Fills frames with files of the folder that have their digest under another number: keys that were moved in
    time, an expression that comes back.

    All copies are made before the first takes its place, because a file may be needed under a new number and be
    replaced under its old one.

    Returns:
        The frames that were filled, in order.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    wanted = set(digests.values())
    sources: dict[str, Path] = {}
    for number in frames_in(folder, prefix):
        path = frame_path(folder, number, prefix)
        if (mark := glance(path)) is not None and mark.digest in wanted:
            sources.setdefault(mark.digest, path)
    if not sources:
        return []
    try:
        with PrivateFolder(folder, _STAGE) as stage:
            staged = [
                number
                for number, digest in sorted(digests.items())
                if digest in sources and _stage_copy(sources[digest], frame_path(stage, number), digest)
            ]
            for number in staged:
                os.replace(frame_path(stage, number), frame_path(folder, number, prefix))
            return staged
    except OSError as error:
        raise _write_error(folder, error) from error


def _stage_copy(source: Path, target: Path, digest: str) -> bool:
    """Copies a frame; False where the source is not what it says, or not there any more."""
    try:
        data = read_bounded(source, _MAX_FRAME_BYTES)
    except OSError:
        return False
    if (mark := mark_of(data)) is None or mark.digest != digest:
        return False
    target.write_bytes(data)
    return True


def _write_error(path: Path, error: OSError) -> PortraitError:
    return write_error(path, error, "Choose an output folder that you may write to.")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames on disk: their names, writing them whole or not at all, and whether one is still valid.

A frame is a PNG file that carries, in tEXt chunks, the digest of all that its pixels depend on, and that of the
photo it was made of. A frame whose digest is the one asked for need not be rendered again.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from portrait_shared.errors import ErrorCode, PortraitError

DIGEST_KEYWORD = "talking-portraits:digest"
PHOTO_KEYWORD = "talking-portraits:photo"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 8 + 25  # the signature and the IHDR chunk, which must come first
_GLANCE_BYTES = 4096
_FRAME_FILE = re.compile(r"-?\d{4,}\.png")


@dataclass(frozen=True)
class FrameMark:
    """What a frame file says of itself.

    Attributes:
        digest: of all that its pixels depend on, see `portrait_shared.digest.frame_digest`.
        photo: content hash of the first reference; empty where the file does not tell.
    """

    digest: str
    photo: str = ""


def frame_path(folder: Path, number: int) -> Path:
    """``0001.png`` and so on; a negative frame number keeps its sign in front of the four digits."""
    return folder / f"{number:04d}.png" if number >= 0 else folder / f"-{-number:04d}.png"


def frames_in(folder: Path) -> list[int]:
    """Numbers of the frame files that lie in a folder, in order."""
    if not folder.is_dir():
        return []
    return sorted(int(file.stem) for file in folder.iterdir() if _FRAME_FILE.fullmatch(file.name))


def own_frames(folder: Path, photo: str) -> list[int]:
    """Those frames of a folder that were made of a photo, or do not tell, in order; damaged ones may be among them."""
    marks = ((number, glance(frame_path(folder, number))) for number in frames_in(folder))
    return [number for number, mark in marks if mark is not None and mark.photo in ("", photo)]


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Chunks (type, content) of a PNG file.

    Raises:
        ValueError: not a PNG, cut short, or a chunk's checksum is wrong.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("not a PNG file")
    chunks, at = [], len(_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if at + 12 + length > len(data) or struct.unpack_from(">I", data, at + 8 + length)[0] != zlib.crc32(
            content, zlib.crc32(kind)
        ):
            raise ValueError("a chunk is damaged")
        chunks.append((kind, content))
        at += 12 + length
        if kind == b"IEND":
            return chunks
    raise ValueError("the file ends before its end marker")


def marked_png(data: bytes, photo: str) -> bytes:
    """A frame's PNG with the content hash of the photo that it was made of."""
    content = f"{PHOTO_KEYWORD}\0{photo}".encode("latin-1")
    chunk = struct.pack(">I", len(content)) + b"tEXt" + content
    return b"".join(
        (data[:_HEADER_BYTES], chunk, struct.pack(">I", zlib.crc32(b"tEXt" + content)), data[_HEADER_BYTES:])
    )


def read_mark(path: Path) -> FrameMark | None:
    """What a frame file says of itself; None where the file is missing, damaged or not one of ours."""
    try:
        return mark_of(path.read_bytes())
    except OSError:
        return None


def mark_of(data: bytes) -> FrameMark | None:
    """What a frame's PNG says of itself; None where it is damaged or not one of ours."""
    try:
        return _mark(iter(png_chunks(data)))
    except ValueError:
        return None


def glance(path: Path) -> FrameMark | None:
    """As `read_mark`, but reads only the file's head: the pixels behind it may be damaged."""
    try:
        with path.open("rb") as file:
            return _mark(_leading_chunks(file.read(_GLANCE_BYTES)))
    except OSError:
        return None


def read_digest(path: Path) -> str | None:
    """The digest of a frame file; None where the file is missing, damaged or not one of ours."""
    mark = read_mark(path)
    return mark.digest if mark is not None else None


def _mark(chunks: Iterator[tuple[bytes, bytes]]) -> FrameMark | None:
    texts: dict[str, str] = {}
    for kind, content in chunks:
        if kind == b"IDAT":
            break
        if kind == b"tEXt":
            keyword, _, text = content.partition(b"\0")
            texts.setdefault(keyword.decode("latin-1"), text.decode("latin-1"))
    return FrameMark(texts[DIGEST_KEYWORD], texts.get(PHOTO_KEYWORD, "")) if DIGEST_KEYWORD in texts else None


def _leading_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Those that are whole in the head of a PNG file."""
    at = len(_SIGNATURE) if data.startswith(_SIGNATURE) else len(data)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def missing_frames(folder: Path, digests: Mapping[int, str]) -> list[int]:
    """Frame numbers, in order, whose file is not there with the digest asked for."""
    return [number for number, digest in sorted(digests.items()) if read_digest(frame_path(folder, number)) != digest]


def prepare_folder(folder: Path) -> None:
    """Makes the folder and proves that it can be written to, before anything is rendered.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise _write_error(folder, error) from error


def write_frame(path: Path, data: bytes) -> None:
    """Writes a frame at once or not at all; a frame that was there before survives a failure.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    partial = _partial(path)
    try:
        try:
            partial.write_bytes(data)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise _write_error(path, error) from error


def copy_equal_frames(folder: Path, digests: Mapping[int, str]) -> list[int]:
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
    for number in frames_in(folder):
        path = frame_path(folder, number)
        if (mark := glance(path)) is not None and mark.digest in wanted:
            sources.setdefault(mark.digest, path)
    staged: list[int] = []
    try:
        for number, digest in sorted(digests.items()):
            if digest in sources and _stage_copy(sources[digest], frame_path(folder, number), digest):
                staged.append(number)
        for number in staged:
            os.replace(_partial(frame_path(folder, number)), frame_path(folder, number))
    except OSError as error:
        raise _write_error(folder, error) from error
    finally:
        for number in staged:
            _partial(frame_path(folder, number)).unlink(missing_ok=True)
    return staged


def _stage_copy(source: Path, target: Path, digest: str) -> bool:
    """Copies a frame beside its new place; False where the source is not what it says, or not there any more."""
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        return False
    if (mark := mark_of(data)) is None or mark.digest != digest:
        return False
    try:
        _partial(target).write_bytes(data)
    except OSError:
        _partial(target).unlink(missing_ok=True)
        raise
    return True


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _write_error(path: Path, error: OSError) -> PortraitError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PortraitError(
            ErrorCode.DISK_FULL, f"The disk is full: {path} could not be written.",
            "Free some room and render again; the frames already written are kept and skipped.",
        )  # fmt: skip
    return PortraitError(
        ErrorCode.OUTPUT_NOT_WRITABLE, f"Cannot write {path}: {error.strerror or error}.",
        "Choose an output folder that you may write to.",
    )  # fmt: skip

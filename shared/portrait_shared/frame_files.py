# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames on disk: their names, writing them whole or not at all, and whether one is still valid.

A frame is a PNG file that carries, in a tEXt chunk, the digest of all that its pixels depend on. A frame
whose digest is the one asked for need not be rendered again.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from portrait_shared.errors import ErrorCode, PortraitError

DIGEST_KEYWORD = "talking-portraits:digest"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def frame_path(folder: Path, number: int) -> Path:
    """``0001.png`` and so on; a negative frame number keeps its sign in front of the four digits."""
    return folder / f"{number:04d}.png" if number >= 0 else folder / f"-{-number:04d}.png"


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


def read_digest(path: Path) -> str | None:
    """The digest of a frame file; None where the file is missing, damaged or not one of ours."""
    try:
        chunks = png_chunks(path.read_bytes())
    except (OSError, ValueError):
        return None
    for kind, content in chunks:
        keyword, _, text = content.partition(b"\0")
        if kind == b"tEXt" and keyword == DIGEST_KEYWORD.encode():
            return text.decode("latin-1")
    return None


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
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            partial.write_bytes(data)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise _write_error(path, error) from error


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

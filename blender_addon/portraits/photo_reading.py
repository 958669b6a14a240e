# SPDX-License-Identifier: GPL-3.0-or-later
"""What picture a file holds: as the server reads it, which knows orientation, colour spaces and every kind of file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import bpy
import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import UNNAMED
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.protocol.client_messages import MAX_SENT_FILE_BYTES

from ..blender.wait_cursor import wait_cursor
from ..connection import server

_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_PNG_EIGHT_BIT_KINDS = (0, 2, 4, 6)  # grey and RGB, each with or without alpha; no palette
_PNG_HARMLESS_CHUNKS = (b"IHDR", b"IDAT", b"IEND", b"sRGB", b"sBIT", b"pHYs", b"oFFs", b"tIME")
_PNG_SRGB_CHUNKS = {
    b"gAMA": struct.pack(">I", 45455),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
}
_EXIF_TELLING_TAGS = (b"\x01\x12", b"\x12\x01", b"\x87\x69", b"\x69\x87")  # orientation, and the place of further tags


def content_of(file: Path) -> bytes:
    """Raises: PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE."""
    try:
        size = file.stat().st_size
        if size > MAX_SENT_FILE_BYTES:
            raise PortraitError(
                ErrorCode.IMAGE_TOO_LARGE,
                f"{file.name} has {size // 10**6} MB; {MAX_SENT_FILE_BYTES // 10**6} MB are the limit.",
                "Make it smaller first.",
            )
        content = read_bounded(file, MAX_SENT_FILE_BYTES)
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"Cannot read {file}: {error.strerror}.", "Choose a picture's file."
        ) from error
    if not content:
        raise PortraitError(ErrorCode.BAD_IMAGE, f"{file.name} is empty.", "Choose another picture.")
    return content


def is_plain(content: bytes) -> bool:
    """Whether Blender is sure to read the same picture from the file as the server, which then need not be asked.

    That is so for an undamaged PNG of 8 bits with no chunk on orientation, colours or transparent values: its pixels are
    shown as they are stored. A JPEG has no checksum that proves it undamaged.
    """
    if not content.startswith(_PNG_MARK) or content[24:25] != b"\x08" or content[25] not in _PNG_EIGHT_BIT_KINDS:
        return False
    at = len(_PNG_MARK)
    while at + 12 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + length
        checked = memoryview(content)[at + 4 : end - 4]
        if zlib.crc32(checked).to_bytes(4, "big") != content[end - 4 : end] or not _is_harmless(kind, checked[4:]):
            return False
        if kind == b"IEND":
            return True
        at = end
    return False


def _is_harmless(kind: bytes, data: memoryview) -> bool:
    """Whether a chunk of a PNG leaves the picture as its pixels are stored."""
    if kind in _PNG_SRGB_CHUNKS:
        return data == _PNG_SRGB_CHUNKS[kind]
    if kind == b"eXIf":
        return not any(tag in bytes(data) for tag in _EXIF_TELLING_TAGS)
    if kind == b"tEXt":
        return not bytes(data[:16]).startswith((b"Raw profile", b"XML:"))
    return kind in _PNG_HARMLESS_CHUNKS


def ask_server(content: bytes, file: Path) -> np.ndarray:
    """The picture as the server reads it; starts the server where the preferences allow it, and waits.

    Returns:
        (H, W, 3) uint8 RGB, upright and sRGB; (H, W, 4) with straight alpha where a pixel is not opaque.

    Raises:
        PortraitError: BAD_IMAGE, IMAGE_TOO_LARGE; SERVER_UNAVAILABLE, VERSION_MISMATCH, NOT_ALLOWED where no server
            can be had: Blender might show another picture than the server draws, so no portrait is made then.
    """
    try:
        with wait_cursor(), Client(_acquire(), name="Blender") as client:
            server.connected(client.ask_who())
            return client.read_picture(content, file.suffix)
    except PortraitError as error:
        server.failed(error)
        if error.code in (ErrorCode.BAD_IMAGE, ErrorCode.IMAGE_TOO_LARGE):
            raise PortraitError(error.code, error.message.replace(UNNAMED, file.name), error.remedy) from error
        raise


def _acquire() -> server.Reachable:
    return server.acquire(server.launch_plan(bpy.context), lambda: False)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Framing: a message is a msgpack header and raw buffers. What arrives is bounded and checked here and in `fields`.

The header's keys ``v`` (protocol version), ``t`` (type) and ``id`` (request) never change, so that two
releases can always tell each other that they differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from portrait_shared.errors import ErrorCode, PortraitError

PROTOCOL_VERSION: Final = 3

MAX_HEADER_BYTES: Final = 65_536
MAX_PARTS: Final = 6
MAX_PART_BYTES: Final = 256_000_000
"""64 million pixels of four channels: the largest image, and far more than any track."""
MAX_REQUEST_ID: Final = 2**53

Buffer = bytes | bytearray | memoryview


def bad_message(message: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_MESSAGE, message, "Use the client of the same release as the server.")


@dataclass(frozen=True)
class Envelope:
    """A message whose frame is sound and whose fields are not yet checked."""

    type: str
    request: int
    fields: Mapping[str, Any]
    buffers: Sequence[memoryview]


def pack(message_type: str, request: int, fields: Mapping[str, Any], version: int = PROTOCOL_VERSION) -> bytes:
    """The header of a message."""
    # Words may hold a file's name that is not text, which msgpack cannot send as it is.
    header: bytes = msgpack.packb(
        {"v": version, "t": message_type, "id": request, **fields}, unicode_errors="backslashreplace"
    )
    if len(header) > MAX_HEADER_BYTES:
        raise bad_message(f"The header of `{message_type}` has {len(header)} bytes; {MAX_HEADER_BYTES} are the limit.")
    return header


def unpack(parts: Sequence[Buffer]) -> Envelope:
    """Opens a message.

    Args:
        parts: the header, then the buffers.

    Raises:
        PortraitError: BAD_MESSAGE; VERSION_MISMATCH for one of another protocol version.
    """
    if not 1 <= len(parts) <= MAX_PARTS:
        raise bad_message(f"A message has 1 to {MAX_PARTS} parts, not {len(parts)}.")
    buffers = [memoryview(part) for part in parts]
    if buffers[0].nbytes > MAX_HEADER_BYTES or any(part.nbytes > MAX_PART_BYTES for part in buffers):
        raise bad_message("A part of the message is too long.")
    try:
        header = msgpack.unpackb(buffers[0], raw=False, use_list=False, strict_map_key=True)
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise bad_message(f"The header is not msgpack ({type(error).__name__}).") from error
    if not isinstance(header, dict):
        raise bad_message("The header is not a map.")
    version, message_type, request = header.pop("v", None), header.pop("t", None), header.pop("id", None)
    if type(version) is not int or type(message_type) is not str or type(request) is not int:
        raise bad_message("The header lacks its version, type or request id.")
    if not 0 <= request <= MAX_REQUEST_ID:
        raise bad_message("The request id is out of range.")
    if version != PROTOCOL_VERSION:
        raise VersionMismatch(version, request)
    return Envelope(message_type, request, header, buffers[1:])


class VersionMismatch(PortraitError):
    """The other end speaks another protocol version.

    Attributes:
        version: the other end's.
        request: the request id of its message.
    """

    def __init__(self, version: int, request: int = 0) -> None:
        remedy = "Update this program" if version > PROTOCOL_VERSION else "Update the server"
        super().__init__(
            ErrorCode.VERSION_MISMATCH,
            f"The other end speaks protocol version {version}, this one {PROTOCOL_VERSION}.",
            f"{remedy} so that both are of the same release, and start both again.",
        )
        self.version = version
        self.request = request

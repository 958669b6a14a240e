# SPDX-License-Identifier: GPL-3.0-or-later
"""ZMTP 3.1 (ZeroMQ RFC 37) as a server speaks it: greeting, commands, and frames whose size is known before they come.

libzmq itself bounds neither the parts of a message nor its connections, and aborts the whole process where a peer does
what it did not foresee, so the server reads the wire itself. Clients use libzmq.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

GREETING_BYTES: Final = 64
MORE: Final = 1
LONG: Final = 2
COMMAND: Final = 4
_SHORT_BYTES: Final = 255
_SIGNATURE: Final = b"\xff" + bytes(8) + b"\x7f"
_MAJOR_VERSION: Final = 3
_MINOR_VERSION: Final = 1
_MECHANISM_BYTES: Final = 20
_MOST_CONTEXT_BYTES: Final = 16
_PING_TTL_BYTES: Final = 2


class ProtocolFailure(Exception):
    """The peer does not speak ZMTP, or not as it must: its connection is closed."""


class FrameHead(NamedTuple):
    """What is known of a frame before its body is there.

    Attributes:
        flags: `MORE`, `LONG`, `COMMAND`.
        head_bytes: where the body begins.
        body_bytes: how long it is.
    """

    flags: int
    head_bytes: int
    body_bytes: int


def greeting(mechanism: str) -> bytes:
    """The first 64 bytes that a server says."""
    name = mechanism.encode().ljust(_MECHANISM_BYTES, b"\0")
    as_server = int(mechanism != "NULL")
    start = _SIGNATURE + bytes((_MAJOR_VERSION, _MINOR_VERSION)) + name + bytes((as_server,))
    return start.ljust(GREETING_BYTES, b"\0")


def check_greeting(said: bytes, mechanism: str) -> None:
    """Raises: ProtocolFailure: for the greeting of a peer that speaks otherwise; `said` may be its beginning."""
    if said[:1] not in (b"", _SIGNATURE[:1]) or said[9:10] not in (b"", _SIGNATURE[9:]):
        raise ProtocolFailure("it does not speak ZMTP")
    if len(said) > 10 and said[10] < _MAJOR_VERSION:
        raise ProtocolFailure(f"it speaks ZMTP {said[10]}")
    if len(said) >= GREETING_BYTES and said[12:32].rstrip(b"\0") != mechanism.encode():
        raise ProtocolFailure("it uses another mechanism")


def frame_head(data: bytes | bytearray | memoryview) -> FrameHead | None:
    """The head of the frame at the beginning of the data, or None where it is not whole yet.

    Raises:
        ProtocolFailure: for flags that mean nothing.
    """
    if len(data) < 2:
        return None
    flags = data[0]
    if flags & ~(MORE | LONG | COMMAND) or (flags & COMMAND and flags & MORE):
        raise ProtocolFailure(f"a frame has the flags {flags:#x}")
    if not flags & LONG:
        return FrameHead(flags, 2, data[1])
    if len(data) < 9:
        return None
    return FrameHead(flags, 9, struct.unpack_from(">Q", data, 1)[0])


def frame_start(flags: int, body_bytes: int) -> bytes:
    """What stands before a body of that length."""
    if body_bytes <= _SHORT_BYTES:
        return bytes((flags, body_bytes))
    return struct.pack(">BQ", flags | LONG, body_bytes)


def command(name: bytes, content: bytes = b"") -> bytes:
    """The body of a command."""
    return bytes((len(name),)) + name + content


def command_frame(body: bytes) -> bytes:
    return frame_start(COMMAND, len(body)) + body


def parse_command(body: bytes) -> tuple[bytes, bytes]:
    """Name and content of a command's body.

    Raises:
        ProtocolFailure: where it has no name.
    """
    if not body or len(body) < 1 + body[0]:
        raise ProtocolFailure("a command has no name")
    return body[1 : 1 + body[0]], body[1 + body[0] :]


def pong(content: bytes) -> bytes:
    """The body of the answer to a PING's content: its context comes back."""
    return command(b"PONG", content[_PING_TTL_BYTES:][:_MOST_CONTEXT_BYTES])


def ping() -> bytes:
    """The body of a PING without a time to live or a context."""
    return command(b"PING", bytes(_PING_TTL_BYTES))


def metadata(values: Mapping[bytes, bytes]) -> bytes:
    """Properties of a connection, as READY carries them."""
    return b"".join(
        bytes((len(name),)) + name + struct.pack(">I", len(value)) + value for name, value in values.items()
    )


def check_socket_type(content: bytes) -> None:
    """Raises: ProtocolFailure: where the metadata is none, or of a peer that does not talk to a ROUTER."""
    while content:
        name, rest = parse_command(content)
        if len(rest) < 4 or len(rest) < 4 + struct.unpack_from(">I", rest)[0]:
            raise ProtocolFailure("its metadata is cut off")
        length = struct.unpack_from(">I", rest)[0]
        value, content = rest[4 : 4 + length], rest[4 + length :]
        if name.lower() == b"socket-type":
            if value not in (b"DEALER", b"REQ", b"ROUTER"):
                raise ProtocolFailure("its socket does not talk to a ROUTER")
            return
    raise ProtocolFailure("it does not say what socket it has")

# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer that speaks ZMTP by hand, so that it can do what no library does."""

from __future__ import annotations

import socket
import struct

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
MORE, COMMAND = 1, 4


def frame(body: bytes, flags: int = 0) -> bytes:
    if len(body) < 256:
        return bytes((flags, len(body))) + body
    return struct.pack(">BQ", flags | 2, len(body)) + body


READY = frame(b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER", COMMAND)
PING = frame(b"\x04PING\0\0context", COMMAND)


def connected(address: str) -> socket.socket:
    """A socket at an ``ipc://`` address; nothing was said yet."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(address.removeprefix("ipc://"))
    return peer


def greeted(address: str) -> socket.socket:
    """A socket on which messages may be sent."""
    peer = connected(address)
    peer.sendall(GREETING + READY)
    return peer

# SPDX-License-Identifier: GPL-3.0-or-later
"""Open Sound Control 1.0: the messages of one packet, bundles in bundles too, with their bounds."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

Value = float | int | str | bool | None
MAX_MESSAGES: Final = 512
"""In one packet: one for each of ARKit's controls and a body's bones are some 120."""

_MAX_DEPTH: Final = 4
_MAX_VALUES: Final = 128
_BUNDLE: Final = b"#bundle\0"
_IMMEDIATELY: Final = 1
_FIXED: Final = {"i": struct.Struct(">i"), "f": struct.Struct(">f"), "d": struct.Struct(">d"), "h": struct.Struct(">q")}
_SKIPPED: Final = {"t": 8, "c": 4, "r": 4, "m": 4}
_PLAIN: Final[dict[str, Value]] = {"T": True, "F": False, "N": None, "I": None}


class NotOsc(Exception):
    """It is no packet of Open Sound Control, or one beyond the bounds."""


@dataclass(frozen=True)
class Message:
    """An address and its values; those of kinds that nothing here needs are None."""

    address: str
    values: tuple[Value, ...]

    def floats(self, count: int, first: int = 0) -> tuple[float, ...] | None:
        """As many numbers from the `first` value on; None where there are fewer, or one is none."""
        found = self.values[first : first + count]
        if len(found) < count or not all(isinstance(value, (int, float)) for value in found):
            return None
        return tuple(float(value) for value in found if isinstance(value, (int, float)))


@dataclass(frozen=True)
class Packet:
    """What came at once.

    Attributes:
        messages: in their order.
        bundled: whether they came in a bundle, so that they belong to one moment.
        seconds: the outer bundle's time, since 1900; None where it says “immediately”, or where there is none.
    """

    messages: tuple[Message, ...]
    bundled: bool
    seconds: float | None = None


def read(data: bytes) -> Packet:
    """A packet.

    Raises:
        NotOsc: it is none.
    """
    found: list[Message] = []
    if not data.startswith(_BUNDLE):
        found.append(_message(data))
        return Packet(tuple(found), False)
    if len(data) < 16:
        raise NotOsc("a bundle without a time")
    (stamp,) = struct.unpack_from(">Q", data, 8)
    _bundle(data, found, 0)
    return Packet(tuple(found), True, None if stamp <= _IMMEDIATELY else stamp / 2**32)


def _bundle(data: bytes, found: list[Message], depth: int) -> None:
    if depth == _MAX_DEPTH or len(data) < 16:
        raise NotOsc("a bundle cut off, or in too many others")
    at = 16
    while at < len(data):
        if at + 4 > len(data):
            raise NotOsc("cut off in a length")
        (length,) = struct.unpack_from(">i", data, at)
        at += 4
        if length < 0 or length % 4 or at + length > len(data):
            raise NotOsc("a part of no sensible length")
        part = data[at : at + length]
        at += length
        if part.startswith(_BUNDLE):
            _bundle(part, found, depth + 1)
        elif part:
            if len(found) == MAX_MESSAGES:
                raise NotOsc("too many messages")
            found.append(_message(part))


def _message(data: bytes) -> Message:
    address, at = _text(data, 0)
    if not address.startswith("/"):
        raise NotOsc("no address")
    if at >= len(data):
        return Message(address, ())  # as old senders write one without values
    tags, at = _text(data, at)
    if not tags.startswith(",") or len(tags) > _MAX_VALUES + 1:
        raise NotOsc("no kinds of values, or too many")
    values: list[Value] = []
    for tag in tags[1:]:
        value, at = _value(data, at, tag)
        if tag not in "[]":
            values.append(value)
    return Message(address, tuple(values))


def _value(data: bytes, at: int, tag: str) -> tuple[Value, int]:
    if tag in _FIXED:
        kind = _FIXED[tag]
        if at + kind.size > len(data):
            raise NotOsc("cut off in a value")
        return kind.unpack_from(data, at)[0], at + kind.size
    if tag in "sS":
        return _text(data, at)
    if tag in _PLAIN:
        return _PLAIN[tag], at
    if tag in _SKIPPED:
        at += _SKIPPED[tag]
    elif tag == "b":
        if at + 4 > len(data):
            raise NotOsc("cut off in a length")
        (length,) = struct.unpack_from(">i", data, at)
        if length < 0:
            raise NotOsc("a length below 0")
        at += 4 + (length + 3) // 4 * 4
    elif tag not in "[]":
        raise NotOsc("a value of an unknown kind")
    if at > len(data):
        raise NotOsc("cut off in a value")
    return None, at


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A text that ends with 0, and where the next value begins, at a multiple of 4."""
    end = data.find(b"\0", at)
    if end < 0:
        raise NotOsc("a text without an end")
    return data[at:end].decode("utf-8", "replace"), (end + 4) // 4 * 4

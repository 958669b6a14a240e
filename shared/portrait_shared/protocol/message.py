# SPDX-License-Identifier: GPL-3.0-or-later
"""What every message is: a dataclass whose fields are checked where it is made and where it arrives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from portrait_shared.landmarks import LANDMARK_COUNT
from portrait_shared.protocol.fields import Array, Blob
from portrait_shared.protocol.framing import MAX_REQUEST_ID, Buffer, bad_message, pack, unpack
from portrait_shared.track import MAX_SIDE_PIXELS

_SIDE = (1, MAX_SIDE_PIXELS)
LANDMARKS = (LANDMARK_COUNT, LANDMARK_COUNT)
PIXELS = Array("|u1", (_SIDE, _SIDE, (3, 4)), nullable=True, wide="<u2")

TYPES: dict[str, type[Message]] = {}


@dataclass(frozen=True, eq=False)
class Message:
    """A request, or an answer that carries the request's id.

    Attributes:
        request: the id; 0 where a message answers none.
    """

    type: ClassVar[str]
    request: int

    def __init_subclass__(cls, kind: str) -> None:
        cls.type = kind
        TYPES[kind] = cls

    def __post_init__(self) -> None:
        if type(self.request) is not int or not 0 <= self.request <= MAX_REQUEST_ID:
            raise bad_message(f"`{self.type}`: the request id is out of range.")
        for item in dataclasses.fields(self)[1:]:
            try:
                value = item.metadata["check"](getattr(self, item.name))
            except ValueError as error:
                raise bad_message(f"`{self.type}`: `{item.name}` {error}.") from error
            object.__setattr__(self, item.name, value)

    def encode(self) -> list[Buffer]:
        """The message's parts: header, then buffers, which are not copied."""
        fields: dict[str, Any] = {}
        buffers: list[Buffer] = []
        for item in dataclasses.fields(self)[1:]:
            value, check = getattr(self, item.name), item.metadata["check"]
            # An array has no one answer to whether it equals the default, which is none.
            if item.metadata["added"] and isinstance(value, type(item.default)) and value == item.default:
                continue
            if isinstance(check, (Array, Blob)) and value is not None:
                fields[item.name] = value.shape if isinstance(check, Array) else len(value)
                buffers.append(value.data if isinstance(check, Array) else value)
            else:
                fields[item.name] = value
        return [pack(self.type, self.request, fields), *buffers]


def decode(parts: Sequence[Buffer]) -> Message:
    """The message that arrived; arrays lie on the buffers, not copied.

    Raises:
        PortraitError: BAD_MESSAGE, VERSION_MISMATCH.
    """
    envelope = unpack(parts)
    kind = TYPES.get(envelope.type)
    if kind is None:
        raise bad_message(f"There is no message type `{envelope.type[:64]}`.")
    values = dict(envelope.fields)
    buffers = list(envelope.buffers)
    for item in dataclasses.fields(kind)[1:]:
        check, value = item.metadata["check"], values.get(item.name)
        if not isinstance(check, (Array, Blob)) or value is None:
            continue
        if not buffers:
            raise bad_message(f"`{kind.type}`: the buffer of `{item.name}` is missing.")
        buffer = buffers.pop(0)
        try:
            values[item.name] = check.from_buffer(value, buffer) if isinstance(check, Array) else buffer
        except ValueError as error:
            raise bad_message(f"`{kind.type}`: `{item.name}` {error}.") from error
    if buffers:
        raise bad_message(f"`{kind.type}` has {len(buffers)} buffers too many.")
    try:
        return kind(envelope.request, **values)
    except TypeError as error:
        raise bad_message(f"`{kind.type}` has unknown or missing fields.") from error

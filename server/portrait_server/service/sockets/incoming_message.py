# SPDX-License-Identifier: GPL-3.0-or-later
"""The message that is on its way in on one connection, and the memory that all such messages may take together."""

from __future__ import annotations

from typing import Final

from portrait_shared.protocol.framing import MAX_PART_BYTES, MAX_PARTS, Buffer

MAX_MESSAGE_BYTES: Final = MAX_PART_BYTES + (1 << 20)
"""A large array and what belongs to it."""


class Allowance:
    """Bytes that the bodies of all messages on their way in may take together.

    Attributes:
        held: how many are taken.
    """

    def __init__(self, limit: int) -> None:
        self.held = 0
        self._limit = limit

    def take(self, count: int) -> bool:
        if self.held + count > self._limit:
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        self.held -= count


class IncomingMessage:
    """Its parts until now. Of a message that has too many parts or bytes nothing is kept, however long it goes on.

    Attributes:
        since: since when it takes of the allowance, seconds; None where it takes nothing.
    """

    def __init__(self, allowance: Allowance) -> None:
        self.since: float | None = None
        self._allowance = allowance
        self._allowed = 0
        self._parts: list[Buffer] = []
        self._bytes = 0
        self._too_much = False

    def reserve(self, count: int, now: float) -> bool:
        """Takes of the allowance what a large part needs; whether there was as much."""
        if not self._allowance.take(count):
            return False
        self._allowed += count
        self.since = now if self.since is None else self.since
        return True

    def takes(self, count: int) -> bool:
        """Whether a part of as many bytes may still belong to it."""
        return not self._too_much and self._bytes + count <= MAX_MESSAGE_BYTES

    def add(self, part: memoryview) -> None:
        if self.takes(part.nbytes) and len(self._parts) < MAX_PARTS:
            self._parts.append(part)
            self._bytes += part.nbytes
        else:
            self.refuse()

    def refuse(self) -> None:
        """Lets go of what has come, and of what will."""
        self.drop()
        self._too_much = True

    def end(self) -> list[Buffer]:
        """Its parts, none where it was too much. The next message begins."""
        parts = self._parts
        self.drop()
        return parts

    def drop(self) -> None:
        """Lets go of everything. The next message begins."""
        self._parts, self._bytes, self._too_much = [], 0, False
        self._allowance.give_back(self._allowed)
        self._allowed, self.since = 0, None

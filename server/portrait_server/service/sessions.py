# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.messages import Message

MAX_SESSIONS: Final = 256


@dataclass(eq=False)
class Session:
    """One client.

    Attributes:
        routing: by what the socket knows it.
        name: what it calls itself.
        pending: how many requests it has open; counted by `Ledger`, as what they hold is.
        held_bytes: what its open requests hold.
        frame_bytes: what its frames hold that are drawn or encoded now.
        gone: whether it has left; what is still computed for it is thrown away.
    """

    routing: bytes
    name: str
    pending: int = 0
    held_bytes: int = 0
    frame_bytes: int = 0
    gone: bool = False


Send = Callable[[Session, Message], None]
"""Sends a message to a client, unless it has left."""


class Sessions:
    """All clients. Used by the service's own thread alone."""

    def __init__(self) -> None:
        self._by_routing: dict[bytes, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_routing.values()))

    def __len__(self) -> int:
        return len(self._by_routing)

    @property
    def frame_bytes(self) -> int:
        """What all clients' frames hold that are drawn or encoded now."""
        return sum(session.frame_bytes for session in self._by_routing.values())

    def get(self, routing: bytes) -> Session | None:
        return self._by_routing.get(routing)

    def enter(self, routing: bytes, name: str) -> Session:
        """A new client.

        Raises:
            PortraitError: BUSY.
        """
        if len(self) >= MAX_SESSIONS:
            raise PortraitError(ErrorCode.BUSY, f"The server has {MAX_SESSIONS} clients.", "Try again later.")
        session = self._by_routing[routing] = Session(routing, name)
        return session

    def leave(self, session: Session) -> None:
        """A client has gone."""
        session.gone = True
        self._by_routing.pop(session.routing, None)

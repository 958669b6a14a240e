# SPDX-License-Identifier: GPL-3.0-or-later
"""How much clients' open requests may hold."""

from __future__ import annotations

from dataclasses import dataclass

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.service.sessions import Session


@dataclass(frozen=True)
class Budgets:
    """Bytes that may be held.

    Attributes:
        client: by one client's open requests, and as much again by its frames that are drawn or wait to be sent.
        total: the same for all clients together.
        portraits: by what is prepared, with what rendering keeps of it.
    """

    client: int = 1 << 30
    total: int = 4 << 30
    portraits: int = 2 << 30


class Ledger:
    """Which requests clients have open, and how many bytes these hold: photographs that are looked at, landmarks of
    renders.

    A client's only request may always hold more. Used by the service's own thread alone.

    Attributes:
        held: bytes, of all clients.
    """

    def __init__(self, budgets: Budgets) -> None:
        self.held = 0
        self._client_bytes = budgets.client
        self._total_bytes = budgets.total

    def charge(self, session: Session, count: int) -> None:
        """Takes note of a request and of the bytes that it will hold.

        Raises:
            PortraitError: BUSY.
        """
        if count and session.held_bytes and session.held_bytes + count > self._client_bytes:
            raise PortraitError(
                ErrorCode.BUSY, f"This client's open requests hold {session.held_bytes >> 20} MB, and one more would "
                f"pass {self._client_bytes >> 20} MB.", "Wait for some of them to end.",
            )  # fmt: skip
        if count and self.held and self.held + count > self._total_bytes:
            raise PortraitError(
                ErrorCode.BUSY, f"The open requests of all clients hold {self.held >> 20} MB.", "Try again later."
            )
        session.pending += 1
        session.held_bytes += count
        self.held += count

    def release(self, session: Session, count: int) -> None:
        """A request that `charge` noted has ended."""
        if not session.gone:
            session.pending -= 1
            session.held_bytes -= count
            self.held -= count

    def forget(self, session: Session) -> None:
        """A client has gone; what is still computed for it is thrown away soon."""
        self.held -= session.held_bytes
        session.pending = session.held_bytes = 0

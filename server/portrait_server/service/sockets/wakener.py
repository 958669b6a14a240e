# SPDX-License-Identifier: GPL-3.0-or-later
"""How threads wake another that waits for sockets."""

from __future__ import annotations

import socket


class Wakener:
    """A pair of sockets: what is written to one ends a wait for the other.

    Attributes:
        reader: readable from a `wake` on until `clear`.
    """

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def wake(self) -> None:
        """Called by any thread."""
        try:
            self._writer.send(b"\0")
        except OSError:
            return  # it is full of wake-up calls already, or nobody waits any more

    def clear(self) -> None:
        try:
            self.reader.recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        self.reader.close()
        self._writer.close()

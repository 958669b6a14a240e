# SPDX-License-Identifier: GPL-3.0-or-later
"""The listening socket, to clients a ZeroMQ ROUTER: who comes in, what goes out, and who has left."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Final

from portrait_shared.client.channel import HEARTBEAT_SECONDS, HEARTBEAT_TIMEOUT_SECONDS
from portrait_shared.protocol.framing import Buffer
from portrait_shared.protocol.messages import Message

from portrait_server.service.sockets.authentication import KeyRing
from portrait_server.service.sockets.ciphering import Ciphering
from portrait_server.service.sockets.endpoints import Endpoint, listen
from portrait_server.service.sockets.incoming_message import Allowance
from portrait_server.service.sockets.peer import MAX_BODY_BYTES, Peer
from portrait_server.service.sockets.zmtp import ProtocolFailure

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 512
ARRIVING_BYTES: Final = 1 << 30
QUEUED_BYTES: Final = (1 << 30) + (64 << 20)
"""Of one client, waiting to be sent. Its renders may not hold as much: only a client that reads nothing comes so far."""
HANDSHAKE_SECONDS: Final = 10.0
ALL_QUEUED_BYTES: Final = 5 << 30
"""Of all clients, waiting to be sent; more than all their renders may hold. The connection that reads least is closed."""
_READS_TOO_LITTLE: Final = "it does not read what it asked for"
_PATIENCE_SECONDS: Final = 30.0
"""How long others wait for the memory that a message under way holds, before its sender is dropped."""
_LOOK_SECONDS: Final = 1.0
_ACCEPTED_A_TURN: Final = 64


class Gone(Exception):
    """The client is not there any more, or reads nothing."""


class Door:
    """Binds, lets in, receives and sends. Used by one thread.

    Args:
        connections: how many there may be; those that have not said hello make room for others.
        arriving_bytes: what all messages that are on their way in may take together.
        queued_bytes: what may wait to be sent to one client.
        all_queued_bytes: and to all.

    Attributes:
        address: where it listens.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(
        self, endpoint: Endpoint, ring: KeyRing | None, *, connections: int = MAX_CONNECTIONS,
        arriving_bytes: int = ARRIVING_BYTES, queued_bytes: int = QUEUED_BYTES,
        all_queued_bytes: int = ALL_QUEUED_BYTES,
    ) -> None:  # fmt: skip
        self._listener, self.address = listen(endpoint.address)
        self._endpoint = endpoint
        self._ring = ring
        self._connections = connections
        self._queued_limit = queued_bytes
        self._all_queued_limit = all_queued_bytes
        self._allowance = Allowance(max(arriving_bytes, MAX_BODY_BYTES))
        self._peers: dict[bytes, Peer] = {}
        self._departed: list[bytes] = []
        self._last_routing = 0
        self._next_look = self._next_ping = 0.0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wakener: socket.socket | None = None
        self._ciphering = Ciphering()
        self._selector.register(self._ciphering.reader, selectors.EVENT_READ)

    def register(self, wakener: socket.socket) -> None:
        """Lets `wait` return when there is something to read on another socket."""
        self._wakener = wakener
        self._selector.register(wakener, selectors.EVENT_READ)

    def wait(self, patience_s: float | None) -> Iterator[tuple[bytes, list[Buffer]]]:
        """Waits until something happens, for `patience_s` at most; what has come: (routing id, parts).

        A message that was larger than any may be has no parts.
        """
        now = time.monotonic()
        times = [] if patience_s is None else [patience_s]
        if self._peers:
            times.append(self._next_look - now)
        if any(peer.backlog for peer in self._peers.values()):
            times.append(0.0)
        events = self._selector.select(max(0.0, min(times)) if times else None)
        now = time.monotonic()
        readable = {peer.routing: peer for peer in self._peers.values() if peer.backlog or peer.waits or peer.opening}
        for key, mask in events:
            if key.fileobj is self._listener:
                self._accept(now)
            elif key.fileobj is self._ciphering.reader:
                self._send_sealed(now)
            elif isinstance(key.data, Peer):
                if mask & selectors.EVENT_WRITE:
                    key.data.flush(now)
                    self._settle_interest(key.data)
                if mask & selectors.EVENT_READ:
                    readable[key.data.routing] = key.data
        for peer in readable.values():
            yield from self._take(peer, now)
            self._settle_interest(peer)
        if now >= self._next_look:
            self._look_after(now)

    def departed(self) -> list[bytes]:
        """Who has left since the last call; their messages came before."""
        departed, self._departed = self._departed, []
        return departed

    def welcome(self, routing: bytes) -> None:
        """Keeps a client when room is made for others."""
        if (peer := self._peers.get(routing)) is not None:
            peer.settled = True

    def send(self, routing: bytes, message: Message) -> None:
        """Queues a message; its buffers are not copied.

        Raises:
            Gone: where the client has left, or reads nothing.
        """
        peer = self._peers.get(routing)
        if peer is None:
            raise Gone
        peer.send(message.encode(), time.monotonic())
        if peer.outbox.queued_bytes > self._queued_limit:
            log.warning("A connection is closed: %s", _READS_TOO_LITTLE)
            self._let_go(peer)
        if peer.finished or peer.outbox.broken:
            raise Gone
        self._settle_interest(peer)

    def queued_bytes(self, routing: bytes) -> int:
        """What waits to be sent to a client."""
        peer = self._peers.get(routing)
        return 0 if peer is None else peer.outbox.queued_bytes

    @property
    def all_queued_bytes(self) -> int:
        """What waits to be sent to all clients."""
        return sum(peer.outbox.queued_bytes for peer in self._peers.values())

    def close(self, linger_s: float) -> None:
        """Delivers what is under way within `linger_s` and closes."""
        self._selector.unregister(self._listener)
        self._listener.close()
        if self._wakener is not None:  # nobody takes results any more: what they left there would end each wait at once
            self._selector.unregister(self._wakener)
        deadline = time.monotonic() + linger_s
        while any(peer.outbox for peer in self._peers.values()):
            now = time.monotonic()
            if now >= deadline:
                break
            for key, mask in self._selector.select(deadline - now):
                if isinstance(key.data, Peer) and mask & selectors.EVENT_WRITE:
                    key.data.flush(now)
                elif key.fileobj is self._ciphering.reader:
                    self._send_sealed(now)
            for peer in list(self._peers.values()):
                self._settle_interest(peer, receiving=False)
        for peer in list(self._peers.values()):
            self._let_go(peer)
        self._selector.close()
        self._ciphering.close()
        self._endpoint.remove()

    def _accept(self, now: float) -> None:
        for _ in range(_ACCEPTED_A_TURN):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptor is free, or the peer has left already
                if not self._make_room():
                    log.warning("A connection was not accepted: %s", error.strerror)
                    return
                continue
            if len(self._peers) >= self._connections and not self._make_room():
                connection.close()
                continue
            connection.setblocking(False)
            if connection.family != getattr(socket, "AF_UNIX", None):
                with contextlib.suppress(OSError):  # macOS, where the peer has left already
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._last_routing += 1
            peer = Peer(
                connection, self._last_routing.to_bytes(8, "big"), self._ring, self._allowance, self._ciphering, now
            )
            self._peers[peer.routing] = peer
            self._selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)

    def _make_room(self) -> bool:
        """Turns away whoever came first of those that have not said hello; the ones without a handshake before others."""
        strangers = [peer for peer in self._peers.values() if not peer.settled]
        if not strangers:
            return False
        self._let_go(min(strangers, key=lambda peer: (peer.ready, peer.opened)))
        return True

    def _take(self, peer: Peer, now: float) -> Iterator[tuple[bytes, list[Buffer]]]:
        if peer.routing not in self._peers:
            return
        messages: list[list[Buffer]] = []
        try:
            messages = peer.take(now)
        except ProtocolFailure as failure:
            log.info("A connection is closed: %s", failure)
            peer.flush(now)
            peer.finished = True
        except MemoryError:
            log.warning("A connection is closed: there is no memory for what it sends")
            peer.finished = True
        for parts in messages:
            yield peer.routing, parts
        if peer.outbox:
            peer.flush(now)

    def _send_sealed(self, now: float) -> None:
        """Sends what has been encrypted meanwhile."""
        self._ciphering.clear()
        for peer in list(self._peers.values()):
            if peer.outbox and not peer.outbox.sendable:
                peer.flush(now)
                self._settle_interest(peer)

    def _look_after(self, now: float) -> None:
        """Closes what is silent, stuck, or keeps others waiting; pings the others."""
        self._next_look = now + _LOOK_SECONDS
        pings = now >= self._next_ping
        if pings:
            self._next_ping = now + HEARTBEAT_SECONDS
        waiting = any(peer.waits for peer in self._peers.values())
        for peer in list(self._peers.values()):
            if reason := self._reason_to_close(peer, waiting, now):
                log.info("A connection is closed: %s", reason)
                self._let_go(peer)
            elif peer.ready and pings:
                peer.send_ping(now)
                self._settle_interest(peer)
        while self.all_queued_bytes > self._all_queued_limit:
            log.warning("A connection is closed: %s", _READS_TOO_LITTLE)
            self._let_go(max(self._peers.values(), key=lambda peer: peer.outbox.queued_bytes))

    def _reason_to_close(self, peer: Peer, waiting: bool, now: float) -> str:
        if not peer.ready and now - peer.opened > HANDSHAKE_SECONDS:
            return "it says nothing"
        if peer.outbox and now - peer.outbox.moved > HEARTBEAT_TIMEOUT_SECONDS:
            return "it reads nothing"
        if peer.outbox.queued_bytes > self._queued_limit:  # by answers to its pings: `send` counts messages alone
            return _READS_TOO_LITTLE
        if peer.ready and not peer.waits and not peer.opening and now - peer.heard > HEARTBEAT_TIMEOUT_SECONDS:
            return "it has been silent for too long"
        if waiting and peer.incoming.since is not None and now - peer.incoming.since > _PATIENCE_SECONDS:
            return "others wait for the memory of a message that does not end"
        return ""

    def _settle_interest(self, peer: Peer, receiving: bool = True) -> None:
        """Watches a connection for what it is good for now; lets go of one that is finished."""
        if peer.routing not in self._peers:
            return
        if peer.finished:
            self._let_go(peer)
            return
        wanted = selectors.EVENT_WRITE if peer.outbox.sendable else 0
        if receiving and not peer.waits and not peer.opening:
            wanted |= selectors.EVENT_READ
        key = self._selector.get_map().get(peer.connection)
        if key is None:
            if wanted:
                self._selector.register(peer.connection, wanted, peer)
        elif not wanted:
            self._selector.unregister(peer.connection)
        elif key.events != wanted:
            self._selector.modify(peer.connection, wanted, peer)

    def _let_go(self, peer: Peer) -> None:
        if self._peers.pop(peer.routing, None) is None:
            return
        if self._selector.get_map().get(peer.connection) is not None:
            self._selector.unregister(peer.connection)
        peer.close()
        self._departed.append(peer.routing)

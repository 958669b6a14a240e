# SPDX-License-Identifier: GPL-3.0-or-later
"""The ROUTER socket: who comes in, what goes out, and who has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import zmq
from portrait_shared.channel import HEARTBEAT_SECONDS, HEARTBEAT_TIMEOUT_SECONDS
from portrait_shared.messages import Message
from portrait_shared.protocol import MAX_PART_BYTES, Buffer
from zmq.utils.monitor import recv_monitor_message

from portrait_server.authentication import Doorkeeper, KeyRing
from portrait_server.binding import Endpoint

_SEND_LIMIT_MESSAGES: Final = 1000
"""Far above what credit lets through: a client that reads nothing at all is dropped here."""
_RECEIVE_LIMIT_MESSAGES: Final = 64
_TURN_MESSAGES: Final = 64
"""How many messages are taken before outcomes of work get their turn."""


class Gone(Exception):
    """The client is not there any more, or reads nothing."""


class Door:
    """Binds, lets in, receives and sends. Used by one thread.

    Attributes:
        address: where it listens.
    """

    def __init__(self, endpoint: Endpoint, ring: KeyRing | None) -> None:
        self._context = zmq.Context()
        self._doorkeeper = Doorkeeper(self._context, ring) if ring else None
        self._folder = endpoint.folder
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.MAXMSGSIZE, MAX_PART_BYTES),
            (zmq.SNDHWM, _SEND_LIMIT_MESSAGES),
            (zmq.RCVHWM, _RECEIVE_LIMIT_MESSAGES),
            (zmq.HEARTBEAT_IVL, HEARTBEAT_SECONDS * 1000),
            (zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_SECONDS * 1000),
            (zmq.IPV6, int("[" in endpoint.address)),
        ):
            self._socket.setsockopt(option, value)
        if ring:
            self._socket.curve_server = True
            self._socket.curve_secretkey = ring.server_secret_key.encode()
            self._socket.curve_publickey = ring.server_public_key.encode()
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        mask = os.umask(0o177)
        try:
            self._socket.bind(endpoint.address)
        except zmq.ZMQError:
            self.close(0)
            raise
        finally:
            os.umask(mask)
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def register(self, poller: zmq.Poller) -> None:
        for source in (self._socket, self._monitor, self._doorkeeper and self._doorkeeper.socket):
            if source is not None:
                poller.register(source, zmq.POLLIN)

    def let_in(self, events: dict[object, int]) -> None:
        """Answers whether somebody may come in, where that is asked."""
        if self._doorkeeper is not None and self._doorkeeper.socket in events:
            self._doorkeeper.answer()

    def somebody_left(self, events: dict[object, int]) -> bool:
        if self._monitor not in events:
            return False
        while self._monitor.poll(0):
            recv_monitor_message(self._monitor)
        return True

    def receive(self, events: dict[object, int]) -> Iterator[tuple[bytes, list[Buffer]]]:
        """What has come: (routing id, parts), a turn's worth at most."""
        if self._socket not in events:
            return
        for _ in range(_TURN_MESSAGES):
            try:
                routing, *parts = self._socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            yield routing.bytes, [part.buffer for part in parts]

    def send(self, routing: bytes, message: Message) -> None:
        """Queues a message; its buffers are not copied.

        Raises:
            Gone: where the client has left, or has not read a thousand messages.
        """
        try:
            self._socket.send_multipart([routing, *message.encode()], zmq.DONTWAIT, copy=False)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            raise Gone from error

    def close(self, linger_ms: int) -> None:
        """Delivers what is under way within `linger_ms` and closes."""
        self._socket.disable_monitor()
        self._context.destroy(linger_ms)
        if self._folder is not None:
            (self._folder / "socket").unlink(missing_ok=True)
            self._folder.rmdir()

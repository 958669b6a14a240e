# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to one server: a DEALER socket and the watch on its life."""

from __future__ import annotations

import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection, check_socket
from portrait_shared.protocol.framing import MAX_PART_BYTES, PROTOCOL_VERSION
from portrait_shared.protocol.messages import Error, Hello, Message, Welcome, decode
from portrait_shared.protocol.references import ServerInfo

HEARTBEAT_SECONDS = 2
HEARTBEAT_TIMEOUT_SECONDS = 30
"""libzmq's own threads exchange these, so a program that is busy for minutes still counts as alive."""

_NEVER_MS = 3_600_000
"""Not -1, with which libzmq throws away what has arrived as soon as the server is gone."""

_LOSS_EVENTS = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class ServerLost(PortraitError):
    """The connection broke, could not be made, or has been silent for too long.

    Attributes:
        by_others: the server says that it was lost in another client's work: to ask the next one for the same is safe.
    """

    def __init__(
        self, message: str, remedy: str = "Start the server again; its log says more.", *, by_others: bool = False
    ) -> None:
        super().__init__(ErrorCode.SERVER_LOST, message, remedy)
        self.by_others = by_others


class Channel:
    """Never reconnects by itself: a lost server is reported at once, by `ServerLost`.

    Attributes:
        last_heard: when the last message came, `time.monotonic()` seconds.
        server: who answers, once `greet` has said so.
    """

    server: ServerInfo | None = None

    def __init__(self, connection: Connection) -> None:
        """
        Raises:
            ServerLost: there is nobody.
            PortraitError: NOT_ALLOWED where the socket may be somebody else's.
        """
        try:
            check_socket(connection.address)
        except PortraitError as error:
            if error.code == ErrorCode.SERVER_UNAVAILABLE:
                raise ServerLost(error.message) from error
            raise
        self._context = zmq.Context()
        self._context.blocky = False
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.RECONNECT_IVL, _NEVER_MS),
            (zmq.MAXMSGSIZE, MAX_PART_BYTES),
            (zmq.HEARTBEAT_IVL, HEARTBEAT_SECONDS * 1000),
            (zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_SECONDS * 1000),
        ):
            self._socket.setsockopt(option, value)
        self._monitor = self._socket.get_monitor_socket(_LOSS_EVENTS)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self.last_heard = time.monotonic()
        self._greeted = False
        try:
            if connection.server_public_key and connection.client_public_key and connection.client_secret_key:
                self._socket.curve_serverkey = connection.server_public_key.encode()
                self._socket.curve_publickey = connection.client_public_key.encode()
                self._socket.curve_secretkey = connection.client_secret_key.encode()
            self._socket.connect(connection.address)
        except zmq.ZMQError as error:
            self.close()
            raise ServerLost(f"Cannot connect to {connection.address}: {error.strerror}.") from error

    def send(self, message: Message) -> None:
        """Queues a message.

        Raises:
            ServerLost: where the connection is gone.
        """
        try:
            self._socket.send_multipart(message.encode(), zmq.DONTWAIT, copy=False)
        except zmq.Again:
            raise ServerLost("The server does not take messages any more.") from None

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None where none came in time.

        Raises:
            ServerLost: the connection broke; what had arrived before is handed out first.
            PortraitError: BAD_MESSAGE, VERSION_MISMATCH.
        """
        events = dict(self._poller.poll(max(0, int(timeout_s * 1000))))
        if self._socket in events:
            parts = self._socket.recv_multipart(zmq.DONTWAIT, copy=False)
            self.last_heard = time.monotonic()
            return decode([part.buffer for part in parts])
        if self._monitor in events:
            event = recv_monitor_message(self._monitor)["event"]
            refused = event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
            raise ServerLost("The server refused the key." if refused else "The connection to the server broke.")
        return None

    def greet(self, client: str, timeout_s: float) -> ServerInfo | None:
        """Says hello once and waits for the welcome; None where it has not come in time: ask again.

        Raises:
            ServerLost: nobody is there.
            PortraitError: VERSION_MISMATCH, or what the server answers.
        """
        if not self._greeted:
            self.send(Hello(1, client[:64], __version__))
            self._greeted = True
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.receive(deadline - time.monotonic())
            if isinstance(message, Welcome):
                self.server = ServerInfo(
                    message.version, PROTOCOL_VERSION, message.pid, message.device, message.engines,
                    message.default_engine, message.detectors, message.default_detector, message.log,
                )  # fmt: skip
                return self.server
            if isinstance(message, Error):
                raise message.as_exception()
            if time.monotonic() >= deadline:
                return None

    def close(self) -> None:
        self._socket.disable_monitor()
        self._context.destroy(linger=0)

# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection: its handshake, what arrives on it, and what waits to be sent."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

from portrait_shared.protocol.framing import MAX_PART_BYTES, Buffer

from portrait_server.service.sockets.authentication import KeyRing
from portrait_server.service.sockets.ciphering import DIRECT_BYTES, Ciphering
from portrait_server.service.sockets.curve import SEALED_EXTRA_BYTES, Curve, UnknownKey, refusal
from portrait_server.service.sockets.incoming_message import Allowance, IncomingMessage
from portrait_server.service.sockets.outbox import Outbox, Unsealed
from portrait_server.service.sockets.zmtp import (
    COMMAND,
    GREETING_BYTES,
    MORE,
    ProtocolFailure,
    check_greeting,
    check_socket_type,
    command,
    command_frame,
    frame_head,
    frame_start,
    greeting,
    metadata,
    parse_command,
    ping,
    pong,
)

TURN_MESSAGES: Final = 64
"""How many messages of one client are taken before others get their turn."""
TURN_STEPS: Final = 8 * TURN_MESSAGES
"""The same for frames, of which a message may have many, and commands need no message."""
MAX_BODY_BYTES: Final = MAX_PART_BYTES + SEALED_EXTRA_BYTES
_TURN_BYTES: Final = 4 << 20
_CHUNK_BYTES: Final = 1 << 16
_LARGE_BYTES: Final = 1 << 16
"""A longer body is received into a place of its own."""
_HANDSHAKE_BYTES: Final = 4096
_PROPERTIES: Final = {b"Socket-Type": b"ROUTER"}


class Peer:
    """Used by one thread. Never blocks.

    Attributes:
        connection: the socket.
        routing: by what the server knows it.
        ready: the handshake is done.
        settled: it said hello: it is not turned away to make room for others.
        finished: nothing more will come.
        waits: a body does not fit into the allowance now.
        opening: a large frame is being decrypted; nothing is received meanwhile.
        backlog: what has arrived may hold more than was taken.
        opened, heard: when it came, and was last heard; seconds.
        incoming: the message that is on its way in.
        outbox: what waits to be sent to it.
    """

    def __init__(
        self, connection: socket.socket, routing: bytes, ring: KeyRing | None, allowance: Allowance,
        ciphering: Ciphering, now: float,
    ) -> None:  # fmt: skip
        self.connection = connection
        self.routing = routing
        self.ready = self.settled = self.finished = self.waits = self.backlog = False
        self.opened = self.heard = now
        self._curve = None if ring is None else Curve(ring)
        self._mechanism = "NULL" if ring is None else "CURVE"
        self._greeted = False
        self._ciphering = ciphering
        self._opened: Future[tuple[memoryview, bool, bool]] | None = None
        self._arrived = bytearray()
        self._body: bytearray | None = None
        self._body_flags = 0
        self._filled = 0
        self._skip = 0
        self.incoming = IncomingMessage(allowance)
        self.outbox = Outbox(connection, now)
        self.outbox.put([greeting(self._mechanism)])

    def take(self, now: float) -> list[list[Buffer]]:
        """The messages that have come, a turn's worth at most; [] stands for one larger than any may be.

        Raises:
            ProtocolFailure: the peer breaks the rules.
        """
        messages: list[list[Buffer]] = []
        received, steps, self.waits = 0, 0, False
        while len(messages) < TURN_MESSAGES and steps < TURN_STEPS:
            if self._advance(messages, now):
                steps += 1
                continue
            if received >= _TURN_BYTES or self.waits or self.opening:
                break
            try:
                count = self._fill()
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                count = 0
            if not count:
                self.finished = True
                break
            received += count
            self.heard = now
        self.backlog = len(messages) == TURN_MESSAGES or steps == TURN_STEPS
        return messages

    @property
    def opening(self) -> bool:
        return self._opened is not None

    def send(self, parts: Sequence[Buffer], now: float) -> None:
        """Queues a message, whose buffers are not copied, and sends what the connection takes."""
        buffers: list[bytes | memoryview | Unsealed] = []
        for number, part in enumerate(parts):
            more = number < len(parts) - 1
            body: bytes | memoryview = memoryview(part).cast("B") if memoryview(part).nbytes else b""
            if self._curve is not None:
                buffers += self._sealed(self._curve, body, more)
            else:
                buffers += [frame_start(MORE * more, len(body)), body]
        self.outbox.put(buffers)
        self.flush(now)

    def send_ping(self, now: float) -> None:
        self._say(ping())
        self.flush(now)

    def flush(self, now: float) -> None:
        """Sends what the connection takes."""
        self.outbox.flush(now)

    def close(self) -> None:
        """Lets go of everything."""
        self.incoming.drop()
        self._body = self._opened = None
        self.outbox.clear()
        self.finished = True
        self.connection.close()

    # What arrives

    def _fill(self) -> int:
        """Receives once; returns how many bytes, 0 at the end."""
        if self._body is not None:
            count = self.connection.recv_into(memoryview(self._body)[self._filled :])
            self._filled += count
            return count
        data = self.connection.recv(_CHUNK_BYTES)
        self._arrived += data
        return len(data)

    def _advance(self, messages: list[list[Buffer]], now: float) -> bool:
        """Makes one step with what has arrived; whether there was one."""
        if self._skip:
            count = min(self._skip, len(self._arrived))
            del self._arrived[:count]
            self._skip -= count
            return count > 0
        if self._body is not None:
            if self._filled < len(self._body):
                return False
            return self._end_large(self._body, messages)
        if not self._greeted:
            check_greeting(bytes(self._arrived[:GREETING_BYTES]), self._mechanism)
            if len(self._arrived) < GREETING_BYTES:
                return False
            del self._arrived[:GREETING_BYTES]
            self._greeted = True
            return True
        head = frame_head(self._arrived)
        if head is None:
            return False
        sealed = 0 if self._curve is None else SEALED_EXTRA_BYTES
        if head.body_bytes > (MAX_PART_BYTES + sealed if self.ready else _HANDSHAKE_BYTES):
            raise ProtocolFailure(f"a frame has {head.body_bytes} bytes")
        end = head.head_bytes + head.body_bytes
        if head.body_bytes <= _LARGE_BYTES:
            if len(self._arrived) < end:
                return False
            body = self._arrived[head.head_bytes : end]
            del self._arrived[:end]
            self._take_frame(head.flags, body, messages)
            return True
        return self._begin_large(head.flags, head.head_bytes, head.body_bytes, messages, now)

    def _begin_large(
        self, flags: int, head_bytes: int, body_bytes: int, messages: list[list[Buffer]], now: float
    ) -> bool:
        if self._curve is None and flags & COMMAND:
            raise ProtocolFailure(f"a command has {body_bytes} bytes")
        if self._curve is None and not self.incoming.takes(body_bytes):
            del self._arrived[:head_bytes]
            self._skip = body_bytes
            self.incoming.refuse()
            if not flags & MORE:
                messages.append(self.incoming.end())
            return True
        if not self.incoming.reserve(body_bytes, now):
            self.waits = True
            return False
        self._body, self._body_flags = bytearray(body_bytes), flags
        there = self._arrived[head_bytes : head_bytes + body_bytes]
        del self._arrived[: head_bytes + body_bytes]
        self._body[: len(there)] = there
        self._filled = len(there)
        return True

    def _end_large(self, body: bytearray, messages: list[list[Buffer]]) -> bool:
        if self._curve is None:
            self._body = None
            self._take_part(memoryview(body), bool(self._body_flags & MORE), False, messages)
            return True
        if self._opened is None:
            number = self._curve.number_of(body)
            self._opened = self._ciphering.begin(partial(self._curve.open, body, number), len(body))
        if not self._opened.done():
            return False
        opened, self._body, self._opened = self._opened, None, None
        self._take_part(*opened.result(), messages)
        return True

    def _take_frame(self, flags: int, body: bytearray, messages: list[list[Buffer]]) -> None:
        if self.ready and self._curve is not None:
            self._take_part(*self._curve.open(body, self._curve.number_of(body)), messages)
        elif self.ready:
            self._take_part(memoryview(body), bool(flags & MORE), bool(flags & COMMAND), messages)
        elif flags & COMMAND:
            self._shake_hands(bytes(body))
        else:
            raise ProtocolFailure("it sends before the handshake is done")

    def _take_part(self, body: memoryview, more: bool, is_command: bool, messages: list[list[Buffer]]) -> None:
        """Takes what a frame carries."""
        if is_command:
            if body.nbytes > _HANDSHAKE_BYTES:
                raise ProtocolFailure(f"a command has {body.nbytes} bytes")
            name, content = parse_command(bytes(body))
            if name == b"PING":
                self._say(pong(content))
            return
        self.incoming.add(body)
        if not more:
            messages.append(self.incoming.end())

    def _shake_hands(self, body: bytes) -> None:
        if self._curve is not None:
            try:
                answer = self._curve.answer(body, _PROPERTIES)
            except UnknownKey:
                self.outbox.put([command_frame(refusal())])
                raise
            self.outbox.put([command_frame(answer)])
            self.ready = self._curve.ready
            return
        name, content = parse_command(body)
        if name != b"READY":
            raise ProtocolFailure("the handshake is out of order")
        check_socket_type(content)
        self.outbox.put([command_frame(command(b"READY", metadata(_PROPERTIES)))])
        self.ready = True

    # What is sent

    def _say(self, body: bytes) -> None:
        """Queues a command."""
        if self._curve is None:
            self.outbox.put([command_frame(body)])
            return
        sealed = self._curve.seal(body, self._curve.next_number(), is_command=True)
        self.outbox.put([frame_start(0, len(sealed)), sealed])

    def _sealed(self, curve: Curve, body: bytes | memoryview, more: bool) -> list[bytes | memoryview | Unsealed]:
        """The frame that carries a part, encrypted now, or by another thread where that takes long."""
        number, sealed_bytes = curve.next_number(), len(body) + SEALED_EXTRA_BYTES
        if len(body) <= DIRECT_BYTES:
            return [frame_start(0, sealed_bytes), curve.seal(body, number, more)]
        seal = partial(self._ciphering.begin, partial(curve.seal, body, number, more), len(body))
        return [frame_start(0, sealed_bytes), Unsealed(seal, len(body), sealed_bytes)]

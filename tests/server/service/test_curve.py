# SPDX-License-Identifier: GPL-3.0-or-later
"""CURVE against peers that know the protocol and bend it: who has no known key gets nothing, and nothing is said twice."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import pytest
from nacl.bindings import (
    crypto_box_beforenm,
    crypto_box_easy,
    crypto_box_easy_afternm,
    crypto_box_keypair,
    crypto_box_open_easy,
    crypto_box_open_easy_afternm,
)
from portrait_server.service.sockets.authentication import KeyRing
from portrait_server.service.sockets.ciphering import DIRECT_BYTES, Ciphering
from portrait_server.service.sockets.curve import Curve, UnknownKey
from portrait_server.service.sockets.incoming_message import Allowance
from portrait_server.service.sockets.outbox import Outbox, Unsealed
from portrait_server.service.sockets.peer import Peer
from portrait_server.service.sockets.zmtp import ProtocolFailure
from portrait_shared.protocol.framing import MAX_PARTS
from zmq.utils import z85

from tests.server.service.raw_peer import COMMAND, GREETING, frame

SOCKET_TYPE = b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
LOW_ORDER = [bytes(32), b"\1" + bytes(31), bytes.fromhex("ecffffffffffffffffffffffffffffff" + 15 * "ff" + "7f")]


class CurveClient:
    """A peer of the server's and the client that talks to it, which can be told to do each step wrong."""

    def __init__(self, ring: KeyRing, ciphering: Ciphering, allowance: Allowance | None = None) -> None:
        self.far, near = socket.socketpair()
        near.setblocking(False)
        self.ciphering = ciphering
        self.peer = Peer(near, b"1", ring, allowance or Allowance(1 << 30), ciphering, 0.0)
        self.peer.flush(0.0)
        self.server = z85.decode(ring.server_public_key)
        self.public, self.secret = z85.decode(ring.client_public_key), z85.decode(ring.client_secret_key)
        self.short_public, self.short_secret = crypto_box_keypair()
        self.nonce = 0
        self.welcome = self.cookie = self.shared = b""
        assert self.far.recv(64, socket.MSG_WAITALL)[:10] == GREETING[:10]
        self.far.sendall(GREETING.replace(b"NULL\0", b"CURVE"))

    def close(self) -> None:
        self.peer.close()
        self.far.close()

    def next(self) -> bytes:
        self.nonce += 1
        return struct.pack(">Q", self.nonce)

    def heard(self) -> list[list[bytes]]:
        return [[bytes(part) for part in parts] for parts in self.peer.take(0.0)]

    def push(self, data: bytes) -> list[list[bytes]]:
        """Sends all of the data and takes what the peer makes of it."""
        self.far.setblocking(False)
        messages, rest = [], memoryview(data)
        while rest or self.peer.backlog or self.peer.opening:
            with contextlib.suppress(BlockingIOError):
                rest = rest[self.far.send(rest) :] if rest else rest
            if self.peer.opening:
                select.select([self.ciphering.reader], [], [])
                self.ciphering.clear()
            messages += self.heard()
        self.far.setblocking(True)
        return messages

    def say_hello(self, short_public: bytes | None = None, server: bytes | None = None) -> None:
        nonce = self.next()
        box = crypto_box_easy(bytes(64), b"CurveZMQHELLO---" + nonce, server or self.server, self.short_secret)
        content = b"\1\0" + bytes(72) + (short_public or self.short_public) + nonce + box
        self.far.sendall(frame(b"\5HELLO" + content, COMMAND))
        self.heard()
        self.peer.flush(0.0)

    def read_welcome(self) -> None:
        body = self.read_frame()
        assert body[:8] == b"\7WELCOME"
        self.welcome = crypto_box_open_easy(body[24:], b"WELCOME-" + body[8:24], self.server, self.short_secret)
        self.cookie = self.welcome[32:]
        self.shared = crypto_box_beforenm(self.welcome[:32], self.short_secret)

    def read_frame(self) -> bytes:
        flags, length = self.far.recv(2, socket.MSG_WAITALL)
        if flags & 2:
            length = struct.unpack(">Q", bytes((length,)) + self.far.recv(7, socket.MSG_WAITALL))[0]
        return self.far.recv(length, socket.MSG_WAITALL)

    def initiate(
        self, *, cookie: bytes | None = None, vouch_for: bytes | None = None, vouch_server: bytes | None = None,
        public: bytes | None = None, metadata: bytes = SOCKET_TYPE, nonce: bytes | None = None,
    ) -> bytes:  # fmt: skip
        vouched = (vouch_for or self.short_public) + (vouch_server or self.server)
        vouch_nonce = os.urandom(16)
        vouch = crypto_box_easy(vouched, b"VOUCH---" + vouch_nonce, self.welcome[:32], self.secret)
        plain = (public or self.public) + vouch_nonce + vouch + metadata
        nonce = nonce or self.next()
        box = crypto_box_easy_afternm(plain, b"CurveZMQINITIATE" + nonce, self.shared)
        return frame(b"\x08INITIATE" + (cookie or self.cookie) + nonce + box, COMMAND)

    def let_in(self) -> None:
        self.say_hello()
        self.read_welcome()
        self.far.sendall(self.initiate())
        self.heard()
        self.peer.flush(0.0)
        assert self.read_frame()[:6] == b"\5READY" and self.peer.ready

    def sealed(self, part: bytes, flags: int = 0, nonce: bytes | None = None) -> bytes:
        nonce = nonce or self.next()
        box = crypto_box_easy_afternm(bytes((flags,)) + part, b"CurveZMQMESSAGEC" + nonce, self.shared)
        return frame(b"\7MESSAGE" + nonce + box)

    def read_sealed(self) -> tuple[int, bytes]:
        """A frame's number, and its flags and content."""
        body = self.read_frame()
        assert body[:8] == b"\7MESSAGE"
        plain = crypto_box_open_easy_afternm(body[16:], b"CurveZMQMESSAGES" + body[8:16], self.shared)
        return struct.unpack(">Q", body[8:16])[0], plain


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    return KeyRing.new()


@pytest.fixture(scope="module")
def ciphering() -> Iterator[Ciphering]:
    ciphering = Ciphering()
    yield ciphering
    ciphering.close()


@pytest.fixture
def client(ring: KeyRing, ciphering: Ciphering) -> Iterator[CurveClient]:
    client = CurveClient(ring, ciphering)
    yield client
    client.close()


def test_a_known_key_comes_in_and_is_understood(client: CurveClient) -> None:
    client.let_in()
    assert client.push(client.sealed(b"a", 1) + client.sealed(b"") + client.sealed(b"\4PING\0\0me", 2)) == [[b"a", b""]]
    client.peer.flush(0.0)
    assert client.read_sealed() == (2, b"\2\4PONGme")


def test_frames_of_every_size_are_put_together_and_sent_in_order(client: CurveClient, ciphering: Ciphering) -> None:
    client.let_in()
    sizes = [0, 1, 300, 70_000, DIRECT_BYTES, 2 * DIRECT_BYTES, 5, 3 * DIRECT_BYTES, 9]
    parts = [np.random.default_rng(size).bytes(size) for size in sizes]
    data = b"".join(client.sealed(part, 1) + client.sealed(b"end") for part in parts)
    assert client.push(data) == [[part, b"end"] for part in parts]
    for part in parts:
        client.peer.send([part, b"end"], 0.0)
        client.peer.send_ping(0.0)
    client.far.settimeout(None)
    numbers, plains = [], []
    got = bytearray()
    client.far.setblocking(False)
    while client.peer.outbox or len(plains) < 3 * len(parts):
        client.peer.flush(0.0)
        with contextlib.suppress(BlockingIOError):
            got += client.far.recv(1 << 20)
        while len(got) >= 9:
            head, length = (9, struct.unpack_from(">Q", got, 1)[0]) if got[0] & 2 else (2, got[1])
            if len(got) < head + length:
                break
            body = bytes(got[head : head + length])
            del got[: head + length]
            numbers.append(struct.unpack(">Q", body[8:16])[0])
            plains.append(crypto_box_open_easy_afternm(body[16:], b"CurveZMQMESSAGES" + body[8:16], client.shared))
        if client.peer.outbox and not client.peer.outbox.sendable:
            select.select([ciphering.reader], [], [])
            ciphering.clear()
    assert numbers == sorted(set(numbers))
    assert plains == [plain for part in parts for plain in (b"\1" + part, b"\0end", b"\2\4PING\0\0")]
    assert client.peer.outbox.queued_bytes == 0


@pytest.mark.parametrize("point", LOW_ORDER)
def test_keys_that_hide_nothing_are_refused(client: CurveClient, point: bytes) -> None:
    with pytest.raises(ProtocolFailure):
        client.say_hello(short_public=point)


def test_another_servers_hello_is_refused(client: CurveClient) -> None:
    with pytest.raises(ProtocolFailure):
        client.say_hello(server=crypto_box_keypair()[0])


@pytest.mark.parametrize("wrong", ["cookie", "vouch_for", "vouch_server", "public", "metadata", "nonce", "short"])
def test_who_cannot_vouch_is_refused(client: CurveClient, wrong: str) -> None:
    client.say_hello()
    client.read_welcome()
    values = {
        "cookie": bytes(96), "vouch_for": crypto_box_keypair()[0], "vouch_server": crypto_box_keypair()[0],
        "public": crypto_box_keypair()[0], "metadata": SOCKET_TYPE[:-3], "nonce": struct.pack(">Q", 1),
    }  # fmt: skip
    said = client.initiate(**{wrong: values[wrong]}) if wrong in values else frame(b"\x08INITIATE" + client.cookie, 4)
    client.far.sendall(said)
    with pytest.raises(ProtocolFailure):
        client.heard()
    assert not client.peer.ready


def test_a_known_public_key_alone_lets_nobody_in(ring: KeyRing, ciphering: Ciphering) -> None:
    client = CurveClient(ring, ciphering)
    client.secret = crypto_box_keypair()[1]
    client.say_hello()
    client.read_welcome()
    client.far.sendall(client.initiate())
    with pytest.raises(ProtocolFailure, match="does not open"):
        client.heard()
    client.close()


def test_a_stranger_is_told_so_once(ring: KeyRing, ciphering: Ciphering) -> None:
    client = CurveClient(ring, ciphering)
    client.public, client.secret = crypto_box_keypair()
    client.say_hello()
    client.read_welcome()
    client.far.sendall(client.initiate())
    with pytest.raises(UnknownKey):
        client.heard()
    client.peer.flush(0.0)
    assert client.read_frame() == b"\5ERROR\x03400" and not client.peer.ready
    client.close()


def test_one_handshake_serves_no_second_connection(ring: KeyRing, ciphering: Ciphering, client: CurveClient) -> None:
    client.say_hello()
    client.read_welcome()
    said = client.initiate()
    other = CurveClient(ring, ciphering)
    other.short_public, other.short_secret = client.short_public, client.short_secret
    other.say_hello()
    other.far.sendall(said)
    with pytest.raises(ProtocolFailure, match="cookie"):
        other.heard()
    other.close()


@pytest.mark.parametrize("what", ["twice", "plain", "altered", "backwards", "short", "hello", "large command"])
def test_after_the_handshake_nothing_passes_unsealed_or_twice(client: CurveClient, what: str) -> None:
    client.let_in()
    one, two = client.sealed(b"one"), client.sealed(b"two")
    assert client.push(one) == [[b"one"]]
    altered = bytearray(two)
    altered[-1] ^= 1
    wrong = {
        "twice": one, "plain": frame(b"plain"), "altered": bytes(altered), "short": frame(b"\7MESSAGE" + bytes(20)),
        "backwards": client.sealed(b"late", nonce=struct.pack(">Q", 1)), "hello": frame(b"\5HELLO" + bytes(194), 4),
        "large command": client.sealed(b"\4PING" + bytes(5000), 2),
    }  # fmt: skip
    with pytest.raises(ProtocolFailure):
        client.push(wrong[what])


@pytest.mark.parametrize("size", [100, 2 * DIRECT_BYTES])
def test_an_altered_frame_is_refused_whoever_opens_it(client: CurveClient, size: int) -> None:
    client.let_in()
    altered = bytearray(client.sealed(bytes(size)))
    altered[-1] ^= 1
    with pytest.raises(ProtocolFailure, match="does not open"):
        client.push(bytes(altered))


def test_a_connection_that_closes_while_a_frame_is_opened_takes_no_memory(ring: KeyRing, ciphering: Ciphering) -> None:
    allowance = Allowance(1 << 30)
    client = CurveClient(ring, ciphering, allowance)
    client.let_in()
    body = client.sealed(bytes(2 * DIRECT_BYTES))
    client.far.setblocking(False)
    rest = memoryview(body)
    while not client.peer.opening:
        with contextlib.suppress(BlockingIOError):
            rest = rest[client.far.send(rest) :] if rest else rest
        client.peer.take(0.0)
    assert allowance.held == len(body) - 9
    client.close()
    assert allowance.held == 0


def test_parts_without_end_keep_no_others_from_their_memory(ring: KeyRing, ciphering: Ciphering) -> None:
    allowance = Allowance((MAX_PARTS + 1) * 900_000 + 500_000)
    client = CurveClient(ring, ciphering, allowance)
    client.let_in()
    for _ in range(3 * MAX_PARTS):
        assert client.push(client.sealed(bytes(900_000), 1)) == [] and not client.peer.waits
    assert allowance.held == 0 and client.push(client.sealed(b"end")) == [[]]
    client.close()


def test_frames_that_wait_are_held_once_and_the_next_ones_twice() -> None:
    far, near = socket.socketpair()
    near.setblocking(False)
    outbox = Outbox(near, 0.0)
    size, begun = 1_000_000, []

    def unsealed() -> Unsealed:
        future: Future[memoryview] = Future()
        return Unsealed(lambda: begun.append(future) or future, size, size + 33)

    for _ in range(5):
        outbox.put([b"head", unsealed()])
    assert outbox.queued_bytes == 5 * (4 + size + 256)
    outbox.flush(1.0)
    assert len(begun) == 2 and not outbox.sendable
    waiting = outbox.queued_bytes
    assert waiting == pytest.approx(7 * size, rel=0.01)
    begun[1].set_result(memoryview(bytes(size + 33)))
    outbox.flush(2.0)
    assert not outbox.sendable and outbox.moved == 2.0  # what comes first is sent first
    begun[0].set_result(memoryview(bytes(size + 33)))
    outbox.flush(3.0)
    assert outbox.sendable and outbox.queued_bytes < waiting - size
    far.close()
    outbox.flush(4.0)
    assert outbox.broken and outbox.queued_bytes == 0


def test_a_frame_for_which_there_is_no_memory_ends_its_connection() -> None:
    far, near = socket.socketpair()
    near.setblocking(False)
    outbox = Outbox(near, 0.0)
    future: Future[memoryview] = Future()
    future.set_exception(MemoryError())
    outbox.put([Unsealed(lambda: future, 10, 43)])
    outbox.flush(0.0)
    outbox.flush(0.0)
    assert outbox.broken and not outbox
    far.close()
    near.close()


def test_what_is_sealed_in_place_is_what_libsodium_seals(ring: KeyRing) -> None:
    curve = Curve(ring)
    curve._shared = os.urandom(32)
    for part in (b"", b"x", np.arange(70_000, dtype=np.uint8)):
        body = bytes(curve.seal(part, number := curve.next_number(), more=True))
        plain = b"\1" + bytes(part)
        assert body[:16] == b"\7MESSAGE" + number
        assert body[16:] == crypto_box_easy_afternm(plain, b"CurveZMQMESSAGES" + number, curve._shared)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that do what no client does: they harm nobody else, and take no memory and no descriptors beyond their share."""

from __future__ import annotations

import contextlib
import random
import shlex
import socket
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from portrait_server.service.sockets.authentication import KeyRing
from portrait_server.service.sockets.ciphering import Ciphering
from portrait_server.service.sockets.door import Door, Gone
from portrait_server.service.sockets.endpoints import Endpoint
from portrait_server.service.sockets.incoming_message import Allowance
from portrait_server.service.sockets.peer import TURN_MESSAGES, TURN_STEPS, Peer
from portrait_server.service.sockets.zmtp import ProtocolFailure
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.framing import MAX_PARTS, pack
from portrait_shared.protocol.messages import Echo, Echoed, Error, Hello, RenderedFrame, decode
from portrait_shared.protocol.references import ReferenceImage
from skimage.data import astronaut

from tests.server.conftest import COMMAND
from tests.server.service.raw_peer import GREETING, MORE, PING, READY, connected, frame, greeted
from tests.waiting import PATIENCE_SECONDS

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets or POSIX limits")
ECHO = frame(pack("echo", 3, {}))


class Pair:
    """A peer of the server's, and the other end of its connection."""

    def __init__(self, allowance: Allowance | None = None, said: bytes = GREETING + READY) -> None:
        self.far, near = socket.socketpair()
        self.far.setblocking(False)
        near.setblocking(False)
        self.peer = Peer(near, b"1", None, allowance or Allowance(1 << 30), Ciphering(), 0.0)
        self.far.send(said)

    def take(self) -> list[list[bytes]]:
        return [[bytes(part) for part in parts] for parts in self.peer.take(0.0)]

    def push(self, data: bytes) -> list[list[bytes]]:
        """Sends all of the data and takes what the peer makes of it."""
        messages, rest = [], memoryview(data)
        while rest:
            with contextlib.suppress(BlockingIOError):
                rest = rest[self.far.send(rest) :]
            messages += self.take()
        while self.peer.backlog:
            messages += self.take()
        return messages


def first_heard(door: Door) -> bytes:
    while True:
        if heard := list(door.wait(1.0)):
            return heard[0][0]


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.peer.close()
    pair.far.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(Endpoint(f"ipc://{tmp_path}/s"), None, connections=20, queued_bytes=100_000)
    yield door
    door.close(0.0)


@posix_only
def test_a_burst_with_pings_and_a_close_ends_no_server(test_engines_alone: None, server: ServerProcess) -> None:
    server.start()
    pid = server.pid
    with Client(server.connection) as bystander:
        for _ in range(200):  # one of some hundred ended a server that left this to libzmq
            with greeted(server.connection.address) as peer, contextlib.suppress(OSError):
                peer.sendall((ECHO * 70 + PING) * 3)
        assert bystander.echo(through_engine=True) > 0
    assert server.alive and server.pid == pid


@posix_only
def test_clients_with_short_heartbeats_that_come_and_go_end_no_server(
    test_engines_alone: None, server: ServerProcess
) -> None:
    server.start()
    context = zmq.Context()

    def come_and_go(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            with context.socket(zmq.DEALER) as peer:
                peer.linger = chance.choice((0, 20))
                peer.setsockopt(zmq.HEARTBEAT_IVL, 1)
                peer.connect(server.connection.address)
                for number in range(chance.randrange(1, 300)):
                    peer.send_multipart(Echo(number + 2).encode())

    threads = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    context.destroy(linger=0)
    with Client(server.connection) as bystander:
        assert bystander.echo() > 0
    assert server.alive


def test_frames_are_put_together_however_they_are_cut(pair: Pair) -> None:
    large = bytes(range(256)) * 1000
    data = frame(b"head", MORE) + frame(large) + PING + frame(b"", MORE) + frame(b"x" * 300)
    wanted = [[b"head", large], [b"", b"x" * 300]]
    assert pair.push(data) == wanted
    chance = random.Random(1)
    for _ in range(5):
        cuts = sorted(chance.randrange(len(data)) for _ in range(12))
        got = []
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            got += pair.push(data[start:end])
        assert got == wanted


def test_a_ping_is_answered_with_its_context(pair: Pair) -> None:
    pair.take()
    pair.peer.flush(0.0)
    pair.far.recv(4096)
    pair.push(PING)
    pair.peer.flush(0.0)
    assert pair.far.recv(4096) == frame(b"\x04PONGcontext", 4)


@pytest.mark.parametrize("size", [10, 60_000, 200_000])
def test_a_message_whose_parts_never_end_takes_no_memory(pair: Pair, size: int) -> None:
    assert pair.push(frame(b"begin")) == [[b"begin"]]
    part = frame(b"x" * size, MORE)
    tracemalloc.start()
    for _ in range(max(60, 20_000_000 // size // (100 if size == 10 else 1))):
        assert pair.push(part) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (MAX_PARTS + 4) * max(size, 100_000)
    assert pair.push(frame(b"end") + frame(b"next")) == [[], [b"next"]]


def test_one_large_message_waits_until_another_has_let_go_of_the_memory() -> None:
    allowance = Allowance(1_500_000)
    one, other = Pair(allowance), Pair(allowance)
    body = frame(bytes(1_000_000))
    assert one.push(body[:500_000]) == [] and allowance.held == 1_000_000
    other.far.send(body[:1000])
    assert other.take() == [] and other.peer.waits
    assert len(one.push(body[500_000:])) == 1 and allowance.held == 0
    assert len(other.push(body[1000:])) == 1 and not other.peer.waits
    assert one.peer.incoming.since is None and other.peer.incoming.since is None
    assert one.push(body[:500_000]) == []
    one.peer.close()
    assert allowance.held == 0


def test_a_turn_is_some_messages_and_the_rest_is_not_lost(pair: Pair) -> None:
    pair.take()
    pair.far.send(ECHO * (TURN_MESSAGES + 5))
    assert len(pair.take()) == TURN_MESSAGES and pair.peer.backlog
    assert len(pair.take()) == 5 and not pair.peer.backlog


@pytest.mark.parametrize("tiny", [frame(b"", MORE), PING], ids=["parts", "commands"])
def test_a_turn_is_not_longer_for_frames_that_are_no_message(pair: Pair, tiny: bytes) -> None:
    pair.take()
    count = 2 * TURN_STEPS + 5
    pair.far.send(tiny * count + ECHO)
    turns = [pair.take()]
    while pair.peer.backlog:
        turns.append(pair.take())
    assert len(turns) == 3 and len(turns[2]) == 1 and turns[:2] == [[], []]


@posix_only
def test_who_asks_for_signs_of_life_and_reads_none_is_let_go(door: Door) -> None:
    peer = greeted(door.address)
    peer.setblocking(False)
    departed: list[bytes] = []
    while not departed:
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            peer.send(PING * 1000)
        list(door.wait(0.0))
        departed = door.departed()
        door._next_look = 0.0  # time passes
    peer.close()


@posix_only
def test_who_reads_least_goes_where_all_wait_for_too_much(tmp_path: Path) -> None:
    door = Door(Endpoint(f"ipc://{tmp_path}/t"), None, all_queued_bytes=4_000_000)
    peers, routings = [greeted(door.address), greeted(door.address)], []
    for peer in peers:
        peer.sendall(ECHO)
        routings.append(first_heard(door))
    for routing, size in zip(routings, (1_500_000, 3_500_000), strict=True):
        door.send(routing, RenderedFrame(1, 1, "0" * 64, bytes(size)))
    door._next_look = 0.0
    list(door.wait(0.0))
    assert door.departed() == [routings[1]]
    door.send(routings[0], Echoed(1))
    for peer in peers:
        peer.close()
    door.close(0.0)


@posix_only
def test_parts_that_wait_for_the_rest_of_their_message_make_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait_server.service.sockets.door.MAX_BODY_BYTES", 0)
    door = Door(Endpoint(f"ipc://{tmp_path}/t"), None, arriving_bytes=300_000)
    keeps, waits = greeted(door.address), greeted(door.address)
    keeps.sendall(ECHO + frame(bytes(200_000), MORE))
    first = first_heard(door)
    waits.sendall(ECHO)
    first_heard(door)
    keeper = door._peers[first]
    while keeper.incoming.since is None or keeper._filled < 200_000:
        list(door.wait(1.0))
    waits.sendall(frame(bytes(200_000))[:150_000])
    while not any(peer.waits for peer in door._peers.values()):
        list(door.wait(1.0))
    keeper.incoming.since -= 3600.0  # time passes
    door._next_look = 0.0
    list(door.wait(0.0))
    assert door.departed() == [first]
    waits.sendall(frame(bytes(200_000))[150_000:])
    assert first_heard(door) != first
    for peer in (keeps, waits):
        peer.close()
    door.close(0.0)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        GREETING.replace(b"NULL", b"PLAI"),
        GREETING[:10] + b"\x01" + GREETING[11:],
        GREETING + frame(b"a message"),
        GREETING + frame(b"\x05READY\x0bSocket-Type\0\0\0\x03PUB", 4),
        GREETING + frame(b"\x05READY\x0bSocket-Type\xff\xff\xff\xff", 4),
        GREETING + frame(b"\xffREADY", 4),
        GREETING + READY + b"\xf0\0",
        GREETING + READY + b"\x02\xff\xff\xff\xff\xff\xff\xff\xff",
        GREETING + b"\x06\0\0\0\0\0\0\xff\xff",
        GREETING + READY + b"\x06\0\0\0\0\0\1\0\1",
        GREETING + READY + frame(b"\x04PING" + bytes(5000), 4),
    ],
)
def test_who_breaks_the_rules_is_let_go(said: bytes) -> None:
    pair = Pair(said=said)
    with pytest.raises(ProtocolFailure):
        pair.take()


def test_garbage_on_an_encrypted_connection_is_let_go() -> None:
    ring, chance, ciphering = KeyRing.new(), random.Random(3), Ciphering()
    start = GREETING.replace(b"NULL\0", b"CURVE")
    for number in range(200):
        far, near = socket.socketpair()
        near.setblocking(False)
        peer = Peer(near, b"1", ring, Allowance(1 << 30), ciphering, 0.0)
        name = chance.choice((b"\x05HELLO\x01\0", b"\x08INITIATE", b"\x07MESSAGE", b"\x05READY"))
        size = 200 if number % 2 else chance.randrange(20, 300)
        far.send(start + frame(name + chance.randbytes(size - len(name)), 4))
        with pytest.raises(ProtocolFailure):
            peer.take(0.0)
        assert not peer.ready
        far.close()
        peer.close()


@posix_only
def test_silent_connections_make_room_and_known_clients_stay(door: Door) -> None:
    stays = greeted(door.address)
    stays.sendall(frame(Hello(1, "stays", "0").encode()[0]))
    routing = first_heard(door)
    door.welcome(routing)
    silent = [connected(door.address) for _ in range(60)]
    late = greeted(door.address)
    late.sendall(ECHO)
    seen = [who for _ in range(10) for who, _ in door.wait(0.05)]
    assert len(seen) == 1 and seen[0] != routing
    assert len(door.departed()) == 42 and door.queued_bytes(routing) == 0
    door.send(routing, Echoed(1))
    door.send(seen[0], Echoed(1))
    for peer in (stays, late, *silent):
        peer.close()


@posix_only
def test_who_reads_nothing_is_let_go(door: Door) -> None:
    peer = greeted(door.address)
    peer.sendall(ECHO)
    routing = first_heard(door)
    with pytest.raises(Gone):
        for number in range(100_000):
            door.send(routing, Echoed(number))
    assert door.departed() == [routing]
    with pytest.raises(Gone):
        door.send(routing, Echoed(1))
    peer.close()


@posix_only
def test_what_was_said_before_leaving_is_heard(door: Door) -> None:
    peer = greeted(door.address)
    peer.sendall(ECHO * 200)
    peer.close()
    heard = departed = 0
    while not departed:
        heard += sum(1 for _ in door.wait(1.0))
        departed = len(door.departed())
    assert heard == 200


@posix_only
def test_more_connections_than_descriptors_leave_the_server_at_work(tmp_path: Path) -> None:
    limited = ["sh", "-c", f'ulimit -n 200; exec {shlex.join(COMMAND)} "$@"', "sh"]
    server = ServerProcess(limited, device="cpu")
    server.start()
    try:
        with Client(server.connection) as client:
            client.connect()
            silent = []
            for _ in range(400):
                with contextlib.suppress(OSError):
                    silent.append(connected(server.connection.address))
            photo = astronaut()[:400:2, 100:400:2].copy()
            portrait = client.prepare([ReferenceImage(photo)])  # opens models, and what the engine needs
            assert len(list(client.render(portrait, portrait.points[np.newaxis], [1]))) == 1
            for peer in silent:
                peer.close()
        assert server.alive
    finally:
        server.stop()


@posix_only
def test_a_message_of_too_many_parts_is_refused_in_words(shared_server: ServerProcess) -> None:
    context = zmq.Context()
    peer = context.socket(zmq.DEALER)
    peer.connect(shared_server.connection.address)
    peer.send_multipart([b"part"] * 50)
    assert peer.poll(1000 * PATIENCE_SECONDS)
    answer = decode(peer.recv_multipart())
    assert isinstance(answer, Error) and answer.code == "bad_message" and "more parts" in answer.message
    context.destroy(linger=0)

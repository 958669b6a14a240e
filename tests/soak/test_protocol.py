# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that no client of ours would send: decoded or refused here, and survived by a real server."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.framing import PROTOCOL_VERSION
from portrait_shared.protocol.message import TYPES, Message, decode
from portrait_shared.protocol.messages import Cancel, Credit, Echo, Hello, OfferPersonal, OfferReference, Render
from portrait_shared.protocol.references import ReferenceImage

from tests.soak.mutations import ROUNDS, SEED, damaged

COMMAND = [sys.executable, str(Path(__file__).parents[1] / "server" / "serve_with_test_engines.py")]
ALLOWED = (ErrorCode.BAD_MESSAGE, ErrorCode.VERSION_MISMATCH)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=80) | st.binary(max_size=80),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8) | st.binary(max_size=8), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


def refused_or_read(parts: list[bytes]) -> None:
    try:
        message = decode(parts)
    except PortraitError as error:
        assert error.code in ALLOWED and len(str(error)) < 1000
    else:
        assert isinstance(message, Message)


@seed(SEED)
@settings(max_examples=5 * ROUNDS, deadline=None, database=None)
@given(
    kind=st.sampled_from(sorted(TYPES)),
    request=values,
    buffers=st.lists(st.binary(max_size=64), max_size=4),
    data=st.data(),
)
def test_headers_of_any_fields(kind: str, request: object, buffers: list[bytes], data: st.DataObject) -> None:
    names = [name for name in TYPES[kind].__dataclass_fields__ if name != "request"]
    fields = {name: data.draw(values) for name in names if data.draw(st.booleans())} | data.draw(
        st.dictionaries(st.text(max_size=8), values, max_size=1)
    )
    request = request if data.draw(st.booleans()) else 3
    refused_or_read([msgpack.packb({"v": PROTOCOL_VERSION, "t": kind, "id": request, **fields}), *buffers])


@seed(SEED)
@settings(max_examples=5 * ROUNDS, deadline=None, database=None)
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_parts_of_any_bytes(parts: list[bytes]) -> None:
    refused_or_read(parts)


def sound_messages() -> list[list[bytes]]:
    points = np.zeros((2, 70, 3), np.float32)
    messages: list[Message] = [
        Hello(1, "a client", "1"), Echo(2, True), Cancel(3, 2), Credit(4, 2, 3), OfferPersonal(5, "a" * 64),
        OfferReference(6, "b" * 64, (8, 8), np.zeros((8, 8, 3), np.uint8)),
        Render(7, "c" * 64, (8, 8), False, "raw", 4, np.array([1, 2], "<i4"), points),
    ]  # fmt: skip
    return [[bytes(part) for part in message.encode()] for message in messages]


def test_damaged_messages() -> None:
    for number, parts in enumerate(sound_messages()):
        decode(parts)
        for place in range(len(parts)):
            for content in damaged(parts[place], f"message {number} {place}"):
                refused_or_read([*parts[:place], content, *parts[place + 1 :]])


def test_deep_headers() -> None:
    for head in (b"\x91", b"\x81\xa1a", b"\xdd\0\0\0\x01", b"\xc7\x08\xff"):
        refused_or_read([head * (60_000 // len(head))])


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    process = ServerProcess(COMMAND, device="cpu")
    process.start()
    yield process
    process.stop()


def paint(client: Client) -> list[bytes]:
    """What a client that behaves gets drawn."""
    points = np.full((12, 70, 3), 16, np.float32)
    points[:, 0, 0] = np.arange(12)
    points[:, 0, 1] = 0
    photo = ReferenceImage(np.full((32, 32, 3), 10, np.uint8), points[0])
    portrait = client.prepare([photo], engine="paint")
    frames = client.render(portrait, points, range(12), encoding="raw")
    return [bytes(frame.data) for frame in frames]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
def test_a_server_among_hostile_clients_serves_the_others(server: ServerProcess) -> None:
    """Damaged messages on standing connections, bytes that are no ZMTP, and connections that come and go."""
    chance = random.Random(SEED)
    address = server.connection.address
    context = zmq.Context()
    with Client(server.connection) as client:
        wanted = paint(client)
        pid = server.pid
        for turn in range(max(1, ROUNDS // 10)):
            peers = [context.socket(zmq.DEALER) for _ in range(3)]
            for number, peer in enumerate(peers):
                peer.linger = 0
                peer.connect(address)
                for parts in chance.sample(sound_messages(), 5):
                    place = chance.randrange(len(parts))
                    for content in damaged(parts[place], f"hostile {turn} {number}", 10):
                        peer.send_multipart([*parts[:place], content, *parts[place + 1 :]], zmq.DONTWAIT)
            for _ in range(10):
                with socket.socket(socket.AF_UNIX) as stranger:
                    stranger.connect(address.removeprefix("ipc://"))
                    try:
                        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
                        stranger.sendall(chance.choice((b"", greeting)) + chance.randbytes(chance.randrange(200)))
                    except (BrokenPipeError, ConnectionResetError):
                        continue  # the server has had enough of it
            assert paint(client) == wanted
            for peer in peers:
                peer.close()
    context.term()
    assert server.alive and server.pid == pid

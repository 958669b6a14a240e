# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in and who does not; what a server makes of garbage."""

from __future__ import annotations

import dataclasses
import json
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import numpy as np
import pytest
import zmq
from portrait_server.cli import main
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.service.sockets.authentication import KeyRing, write_new_keys
from portrait_server.service.sockets.endpoints import choose_endpoint
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess, find_server
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.framing import MAX_HEADER_BYTES, PROTOCOL_VERSION, pack, unpack
from portrait_shared.protocol.messages import (
    Cancel,
    Credit,
    Detect,
    Echo,
    Error,
    Hello,
    Message,
    OfferPersonal,
    OfferReference,
    Prepare,
    ReadPicture,
    Render,
    SignSequence,
    Tune,
    decode,
)
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage
from skimage.data import astronaut

from tests.waiting import PATIENCE_SECONDS, wait_until

Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]
Serve = Callable[..., subprocess.Popen[bytes]]
FUZZ_MESSAGES = 12_000


@pytest.fixture
def context() -> Iterator[zmq.Context]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def tcp_connection(test_engines_alone: None, serve: Serve, tmp_path: Path) -> Connection:
    file = tmp_path / "tcp.json"
    serve("--connection-file", file, "--bind", "tcp://127.0.0.1:0", wait_for=file)
    return Connection.load(file)


def dealer(context: zmq.Context, address: str) -> zmq.Socket:
    peer = context.socket(zmq.DEALER)
    peer.linger = 0
    peer.connect(address)
    return peer


def test_over_tcp_the_keys_of_the_connection_file_let_in(tcp_connection: Connection, paint: Paint) -> None:
    assert tcp_connection.address.startswith("tcp://127.0.0.1:") and tcp_connection.client_secret_key
    assert tcp_connection.client_secret_key not in repr(tcp_connection)
    with Client(tcp_connection) as client:
        portrait, points = paint(client)
        assert len(list(client.render(portrait, points, range(20), encoding="raw"))) == 20


def test_over_tcp_nobody_else_gets_anything(tcp_connection: Connection, context: zmq.Context) -> None:
    hello = Hello(1, "stranger", "0").encode()
    plain = dealer(context, tcp_connection.address)
    plain.send_multipart(hello)
    strange = context.socket(zmq.DEALER)
    public, secret = zmq.curve_keypair()
    strange.curve_publickey, strange.curve_secretkey = public, secret
    strange.curve_serverkey = tcp_connection.server_public_key.encode()
    strange.connect(tcp_connection.address)
    strange.send_multipart(hello)
    with Client(tcp_connection) as client:
        assert client.echo() > 0  # the server answers those whom it knows
    assert not plain.poll(1000) and not strange.poll(1000)
    stranger = Connection(
        tcp_connection.address, 1, "0", 1, tcp_connection.server_public_key, public.decode(), secret.decode()
    )
    with pytest.raises(PortraitError) as caught, Client(stranger) as client:
        client.connect()
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://[::]:0", "tcp://192.0.2.1:5555"])
def test_other_machines_need_keys(serve: Serve, tmp_path: Path, address: str) -> None:
    process = serve("--connection-file", tmp_path / "connection.json", "--bind", address)
    output = process.communicate(timeout=PATIENCE_SECONDS)[0].decode()
    assert process.returncode == 1 and ("needs keys" in output or "not an address" in output)
    assert not (tmp_path / "connection.json").exists()


@pytest.mark.usefixtures("test_engines_alone")
def test_made_keys_let_another_machines_client_in(serve: Serve, tmp_path: Path) -> None:
    keys, file, elsewhere = (tmp_path / name for name in ("studio.json", "connection.json", "studio.client.json"))
    maker = serve("--new-keys", keys, "--bind", "tcp://127.0.0.1:5555")
    assert maker.wait(PATIENCE_SECONDS) == 0
    serve("--connection-file", file, "--bind", "tcp://0.0.0.0:0", "--keys", keys, wait_for=file)
    made = Connection.load(elsewhere)
    assert made.address == "tcp://127.0.0.1:5555"
    dataclasses.replace(made, address=Connection.load(file).address).save(elsewhere)  # a port that is free here
    for way in (elsewhere, file):
        assert find_server(way) is not None
        with Client(Connection.load(way)) as client:
            assert client.echo() > 0
    assert (keys.stat().st_mode & 0o077) == 0


@pytest.mark.parametrize(
    "address", ["studio", "ipc:///tmp/x", "tcp://0.0.0.0:5555", "tcp://*:5555", "tcp://[::]:5555", "tcp://10.0.0.7:0",
                "tcp://10.0.0.7:*", "tcp://10.0.0.7:99999"]
)  # fmt: skip
def test_no_keys_are_made_for_where_no_client_gets_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert main(["serve", "--new-keys", str(tmp_path / "studio.json"), "--bind", address]) == 1
    assert address in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_port_that_is_none_is_not_taken_for_another() -> None:
    with pytest.raises(PortraitError, match="not an address") as caught:
        choose_endpoint("tcp://127.0.0.1:65536", Path("connection.json"))
    assert caught.value.code == ErrorCode.NOT_ALLOWED
    assert choose_endpoint("tcp://127.0.0.1:65535", Path("connection.json")).loopback


def test_keys_are_made_for_both_ends_or_for_none(tmp_path: Path) -> None:
    (tmp_path / "studio.client.json").mkdir()
    with pytest.raises(PortraitError, match=r"studio\.client\.json") as caught:
        write_new_keys(tmp_path / "studio.json", "tcp://127.0.0.1:5")
    assert caught.value.code == ErrorCode.OUTPUT_NOT_WRITABLE
    assert [path.name for path in tmp_path.iterdir()] == ["studio.client.json"]


def test_keys_that_others_can_read_or_that_are_none_are_refused(tmp_path: Path) -> None:
    keys = tmp_path / "studio.json"
    write_new_keys(keys, "tcp://127.0.0.1:5")
    content = keys.read_text()
    public = json.loads(content)["client_public_keys"][0]
    for bad in ({"client_public_keys": ["#" * 40]}, {"client_public_keys": [" " * 40]}, {"server_public_key": public}):
        keys.write_text(json.dumps(json.loads(content) | bad))
        with pytest.raises(PortraitError, match="not a file of keys") as caught:
            KeyRing.load(keys)
        assert caught.value.code == ErrorCode.NOT_ALLOWED
    keys.write_text(content)
    assert KeyRing.load(keys).server_public_key == json.loads(content)["server_public_key"]
    if sys.platform != "win32":
        keys.chmod(0o644)
        with pytest.raises(PortraitError, match="not this user's alone"):
            KeyRing.load(keys)


def test_a_client_of_another_version_is_told_so(shared_server: ServerProcess, context: zmq.Context) -> None:
    peer = dealer(context, shared_server.connection.address)
    peer.send_multipart([pack("hello", 7, {"anything": "of the future"}, version=99)])
    assert peer.poll(1000 * PATIENCE_SECONDS)
    answer = decode(peer.recv_multipart())
    assert isinstance(answer, Error) and answer.code == "version_mismatch" and answer.request == 7
    assert "99" in answer.message and answer.remedy


def test_a_server_of_another_version_is_refused_with_a_remedy(context: zmq.Context, tmp_path: Path) -> None:
    router = context.socket(zmq.ROUTER)
    address = f"ipc://{tmp_path}/socket"
    router.bind(address)
    with Client(Connection(address, 99, "9.0", 1)) as client:
        answer = pack("welcome", 1, {"new": 1}, version=99)

        def reply() -> None:
            routing, *_ = router.recv_multipart()
            router.send_multipart([routing, answer])

        with pytest.raises(PortraitError, match="protocol version 99") as caught:
            while not client.link.step(0.05):
                if router.poll(0):
                    reply()
    assert caught.value.code == ErrorCode.VERSION_MISMATCH and "Update" in caught.value.remedy


def test_a_message_without_a_hello_is_refused(shared_server: ServerProcess, context: zmq.Context) -> None:
    peer = dealer(context, shared_server.connection.address)
    peer.send_multipart(Echo(3).encode())
    assert peer.poll(1000 * PATIENCE_SECONDS)
    assert decode(peer.recv_multipart()).code == "server_lost"


def test_an_image_that_is_not_the_one_offered_is_refused(client: Client) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    client.connect()
    client.send(OfferReference(client.new_request(), "0" * 64, (20, 20), image))
    while not isinstance(answer := client.pump(1.0), Error):
        pass
    assert answer.code == "bad_image"


def valid_messages(portrait: PortraitHandle, image: np.ndarray) -> list[Message]:
    points = np.full((2, 70, 3), 20, "<f4")
    digest = image_digest(image)
    return [
        Hello(1, "fuzz", "0"),
        OfferReference(2, digest, (32, 32)),
        OfferReference(3, digest, (32, 32), image),
        Detect(4, digest),
        Prepare(5, "paint", (digest,), points[:1]),
        Render(6, portrait.portrait_id, (32, 32), False, "raw", 2, np.array([1, 2], "<i4"), points),
        Credit(7, 6, 1),
        Cancel(8, 6),
        Echo(9, True),
        OfferPersonal(10, digest, b"0123456789"),
        ReadPicture(12, ".png", b"\x89PNG\r\n\x1a\n"),
        Tune(11, "paint", (digest,)),
        SignSequence(
            13, np.zeros((2, 32), np.uint8), b"0001.png\n0002.png", b"{}", "frames.c2pa", b"before", (digest,)
        ),
    ]


def anything(chance: random.Random, depth: int = 0) -> object:
    """A random value that msgpack can hold."""
    kind = chance.randrange(8 if depth < 3 else 6)
    if kind == 0:
        return chance.randint(-(2**63), 2**64 - 1)
    if kind == 1:
        return chance.choice([0, 1, -1, 2**31, True, False, None, float("nan"), float("inf"), 1e300])
    if kind == 2:
        return "".join(chance.choice("ab\0é✓/..~") for _ in range(chance.randrange(80)))
    if kind == 3:
        return chance.randbytes(chance.randrange(80))
    if kind == 4:
        return msgpack.ExtType(chance.randrange(128), chance.randbytes(4))
    if kind == 5:
        return chance.choice(["render", "png", "a" * 64, "../../etc/passwd", "warp"])
    if kind == 6:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(6))]
    return {str(anything(chance, 3)): anything(chance, depth + 1) for _ in range(chance.randrange(6))}


def spoiled(chance: random.Random, message: Message) -> list[bytes]:
    """The parts of a message after an accident."""
    parts = [bytes(part) for part in message.encode()]
    kind = chance.randrange(8)
    if kind == 0:
        return [chance.randbytes(chance.randrange(200)) for _ in range(chance.randrange(1, 7))]
    if kind == 1:
        index = chance.randrange(len(parts))
        parts[index] = parts[index][: chance.randrange(len(parts[index]) + 1)]
    elif kind == 2:
        index = chance.randrange(len(parts))
        changed = bytearray(parts[index])
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        parts[index] = bytes(changed)
    elif kind == 3:
        parts = chance.choice([parts[:-1] or [b""], [*parts, b"more"], parts[::-1], [*parts] * 2])
    elif kind == 4:
        return [msgpack.packb(anything(chance))]
    elif kind == 5:
        return [chance.randbytes(MAX_HEADER_BYTES + chance.randrange(-2, 3)), *parts[1:]]
    else:
        envelope = unpack(parts)
        fields = dict(envelope.fields)
        for _ in range(chance.randint(1, 3)):
            fields[chance.choice([*fields, "extra"])] = anything(chance)
        header = {
            "v": PROTOCOL_VERSION,
            "t": envelope.type,
            "id": chance.choice([envelope.request, 0, 6, -1, 2**60]),
            **fields,
        }
        parts[0] = msgpack.packb(header)
    return parts


@pytest.mark.parametrize("seed", [1, 2])
def test_garbage_harms_nobody(
    server: ServerProcess,
    context: zmq.Context,
    paint: Paint,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "none"))  # `warp` alone draws: a server starts fast
    chance = random.Random(seed)
    server.start()
    pid = server.pid
    with Client(server.connection) as client:
        portrait, points = paint(client, "paint", 20)
        expected = [frame.data for frame in client.render(portrait, points, range(20))]
        messages = valid_messages(portrait, np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8))
        address = server.connection.address
        peers = [dealer(context, address) for _ in range(3)]
        peers[0].send_multipart(messages[0].encode())
        answers = 0

        def read(peer: zmq.Socket) -> None:
            nonlocal answers
            while peer.poll(0):
                decode(peer.recv_multipart())  # whatever the server says, it says properly
                answers += 1

        for number in range(FUZZ_MESSAGES):
            peer = chance.choice(peers)
            peer.send_multipart(spoiled(chance, chance.choice(messages)))
            read(peer)
            if number % 2000 == 0:
                assert client.echo(through_engine=True) > 0
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(address.removeprefix("ipc://"))
            raw.sendall(chance.randbytes(4096))
        assert [frame.data for frame in client.render(portrait, points, range(20))] == expected
        photo = astronaut()[:400:2, 100:400:2].copy()
        real = client.prepare([ReferenceImage(photo)], engine="warp")
        assert len(list(client.render(real, real.points[None], [1]))) == 1
        wait_until(lambda: answers > FUZZ_MESSAGES / 3, lambda: [read(peer) for peer in peers])
        wait_until(lambda: client.stats()["bad_messages"] > FUZZ_MESSAGES / 3)
    assert server.alive and server.pid == pid
    assert "Traceback" not in server.log_tail(10_000)

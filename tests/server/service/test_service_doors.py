# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in and who does not; what a server makes of garbage."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from portrait_server.cli import main
from portrait_server.service.sockets.authentication import KeyRing, write_new_keys
from portrait_server.service.sockets.endpoints import choose_endpoint
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess, find_server
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.framing import pack
from portrait_shared.protocol.messages import (
    Echo,
    Error,
    Hello,
    OfferReference,
    decode,
)
from portrait_shared.protocol.references import PortraitHandle

from tests.waiting import PATIENCE_SECONDS

Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]
Serve = Callable[..., subprocess.Popen[bytes]]


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


def dealer(context: zmq.Context, address: str, keys: Connection | None = None) -> zmq.Socket:
    """A peer of our own making; with the keys of a connection, where that has some."""
    peer = context.socket(zmq.DEALER)
    peer.linger = 0
    if keys is not None and keys.server_public_key:
        peer.curve_serverkey = keys.server_public_key.encode()
        peer.curve_publickey = keys.client_public_key.encode()
        peer.curve_secretkey = keys.client_secret_key.encode()
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
    peer = dealer(context, shared_server.connection.address, shared_server.connection)
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
    peer = dealer(context, shared_server.connection.address, shared_server.connection)
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

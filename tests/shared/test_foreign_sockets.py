# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection file that a dead server left, and somebody else's socket in the server's place."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from portrait_shared.client.channel import Channel, ServerLost
from portrait_shared.client.launcher import find_server
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.framing import PROTOCOL_VERSION

from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
NOBODY = 65534


class Listener:
    """Somebody who listens at a socket, and notices who comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.socket.setblocking(False)
        self.file = path.with_name("connection.json")
        Connection(f"ipc://{path}", PROTOCOL_VERSION, "1", 1).save(self.file)

    def anybody_came(self) -> bool:
        try:
            self.socket.accept()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    with PrivateFolder() as folder:  # pytest's own have names too long for a socket
        found = Listener(folder / "socket")
        yield found
        found.socket.close()


def refused(listener: Listener) -> None:
    with pytest.raises(PortraitError) as caught:
        Channel(Connection.load(listener.file))
    assert caught.value.code is ErrorCode.NOT_ALLOWED and str(listener.path) in caught.value.message
    assert find_server(listener.file, timeout=0) is None
    assert not listener.anybody_came()


def test_a_folder_that_others_may_write_to_is_refused(listener: Listener) -> None:
    listener.path.parent.chmod(0o777)
    refused(listener)


@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["socket", "folder"])
def test_what_is_somebody_elses_is_refused(listener: Listener, what: str) -> None:
    os.chown(listener.path if what == "socket" else listener.path.parent, NOBODY, NOBODY)
    refused(listener)


def test_a_link_to_a_socket_and_a_plain_file_are_refused(listener: Listener) -> None:
    moved = listener.path.with_name("moved")
    listener.path.rename(moved)
    listener.path.symlink_to(moved)
    refused(listener)
    listener.path.unlink()
    listener.path.touch()
    refused(listener)


def test_a_name_that_no_file_system_holds_is_refused(listener: Listener) -> None:
    with pytest.raises(PortraitError) as caught:
        Channel(Connection("ipc://@talking-portraits", PROTOCOL_VERSION, "1", 1))
    assert caught.value.code in (ErrorCode.NOT_ALLOWED, ErrorCode.SERVER_LOST)


def test_ones_own_is_connected_to(listener: Listener) -> None:
    channel = Channel(Connection.load(listener.file))
    try:
        listener.socket.settimeout(PATIENCE_SECONDS)
        listener.socket.accept()[0].close()
    finally:
        channel.close()


def test_a_socket_that_is_gone_is_a_server_lost(listener: Listener) -> None:
    listener.path.unlink()
    with pytest.raises(ServerLost):
        Channel(Connection.load(listener.file))
    assert find_server(listener.file, timeout=0) is None


@pytest.mark.parametrize("field", ["address", "version", "log"])
def test_half_a_character_is_no_connection(tmp_path: Path, field: str) -> None:
    file = tmp_path / "connection.json"
    text = f'{{"address": "ipc:///a", "protocol": 2, "version": "1", "pid": 1, "log": "", "{field}": "ipc:///\\ud800"}}'
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(PortraitError) as caught:
        Connection.load(file)
    assert caught.value.code is ErrorCode.SERVER_UNAVAILABLE
    caught.value.message.encode()

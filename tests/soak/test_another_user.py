# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else on the machine: no file of the server's opens to them, and no socket answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.messages import Hello

from tests.server.service.raw_peer import GREETING, READY
from tests.soak.conftest import COMMAND
from tests.soak.hostile import framed
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="needs POSIX systems, and only root can be another user"
)

NOBODY = 65534
STRANGER = """
import json, os, socket, sys
asked = json.load(sys.stdin)
os.setgroups([]); os.setgid(asked["user"]); os.setuid(asked["user"])
told = {"opened": [], "heard": ""}
for path in asked["paths"]:
    for attempt in (lambda: os.listdir(path), lambda: open(path, "rb").read(), lambda: open(path, "ab")):
        try:
            attempt()
            told["opened"].append(path)
        except OSError:
            pass
family, place = asked["address"]
peer = socket.socket(getattr(socket, family))
peer.settimeout(asked["patience"])
try:
    peer.connect(place if isinstance(place, str) else tuple(place))
    peer.sendall(bytes.fromhex(asked["say"]))
    while data := peer.recv(65536):
        told["heard"] += data.hex()
except OSError as error:
    told["refused"] = type(error).__name__
json.dump(told, sys.stdout)
"""


def as_stranger(address: str, paths: list[Path], say: bytes) -> dict[str, object]:
    """What another user opens of some paths and hears at an address."""
    if address.startswith("ipc://"):
        place: tuple[str, object] = "AF_UNIX", address.removeprefix("ipc://")
    else:
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        place = "AF_INET", (host, int(port))
    asked = {
        "user": NOBODY,
        "address": place,
        "paths": list(map(str, paths)),
        "say": say.hex(),
        "patience": PATIENCE_SECONDS,
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STRANGER], input=json.dumps(asked), capture_output=True, text=True, check=True
    )  # fmt: skip
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.fixture
def of_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files whose maker says nothing else may be read and written by all."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("where", ["ipc", "tcp"])
def test_another_user_gets_no_answer(server: ServerProcess, where: str, of_everybody: None) -> None:
    if where == "tcp":
        server = ServerProcess(
            ["sh", "-c", 'exec "$0" "$@" --bind tcp://127.0.0.1:0', *COMMAND], device="cpu", log_level="debug"
        )
    hello = framed([bytes(part) for part in Hello(1, "stranger", "0").encode()])
    try:
        connection = server.start()
        address, file = connection.address, connection.file
        assert file is not None
        paths = [file, file.parent, Path(connection.log), *file.parent.iterdir()]
        if where == "ipc":
            paths.append(Path(address.removeprefix("ipc://")))
        told = as_stranger(address, paths, GREETING + READY + hello)
        assert told["opened"] == []
        heard = bytes.fromhex(str(told["heard"]))
        if where == "ipc":
            assert told["refused"] == "PermissionError" and not heard
        else:  # who listens there says which mechanism it wants, and no more
            assert len(heard) <= 64 and b"welcome" not in heard
        assert server.alive
    finally:
        server.stop()

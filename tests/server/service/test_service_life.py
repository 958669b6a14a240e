# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that are killed, stopped, started twice; clients that die: nothing is lost and nothing hangs."""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from portrait_server.commands import serve as serve_command
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess, find_server, stop_server
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.messages import Echo
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage
from skimage.data import astronaut

from tests.waiting import PATIENCE_SECONDS

Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]
Serve = Callable[..., subprocess.Popen[bytes]]
fast_start = pytest.mark.usefixtures("test_engines_alone")
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals or file modes")


@pytest.mark.parametrize("encoding", ["png", "raw"])
def test_a_server_killed_in_the_middle_changes_nothing(
    server: ServerProcess, encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "none"))  # `warp` needs none, and starts faster so
    photo = astronaut()[:400:2, 100:400:2].copy()
    with Client(server) as client:
        portrait = client.prepare([ReferenceImage(photo)])
        points = np.repeat(portrait.points[None], 30, axis=0)
        points[:, 48:68, 1] += np.linspace(0, 6, 30, dtype=np.float32)[:, None]
        undisturbed = list(client.render(portrait, points, range(30), encoding=encoding))
        pids, disturbed = set(), []
        for frame in client.render(portrait, points, range(30), encoding=encoding, window=4):
            disturbed.append(frame)
            pids.add(server.pid)
            if frame.number in (3, 11, 20):
                server.kill()
        pids.add(server.pid)
    assert len(pids) == 4
    assert [frame.number for frame in disturbed] == list(range(30))
    for before, after in zip(undisturbed, disturbed, strict=True):
        assert before.digest == after.digest and bytes(memoryview(before.data)) == bytes(memoryview(after.data))


@fast_start
def test_requests_survive_a_killed_server_too(server: ServerProcess, paint: Paint) -> None:
    with Client(server) as client:
        portrait, _ = paint(client)
        server.kill()
        assert client.echo() > 0
        server.kill()
        assert paint(client)[0].portrait_id == portrait.portrait_id


@fast_start
def test_a_server_that_always_dies_is_given_up(
    server: ServerProcess, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait_shared.client.link.STABLE_SECONDS", PATIENCE_SECONDS)  # none of them lives that long
    with Client(server, restarts=2) as client:
        portrait, points = paint(client, "slow")
        starts = set()
        with pytest.raises(PortraitError, match="ended 3 times in a row") as caught:
            stream = client.render(portrait, points, range(20), window=1)
            while True:
                if stream.next(0.01) is not None:
                    starts.add(server.pid)
                    server.kill()
        assert caught.value.code == ErrorCode.SERVER_LOST and len(starts) == 3


@posix_only
@fast_start
def test_a_client_with_a_connection_finds_the_server_that_took_over(serve: Serve, paint: Paint, tmp_path: Path) -> None:
    file = tmp_path / "private" / "connection.json"
    first = serve("--connection-file", file, wait_for=file)
    with Client(Connection.load(file)) as client:
        portrait, points = paint(client, "slow", count=30)
        undisturbed = [frame.data for frame in client.render(portrait, points, range(30))]
        disturbed = []
        for frame in client.render(portrait, points, range(30), window=4):
            disturbed.append(frame.data)
            if frame.number == 9:
                first.kill()
                first.wait()
                assert find_server(file) is None  # the file is there, the server is not
                serve("--connection-file", file)
        assert disturbed == undisturbed
        assert client.server.pid == Connection.load(file).pid != first.pid


@posix_only
@pytest.mark.parametrize("way", ["message", "signal"])
@fast_start
def test_a_stopping_server_delivers_what_is_in_hand_and_hands_back_the_rest(
    serve: Serve, paint: Paint, tmp_path: Path, way: str
) -> None:
    file = tmp_path / "private" / "connection.json"
    process = serve("--connection-file", file, wait_for=file)
    with Client(Connection.load(file)) as client, Client(Connection.load(file)) as other:
        portrait, points = paint(client, "slow", count=200)
        stream = client.render(portrait, points, range(200), window=8)
        got = [next(stream)]
        other.shutdown() if way == "message" else process.terminate()
        with pytest.raises(PortraitError, match=r"\d+ of 200 frames are handed back") as caught:
            for frame in stream:
                got.append(frame)
        assert caught.value.code == ErrorCode.SERVER_STOPPING
        assert f" {200 - len(got)} of 200" in caught.value.message  # each frame is delivered or handed back
        with pytest.raises(PortraitError) as refused:
            paint(other)
        assert refused.value.code in (ErrorCode.SERVER_STOPPING, ErrorCode.SERVER_UNAVAILABLE)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not file.exists() and find_server(file) is None


@posix_only
def test_the_jobs_of_a_dead_client_are_freed(
    shared_server: ServerProcess, client: Client, eventually: Callable, tmp_path: Path
) -> None:
    shared_server.connection.save(tmp_path / "connection.json")
    program = textwrap.dedent("""
        import sys, time, numpy as np
        from portrait_shared.client.client import Client
        from portrait_shared.protocol.references import ReferenceImage
        from portrait_shared.protocol.connection import Connection
        client = Client(Connection.load(sys.argv[1]), name="doomed")
        points = np.full((500, 70, 3), 30, np.float32)
        portrait = client.prepare([ReferenceImage(np.zeros((64, 64, 3), np.uint8), points[0])], engine="slow")
        stream = client.render(portrait, points, range(500), window=3)
        next(stream)
        print("rendering", flush=True)
        time.sleep(600)
    """)
    doomed = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "connection.json")], stdout=subprocess.PIPE
    )  # fmt: skip
    assert doomed.stdout is not None and doomed.stdout.readline() == b"rendering\n"

    def jobs() -> list[str]:
        return [job["client"] for job in client.stats()["jobs"]]

    assert "doomed" in jobs()
    doomed.send_signal(signal.SIGSTOP)  # busy, not dead: it is kept
    for _ in range(5):
        client.echo(through_engine=True)
    assert "doomed" in jobs()
    doomed.kill()
    doomed.communicate()
    eventually(lambda: "doomed" not in jobs())


@posix_only
def test_the_connection_file_is_its_owners_alone(shared_server: ServerProcess, tmp_path: Path) -> None:
    connection = shared_server.connection
    assert connection.file is not None
    assert stat.S_IMODE(connection.file.stat().st_mode) == 0o600
    socket = Path(connection.address.removeprefix("ipc://"))
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0
    copy = tmp_path / "copy.json"
    connection.save(copy)
    copy.chmod(0o644)
    with pytest.raises(PortraitError, match="not this user's alone") as caught:
        find_server(copy)
    assert caught.value.code == ErrorCode.NOT_ALLOWED


@fast_start
def test_a_second_server_on_the_same_file_says_so(serve: Serve, shared_server: ServerProcess) -> None:
    file = shared_server.connection.file
    second = serve("--connection-file", file)
    output = second.communicate(timeout=PATIENCE_SECONDS)[0].decode()
    assert second.returncode == 3 and "already running" in output
    assert find_server(file) == shared_server.connection


@fast_start
def test_a_long_path_for_the_connection_file_works(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / ("long" * 30) / "connection.json"
    process = serve("--connection-file", file, wait_for=file)
    with Client(Connection.load(file)) as client:
        assert client.echo() > 0
        address = client.server and Connection.load(file).address
        client.shutdown()
    process.wait(PATIENCE_SECONDS)
    assert not Path(address.removeprefix("ipc://")).parent.exists() or "long" in address


@fast_start
def test_a_server_ends_with_the_program_that_started_it(serve: Serve, tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    file = tmp_path / "connection.json"
    process = serve("--connection-file", file, "--parent-pid", parent.pid, wait_for=file)
    assert process.poll() is None
    parent.communicate()
    assert process.wait(PATIENCE_SECONDS) == 0 and not file.exists()


@fast_start
def test_a_server_that_nobody_uses_ends_if_it_is_to(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    process = serve("--connection-file", file, "--idle-exit", 1)  # it may have gone before anybody looks
    assert process.wait(PATIENCE_SECONDS) == 0 and not file.exists()


@fast_start
def test_a_server_stays_as_long_as_somebody_is_connected(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    process = serve("--connection-file", file, "--idle-exit", 3600, wait_for=file)
    with Client(Connection.load(file)) as client:
        assert client.echo() > 0
        assert process.poll() is None
    assert stop_server(Connection.load(file))
    assert process.wait(PATIENCE_SECONDS) == 0 and not file.exists()


@pytest.mark.parametrize("number", ["0", "-1", str(2**31), str(10**30), "me"])
def test_a_parent_that_can_be_no_process_is_refused(number: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    serve_command.add_arguments(parser)
    with pytest.raises(argparse.ArgumentError, match="a process's number is needed"):
        parser.parse_args(["--parent-pid", number])
    assert parser.parse_args(["--parent-pid", "1"]).parent_pid == 1


def test_a_command_that_is_no_server_says_what_it_said() -> None:
    server = ServerProcess([sys.executable, "-c", "import sys; sys.exit('no such thing')"])
    with pytest.raises(PortraitError, match="ended while it started") as caught, Client(server) as client:
        client.connect()
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE and "no such thing" in caught.value.remedy
    with pytest.raises(PortraitError, match="Cannot start /nowhere/portrait"):
        ServerProcess(["/nowhere/portrait"]).start()


def test_a_connection_without_a_server_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as caught, Client(Connection(f"ipc://{tmp_path}/none", 1, "0", 1)) as client:
        client.connect()
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE
    assert find_server(tmp_path / "none.json") is None
    (tmp_path / "broken.json").write_text(json.dumps({"address": "http://x"}))
    os.chmod(tmp_path / "broken.json", 0o600)
    assert find_server(tmp_path / "broken.json") is None


@fast_start
def test_it_is_asked_to_stop_before_it_is_ended(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows ends a process at once when it is terminated."""
    monkeypatch.setattr(subprocess.Popen, "terminate", subprocess.Popen.kill)
    server.start()
    process = server._process
    assert process is not None
    server.stop()
    assert process.returncode == 0 and not server.alive


@fast_start
def test_two_clients_of_one_process_start_it_again_once(server: ServerProcess) -> None:
    with Client(server) as one, Client(server) as other:
        one.echo()
        other.echo()
        server.kill()
        one.echo()
        pid = server.pid
        other.echo()
        assert server.pid == pid
        assert one.echo() > 0


@posix_only
@fast_start
def test_a_client_waits_for_the_server_that_another_has_just_started_again(server: ServerProcess) -> None:
    """However long ago, or never, it has started one itself."""
    server.start()
    with Client(server) as client:
        assert client.echo() > 0
        server.kill()
        server.launch()
        started = server.pid
        assert client.echo() > 0 and server.pid == started


@posix_only
@fast_start
def test_a_client_whose_server_takes_nothing_lets_go_of_it(server: ServerProcess, paint: Paint) -> None:
    client = Client(server, restarts=0)
    portrait, points = paint(client, "slow", count=40)
    stream = client.render(portrait, points, range(40))
    next(stream)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(PortraitError, match="does not take messages"):
        for _ in range(1_000_000):
            client.send(Echo(client.new_request()))
    stream.cancel()
    assert list(stream) == []
    server.kill()
    client.close()
    assert not server.wanted


@posix_only
@fast_start
def test_connection_files_side_by_side_have_sockets_of_their_own(serve: Serve, tmp_path: Path) -> None:
    files = [tmp_path / "private" / "one", tmp_path / "private" / "one.json"]
    for file in files:
        serve("--connection-file", file, wait_for=file)
    one, other = (find_server(file) for file in files)
    assert one is not None and other is not None and one.address != other.address

# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that are absent, full, or lost in the middle of a job: clear errors, and no frame is lost.

The GPU is a folder (`Gpu`, of serve_with_test_engines.py), and what the engine raises is torch's own. All else is real:
the server, its search for a device, its end, and the client that starts the next one.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from portrait_server.cli import main
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import STATUS_NO_DEVICE, ServerProcess
from portrait_shared.devices import DEVICES, missing_driver
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.references import PortraitHandle

from tests.server.conftest import COMMAND
from tests.waiting import PATIENCE_SECONDS

Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]
Serve = Callable[..., subprocess.Popen[bytes]]
pytestmark = pytest.mark.usefixtures("test_engines_alone")

GPU_VARIABLE = "TALKING_PORTRAITS_TEST_GPU"
FULL = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB."
LOST = (
    "AcceleratorError: CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported",
    "RuntimeError: CUDA error: unspecified launch failure",
)
ABSENT = next(name for name in DEVICES[1:] if missing_driver(name))
"""One that this machine does not have: no machine has all."""


class Faults:
    """What will go wrong with the GPU."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.there = folder / "there"
        self.there.touch()
        self._count = 0

    def add(self, place: object, said: str, times: int = 1) -> None:
        for _ in range(times):
            self._count += 1
            (self.folder / f"{place}.{self._count:03d}").write_text(said)

    def left(self) -> int:
        return len(list(self.folder.glob("*.*")))

    def clear(self) -> None:
        for fault in self.folder.glob("*.*"):
            fault.unlink()


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """The GPU of servers that are started from here on."""
    folder = tmp_path / "gpu"
    folder.mkdir()
    monkeypatch.setenv(GPU_VARIABLE, str(folder))
    return Faults(folder)


@pytest.fixture
def server(gpu: Faults) -> ServerProcess:
    server = ServerProcess(COMMAND, device="auto")
    yield server
    server.stop()


def colors(frames: object) -> list[int]:
    return [int(frame.data[0, 0, 0]) for frame in frames]


def test_a_gpu_lost_in_the_middle_loses_no_frame(gpu: Faults, server: ServerProcess, paint: Paint) -> None:
    gpu.add(7, LOST[0])
    gpu.add(13, LOST[1])
    with Client(server) as client, Client(server, name="other") as other:
        portrait, points = paint(client, "device")
        painted, painted_points = paint(other, "slow", count=60)
        others_stream = other.render(painted, painted_points, range(60), encoding="raw", window=4)
        others = [next(others_stream)]
        pids, frames = set(), []
        for frame in client.render(portrait, points, range(20), encoding="raw", window=4):
            frames.append(frame)
            pids.add(server.pid)
        assert [frame.number for frame in frames] == list(range(20)) and colors(frames) == list(range(10, 30))
        assert len(pids) == 3 and gpu.left() == 0
        others += list(others_stream)
        assert [frame.number for frame in others] == list(range(60)) and colors(others) == list(range(10, 70))
        assert client.server.device == "mps"


def test_a_gpu_that_is_lost_again_and_again_is_said_in_words(gpu: Faults, server: ServerProcess, paint: Paint) -> None:
    gpu.add(7, LOST[1], times=40)
    with Client(server) as client:
        portrait, points = paint(client, "device")
        stream = client.render(portrait, points, range(20), encoding="raw", window=4)
        frames = []
        with pytest.raises(PortraitError, match=r"The GPU was lost .*unspecified launch failure") as caught:
            for frame in stream:
                frames.append(frame)
        assert caught.value.code == ErrorCode.SERVER_LOST and "--device cpu" in caught.value.remedy
        done = [frame.number for frame in frames]
        assert done == list(range(len(done))) and len(done) >= 4, "what was drawn before it has come"
        assert 30 < gpu.left() < 40, "it was tried again, but not for ever"
        gpu.clear()  # the device is back
        rest = range(len(done), 20)
        assert colors(client.render(portrait, points[len(done) :], rest, encoding="raw")) == [10 + n for n in rest]


def test_others_are_served_while_one_loses_the_gpu_again_and_again(
    gpu: Faults, server: ServerProcess, paint: Paint
) -> None:
    gpu.add(0, LOST[1], times=40)
    with Client(server) as client, Client(server, name="other") as other:
        painted, painted_points = paint(other, "slow", count=150)
        portrait, points = paint(client, "device")
        others: list[int] = []
        stream = other.render(painted, painted_points, range(150), encoding="raw", window=4)
        reader = threading.Thread(target=lambda: others.extend(colors(stream)))
        reader.start()
        with pytest.raises(PortraitError, match="The GPU was lost"):
            list(client.render(portrait, points, range(20), encoding="raw"))
        reader.join(PATIENCE_SECONDS)
        assert others == list(range(10, 160))


def test_a_request_survives_a_lost_gpu(gpu: Faults, server: ServerProcess, paint: Paint) -> None:
    gpu.add("prepare", LOST[0])
    with Client(server) as client:
        portrait, points = paint(client, "device", count=3)
        assert gpu.left() == 0
        assert colors(client.render(portrait, points, range(3), encoding="raw")) == [10, 11, 12]


def test_the_server_that_takes_over_computes_on_the_same_device(
    gpu: Faults, server: ServerProcess, paint: Paint
) -> None:
    """On the processor it would draw other frames, and a film would be of two kinds."""
    gpu.add(7, LOST[1])
    with Client(server, restarts=1) as client:
        portrait, points = paint(client, "device")
        stream = client.render(portrait, points, range(20), encoding="raw", window=1)
        frames = [next(stream) for _ in range(5)]
        gpu.there.unlink()
        with pytest.raises(PortraitError, match="no Mac with Apple silicon") as caught:
            for frame in stream:
                frames.append(frame)
        assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and "--device cpu" in caught.value.remedy
        gpu.there.touch()
        rest = range(len(frames), 20)
        frames += client.render(portrait, points[len(frames) :], rest, encoding="raw")
        assert [frame.number for frame in frames] == list(range(20)) and colors(frames) == list(range(10, 30))
    gpu.there.unlink()
    server.start()  # and whoever starts it anew gets what is there
    with Client(server.connection) as client:
        assert client.server.device == "cpu"


@pytest.mark.parametrize("said", [FULL, "RuntimeError: MPS backend out of memory (MPS allocated: 8.00 GB)"])
def test_a_full_gpu_fails_one_render_with_a_remedy(gpu: Faults, server: ServerProcess, paint: Paint, said: str) -> None:
    gpu.add(7, said)
    with Client(server) as client, Client(server, name="other") as other:
        portrait, points = paint(client, "device")
        painted, painted_points = paint(other, "slow", count=60)
        others = other.render(painted, painted_points, range(60), encoding="raw", window=4)
        next(others)
        pid, frames = server.pid, []
        with pytest.raises(PortraitError, match="memory is full") as caught:
            for frame in client.render(portrait, points, range(20), encoding="raw", window=4):
                frames.append(frame)
        assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and "Close other programs" in caught.value.remedy
        rest = range(len(frames), 20)
        frames += client.render(portrait, points[len(frames) :], rest, encoding="raw")
        assert colors(frames) == list(range(10, 30))
        assert len(list(others)) == 59 and server.pid == pid, "nobody else noticed"


def test_a_gpu_that_is_full_when_the_server_starts_costs_one_engine(
    gpu: Faults, server: ServerProcess, paint: Paint
) -> None:
    gpu.add("load", FULL)
    with Client(server) as client:
        with pytest.raises(PortraitError, match="cannot be loaded: The GPU's memory is full") as caught:
            paint(client, "device")
        assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and "Start the server again" in caught.value.remedy
        portrait, points = paint(client, count=3)
        assert colors(client.render(portrait, points, range(3), encoding="raw")) == [10, 11, 12]


def test_a_gpu_that_is_lost_when_the_server_starts_ends_it(gpu: Faults, server: ServerProcess, paint: Paint) -> None:
    gpu.add("load", LOST[1])
    with pytest.raises(PortraitError, match="The GPU was lost") as caught:
        server.start()
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and not server.alive
    server.start()
    with Client(server.connection) as client:
        portrait, points = paint(client, "device", count=3)
        assert colors(client.render(portrait, points, range(3), encoding="raw")) == [10, 11, 12]


def test_a_server_of_the_users_own_says_why_it_ends(gpu: Faults, serve: Serve, paint: Paint, tmp_path: Path) -> None:
    file = tmp_path / "private" / "connection.json"
    first = serve("--connection-file", file, "--device", "auto", wait_for=file)
    gpu.add(7, LOST[1])
    with Client(Connection.load(file)) as client:
        portrait, points = paint(client, "device")
        stream = client.render(portrait, points, range(20), encoding="raw", window=4)
        frames = [next(stream) for _ in range(4)]
        while first.poll() is None:
            frame = stream.next(0.05)
            frames += [] if frame is None else [frame]
        assert first.wait(PATIENCE_SECONDS) == STATUS_NO_DEVICE
        assert first.stdout is not None
        said = first.stdout.read().decode().splitlines()[-2:]
        assert "The GPU was lost in the middle of its work" in said[0] and "--device cpu" in said[1]
        assert not file.exists()
        serve("--connection-file", file, "--device", "auto")
        frames += list(stream)
        assert colors(frames) == list(range(10, 30))


def test_an_absent_device_is_said_by_whoever_starts_the_server(server: ServerProcess) -> None:
    absent = ServerProcess(COMMAND, device=ABSENT)
    with pytest.raises(PortraitError, match=r"This machine (has no|is no)") as caught:
        absent.start()
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and "--device cpu" in caught.value.remedy
    absent.stop()


def test_the_server_tells_what_draws(gpu: Faults, server: ServerProcess) -> None:
    with Client(server) as client:
        assert client.server.device == "mps"
        told = client.stats()
        assert told["device_model"] == "Folder GPU" and told["device_bytes"] == 8 * 2**30
        assert "on mps (Folder GPU, 6.0 of 8.0 GiB free)" in server.log_tail()


@pytest.mark.parametrize("device", ["cuda:x", "gpu", ""])
def test_a_device_that_no_machine_has_is_refused(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--device", device])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in DEVICES)

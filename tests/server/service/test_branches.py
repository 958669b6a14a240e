# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on several devices: all of them draw one render, in its order and with the bytes of one device, and the loss of
one costs no frame.

The devices are two names that stand for the processor (`NumberedGpus`, of serve_with_test_engines.py). All else is real.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from portrait_server.disclosure.disclosing import Disclosing
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.engines.registry import create_engine
from portrait_server.networks.personal import Personal, PersonalPainter, to_file
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.render_stream import RenderStream
from portrait_shared.disclosure import USUALLY_SHOWN
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import OtherFaces
from portrait_shared.protocol.references import Frame, PortraitHandle, ReferenceImage

from tests.server.conftest import COMMAND
from tests.server.networks.conftest import weights as weights
from tests.server.service.test_service_devices import GPU_VARIABLE, LOST, Faults, colors
from tests.waiting import wait_until

Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]
NUMBERED_VARIABLE = "TALKING_PORTRAITS_TEST_NUMBERED_GPUS"
BOTH = "cuda:0,cuda:1"


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """The GPUs of servers that are started from here on."""
    folder = tmp_path / "gpu"
    folder.mkdir()
    monkeypatch.setenv(GPU_VARIABLE, str(folder))
    monkeypatch.setenv(NUMBERED_VARIABLE, "1")
    return Faults(folder)


@pytest.fixture
def server(gpus: Faults, test_engines_alone: None) -> Iterator[ServerProcess]:
    server = ServerProcess(COMMAND, device=BOTH)
    yield server
    server.stop()


def drawn_by(client: Client, device: str) -> int:
    return int(client.stats()[f"frames_drawn.{device}"])


def by_both(client: Client, server: ServerProcess, render: Callable[[], Iterable[Frame]]) -> list[Frame]:
    """Asks for frames until both devices have drawn some: the branch draws none until it has prepared the portrait, nor
    while it is started again, as it is where a busy machine lets its connection time out."""
    found: list[Frame] = []

    def both() -> bool:
        before = [drawn_by(client, device) for device in ("cuda:0", "cuda:1")]
        found[:] = render()
        after = [drawn_by(client, device) for device in ("cuda:0", "cuda:1")]
        assert sum(after) - sum(before) == len(found)
        return all(np.subtract(after, before) > 0)

    wait_until(both, note=server.log_tail)
    return found


def by_a_faulty_branch(gpus: Faults, server: ServerProcess, render: Callable[[], Iterable[Frame]], said: str) -> None:
    """Asks for frames that the branch cannot draw until it has been given one: all come, whoever draws them."""
    for frame in range(10, 70):  # whichever of them it is given
        gpus.add(f"cuda-1-{frame}", said)
    before = gpus.left()

    def met() -> bool:
        frames = list(render())
        assert [frame.number for frame in frames] == list(range(60)) and colors(frames) == list(range(10, 70))
        return gpus.left() < before

    wait_until(met, note=server.log_tail)


@pytest.mark.parametrize("asked", ["raw", "png", "exr"])
def test_both_draw_one_render_in_its_order(server: ServerProcess, paint: Paint, asked: str) -> None:
    layers = ("rgba", "forward") if asked == "exr" else ()
    count = 40

    def frames(client: Client) -> list[Frame]:
        portrait, points = paint(client, count=count)
        points = np.concatenate([points, points + 2]) if layers else points
        body = np.tile(np.float32([0.5, 0.1]), (len(points), 1))

        def render() -> Iterator[Frame]:
            return client.render(portrait, points, range(5, 5 + count), encoding=asked, layers=layers, body=body)

        if client.server.device == BOTH:
            return by_both(client, server, render)
        return list(render())

    with Client(server) as client:
        of_both = frames(client)
    alone = ServerProcess(COMMAND, device="cuda:0")
    with Client(alone) as client:
        assert client.server.device == "cuda:0"
        of_one = frames(client)
    alone.stop()
    assert [frame.number for frame in of_both] == [*range(5, 5 + count)]
    for one, other in zip(of_one, of_both, strict=True):
        assert one.digest == other.digest and np.array_equal(one.data, other.data)


def test_a_real_engine_draws_the_same_bytes_on_both(
    gpus: Faults, astronaut: Reference, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As here, on the processor under its own name: two people, of whom one is tuned to."""
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    engine = create_engine("fewshot", "cpu")
    assert isinstance(engine, FewshotEngine)
    style = torch.full((engine.painters.mouth.style.out_features,), 0.5)
    personal = to_file(Personal({"mouth": PersonalPainter(style, {})}, engine.checksum))
    one = astronaut.image[::4, ::4]
    photo = ReferenceImage(np.concatenate([one, one], 1), astronaut.points / 4)
    assert photo.points is not None
    beside = photo.points + np.float32([one.shape[1], 0, 0])
    count, size = 4, (128, 64)
    opening = np.linspace(0, 3, count, dtype=np.float32)[:, None]
    points, others = (np.repeat(each[None], count, 0) for each in (photo.points, beside))
    points[:, 8:10, 1] += opening
    others[:, 36:40, 1] += opening
    driven = OtherFaces(others[:, None])
    server = ServerProcess(COMMAND, device="cuda:all")
    with Client(server) as client:
        portrait = client.prepare([photo], personal=personal, others=beside[None])

        def render() -> Iterator[Frame]:
            return client.render(portrait, points, range(count), size=size, encoding="raw", window=8, others=driven)

        of_both = [frame.data for frame in by_both(client, server, render)]
        assert client.server.device == "cuda:all"
    server.stop()
    tuned = engine.tuned(personal)
    prepared = tuned.prepare([Reference(photo.image, photo.points)], beside[None])
    drawn = tuned.render(prepared, points, size, False, None, driven)
    moved = tuned.driven_photo(prepared)
    marking = Disclosing(USUALLY_SHOWN, size, portrait.portrait_id, moved.people, moved.image)
    assert np.array_equal(of_both, [marking.into(frame) for frame in drawn])
    assert not np.array_equal(of_both, drawn)


def test_a_lost_branch_costs_no_frame_and_comes_back(gpus: Faults, server: ServerProcess, paint: Paint) -> None:
    with Client(server) as client:
        portrait, points = paint(client, "device", count=60)

        def render() -> Iterator[Frame]:
            return client.render(portrait, points, range(60), encoding="raw")

        by_both(client, server, render)
        pid = server.pid
        by_a_faulty_branch(gpus, server, render, LOST[1])
        gpus.clear()
        # Before it is asked for more: each render adds a line, and the end of the log alone is looked at.
        wait_until(lambda: "cuda:1 was lost and is started again" in server.log_tail())
        wait_until(lambda: "is back" in server.log_tail())
        by_both(client, server, render)
        assert server.pid == pid


def test_a_branch_that_does_not_come_back_is_left_alone(gpus: Faults, server: ServerProcess, paint: Paint) -> None:
    with Client(server) as client:
        portrait, points = paint(client, "device", count=60)

        def render() -> Iterator[Frame]:
            return client.render(portrait, points, range(60), encoding="raw")

        by_both(client, server, render)
        (gpus.folder / "absent-1").touch()
        by_a_faulty_branch(gpus, server, render, LOST[1])
        wait_until(lambda: "cuda:1 is not used any more" in server.log_tail())
        before = drawn_by(client, "cuda:1")
        assert colors(render()) == list(range(10, 70)) and drawn_by(client, "cuda:1") == before


def test_what_a_branch_cannot_draw_the_first_device_draws(gpus: Faults, server: ServerProcess, paint: Paint) -> None:
    full = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    with Client(server) as client:
        portrait, points = paint(client, "device", count=60)

        def render() -> Iterator[Frame]:
            return client.render(portrait, points, range(60), encoding="raw")

        by_both(client, server, render)
        by_a_faulty_branch(gpus, server, render, full)
        assert "draws no more of a portrait's frames" in server.log_tail()


def test_a_cancelled_render_ends_on_all_devices(server: ServerProcess, paint: Paint) -> None:
    with Client(server) as client:
        portrait, points = paint(client, "slow", count=60)

        def render() -> Iterator[Frame]:
            return client.render(portrait, points, range(60), encoding="raw")

        by_both(client, server, render)
        stream = render()
        next(stream)
        stream.cancel()
        assert colors(render()) == list(range(10, 70))


def test_clients_take_turns_on_all_devices(server: ServerProcess, paint: Paint) -> None:
    with Client(server, name="anne") as anne, Client(server, name="ben") as ben:
        renders: list[Callable[[], RenderStream]] = []
        for client in (anne, ben):
            portrait, points = paint(client, "slow", count=48)
            renders.append(partial(client.render, portrait, points, range(48), encoding="raw", window=16))
            by_both(client, server, renders[-1])

        def side_by_side() -> bool:
            streams = [render() for render in renders]
            firsts = [next(stream) for stream in streams]
            before = [drawn_by(anne, device) for device in ("cuda:0", "cuda:1")]
            for first, stream in zip(firsts, streams, strict=True):
                assert colors([first, *stream]) == list(range(10, 58))
            after = [drawn_by(anne, device) for device in ("cuda:0", "cuda:1")]
            return all(np.subtract(after, before) > 0)

        wait_until(side_by_side, note=server.log_tail)


def test_single_frames_are_the_first_devices(server: ServerProcess, paint: Paint) -> None:
    """To prepare a portrait on every device costs more than a few frames do."""
    with Client(server) as client:
        portrait, points = paint(client, count=1)
        for _ in range(5):
            list(client.render(portrait, points, [1], encoding="raw"))
        assert drawn_by(client, "cuda:1") == 0 and drawn_by(client, "cuda:0") == 5


@pytest.mark.skipif(sys.platform != "linux", reason="Windows and macOS have no file of a process's children")
def test_branches_end_with_the_server(server: ServerProcess) -> None:
    server.start()
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    (branch,) = map(int, children.read_text().split())
    server.stop()
    wait_until(lambda: not Path(f"/proc/{branch}").exists())
    server.start()
    (branch,) = map(int, Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split())
    server.kill()
    wait_until(lambda: not Path(f"/proc/{branch}").exists())


def test_a_further_device_that_is_not_there_is_said_when_the_server_starts(
    gpus: Faults, server: ServerProcess, paint: Paint
) -> None:
    (gpus.folder / "absent-1").touch()
    with pytest.raises(PortraitError, match="There is no GPU cuda:1") as caught:
        server.start()
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and not server.alive
    server.device = "cuda:all"  # those that are there
    with Client(server) as client:
        portrait, points = paint(client, count=3)
        assert colors(client.render(portrait, points, range(3), encoding="raw")) == [10, 11, 12]
        assert client.server.device == "cuda:all" and "frames_drawn.cuda:1" not in client.stats()

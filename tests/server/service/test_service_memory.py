# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service holds of its clients' data: within its budgets, and no longer than it is needed."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from portrait_server.engines.layer_memory import array_bytes
from portrait_server.engines.registry import ENGINES
from portrait_server.networks.device import look_at
from portrait_server.service.budgets import Budgets, Ledger
from portrait_server.service.result_queue import ResultQueue
from portrait_server.service.service import Service
from portrait_server.service.sessions import Session
from portrait_server.service.sockets.door import Door
from portrait_server.service.sockets.endpoints import Endpoint
from portrait_server.service.tasks import RequestTask
from portrait_server.service.tunings import Tunings
from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.framing import PROTOCOL_VERSION
from portrait_shared.protocol.messages import Error, Hello, Message, OfferReference, Render
from portrait_shared.protocol.references import ReferenceImage
from skimage.data import astronaut

from tests.server.conftest import grey_picture, painted_points
from tests.server.serve_with_test_engines import PaintEngine
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")

Serve = Callable[[Budgets], tuple[Service, Connection]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Runs a service in a thread of this process, whose memory can be looked at."""
    monkeypatch.delitem(ENGINES, "fewshot")
    monkeypatch.setitem(ENGINES, "paint", lambda *_: PaintEngine())
    running = []

    def start(budgets: Budgets) -> tuple[Service, Connection]:
        door = Door(Endpoint(f"ipc://{tmp_path}/s"), None)
        service = Service(door, look_at("cpu"), "", budgets=budgets)
        thread = threading.Thread(target=service.run)
        thread.start()
        running.append((service, thread))
        return service, Connection(door.address, PROTOCOL_VERSION, "0", 0)

    yield start
    for service, thread in running:
        service.ask_to_stop()
        thread.join()


def ask(client: Client, message: Message) -> Message:
    """The answer to a message, whatever it is."""
    client.send(message)
    while (answer := client.pump(1.0)) is None or answer.request != message.request:
        pass
    return answer


def test_refused_uploads_are_let_go_at_once(serve: Serve) -> None:
    _, connection = serve(Budgets())
    picture = np.zeros((1500, 1500, 3), np.uint8)
    with Client(connection) as client:
        client.connect()
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for number in range(6):
                offer = OfferReference(client.new_request(), f"{number:064}", (1500, 1500), picture)
                answer = ask(client, offer)
                assert isinstance(answer, Error) and answer.code == "bad_image"
            client.echo(through_engine=True)
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            gc.enable()
    assert held < 2 * picture.nbytes  # the last may be on its way out of a helper's hands


def test_renders_beyond_a_clients_budget_are_refused_and_others_are_served(serve: Serve) -> None:
    _, connection = serve(Budgets(client=3_000_000, total=100_000_000))
    points = np.tile(painted_points(1), (1000, 1, 1))
    with Client(connection) as client, Client(connection) as other:
        portrait = client.prepare([ReferenceImage(grey_picture(), points[0])], engine="paint")
        streams = [client.render(portrait, points, range(1000), window=1) for _ in range(6)]
        with pytest.raises(PortraitError, match="This client's open requests hold") as caught:
            for _ in range(50):
                for stream in streams:
                    stream.next(0.01)
        assert caught.value.code == ErrorCode.BUSY and caught.value.remedy
        assert len(list(other.render(portrait, points[:20], range(20)))) == 20
        for stream in streams:
            stream.cancel()
        assert len(list(client.render(portrait, points, range(1000), encoding="raw"))) == 1000


def test_photos_that_wait_for_their_tuning_count_until_it_ends() -> None:
    ledger, results = Ledger(Budgets(client=5_000_000, total=7_000_000)), ResultQueue()
    tunings = Tunings(results, ledger, "", "cpu")
    one, other, busy = Session(b"1", "one"), Session(b"2", "other"), threading.Event()
    photo = np.zeros((1000, 1000, 3), np.uint8)
    try:
        # The rest waits until this is done.
        tunings._worker.give(RequestTask(one, 1, busy.wait, lambda _: Hello(1, "", ""), "helper"))
        tunings.add(one, 2, [photo], "")
        assert one.held_bytes == ledger.held == photo.nbytes
        with pytest.raises(PortraitError, match="This client's open requests"):
            ledger.charge(one, photo.nbytes)
        with pytest.raises(PortraitError, match="all clients"):
            tunings.add(other, 3, [photo, photo], "")
        assert not other.pending and tunings.count == 1
        assert tunings.cancel(one, 2)
        assert one.held_bytes == ledger.held == 0
        tunings.add(other, 4, [photo], "")
        other.gone = True
        tunings.end_session(other)
        ledger.forget(other)
        assert ledger.held == 0
    finally:
        busy.set()
        tunings.stop(PATIENCE_SECONDS)
        results.close()


def test_frames_that_nobody_reads_stay_within_a_clients_budget(serve: Serve) -> None:
    budget, side = 8_000_000, 500
    service, connection = serve(Budgets(client=budget, total=10 * budget))
    points = painted_points(100)
    with Client(connection) as greedy, Client(connection) as other:
        portrait = greedy.prepare([ReferenceImage(grey_picture(), points[0])], engine="paint")
        greedy.link.channel._socket.rcvhwm = 1  # so that libzmq reads no further than it must
        session = next(iter(service._sessions))
        for _ in range(16):
            greedy.send(
                Render(
                    greedy.new_request(),
                    portrait.portrait_id,
                    (side, side),
                    False,
                    "raw",
                    100,
                    np.arange(100, dtype="<i4"),
                    points,
                )
            )
        for _ in range(10):
            assert len(list(other.render(portrait, points, range(100), encoding="raw"))) == 100
            held = session.frame_bytes + service._door.queued_bytes(session.routing)
            assert held <= budget + 4 * side * side * 4


def test_portraits_are_measured_with_what_rendering_keeps(serve: Serve) -> None:
    budget = 12_000_000
    service, connection = serve(Budgets(portraits=budget))
    photo = astronaut()[:400:2, 100:400:2]
    portraits, layers = service._requests._portraits, service._requests._engines.layers
    with Client(connection) as client:
        detected = client.detect(photo.copy())
        for level in range(8):
            picture = np.clip(photo.astype(int) + level, 0, 255).astype(np.uint8)
            portrait = client.prepare([ReferenceImage(picture, detected.points)], engine="warp")
            moved = detected.points[None] + np.float32([0.5, 0, 0])
            assert len(list(client.render(portrait, moved, [1], size=(450, 600), encoding="raw"))) == 1
            client.echo(through_engine=True)
            assert portraits.held_bytes == sum(value.held_bytes() for value, _ in portraits._entries.values())
            assert portraits.held_bytes + layers.held_bytes <= budget
            assert layers.held_bytes == sum(array_bytes(value) for value, _ in layers._entries.values()) > 0
        assert 2 <= len(portraits) < 8
        assert client.stats()["portrait_bytes"] == portraits.held_bytes + layers.held_bytes

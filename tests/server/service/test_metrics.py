# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait serve --metrics`: Prometheus learns what the service does, and nobody waits for that."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from portrait_server.networks.device import look_at
from portrait_server.service.counters import BATCH_FRAMES, Counters, State
from portrait_server.service.metrics import metrics_endpoint, serve_metrics
from portrait_shared import __version__
from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.references import PortraitHandle
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(address: str) -> Samples:
    """What stands there: values by name and labels."""
    with urllib.request.urlopen(address, timeout=600) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        told = answer.read().decode()
    families = text_string_to_metric_families(told)
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for one in families for each in one.samples}


def values(samples: Samples, name: str) -> dict[str, float]:
    """Of a metric with one label, by that label's value."""
    return {labels[0][1]: value for (each, labels), value in samples.items() if each == name}


@pytest.fixture
def told_server(serve: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> tuple[Connection, str]:
    """A server: how to reach it, and where its metrics are."""
    file = tmp_path / "connection.json"
    serve("--connection-file", file, "--metrics", "0", wait_for=file)
    (address,) = re.findall(r"Metrics at (http\S+)", (tmp_path / "0.log").read_text("utf-8"))
    return Connection.load(file), address


@pytest.mark.usefixtures("test_engines_alone")
def test_what_the_service_did_and_does_is_told(
    told_server: tuple[Connection, str], paint: Callable[..., tuple[PortraitHandle, np.ndarray]],
    eventually: Callable[..., None],
) -> None:  # fmt: skip
    connection, address = told_server
    assert address.startswith("http://127.0.0.1:")
    before = read(address)
    drawn = "portrait_frames_drawn_total", (("device", "cpu"),)
    assert before[drawn] == before["portrait_clients", ()] == 0
    with Client(connection, name="test") as client:
        portrait, points = paint(client, count=10)
        assert len(list(client.render(portrait, points, np.arange(10)))) == 10
        with pytest.raises(PortraitError) as refused:
            paint(client, engine="no-such")
        assert refused.value.code == ErrorCode.UNKNOWN_ENGINE
        statistics = client.stats()
        samples = read(address)
    assert samples[drawn] == statistics["frames_drawn"] == 10
    assert samples["portrait_frames_sent_total", ()] == statistics["frames_sent"] == 10
    for name in ("clients", "open_renders", "frames_waiting", "frames_under_way", "requests_waiting", "tunings"):
        assert samples[f"portrait_{name}", ()] == statistics[name] == (name == "clients")
    assert samples["portrait_prepared_portraits", ()] == 1
    assert samples["portrait_photograph_bytes", ()] == statistics["reference_bytes"] > 0
    assert samples["portrait_drawing_seconds_total", ()] > 0
    assert samples["portrait_batch_frames_sum", ()] == 10
    batches = values(samples, "portrait_batch_frames_bucket")
    assert batches["+Inf"] == samples["portrait_batch_frames_count", ()] == statistics["batches"]
    assert list(batches.values()) == sorted(batches.values()) and len(batches) == len(BATCH_FRAMES) + 1
    assert values(samples, "portrait_renders_total") == {"done": 1, "failed": 0, "cancelled": 0}
    assert samples["portrait_render_seconds_count", ()] == 1
    errors = values(samples, "portrait_errors_total")
    assert set(errors) == {code.value for code in ErrorCode}
    assert {code for code, count in errors.items() if count} == {"unknown_engine"}
    assert samples["portrait_release", (("version", __version__),)] == 1
    eventually(lambda: read(address)["portrait_clients", ()] == 0)


@pytest.mark.usefixtures("test_engines_alone")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells memory in files")
def test_memory_of_the_process_and_of_the_device(told_server: tuple[Connection, str]) -> None:
    connection, address = told_server
    samples = read(address)
    device = look_at("cpu")
    labels = (("device", "cpu"), ("model", device.model))
    assert samples["portrait_device_memory_bytes", labels] == device.total_bytes
    assert 0 < samples["portrait_device_free_bytes", labels] < samples["portrait_device_memory_bytes", labels]
    resident = int(Path(f"/proc/{connection.pid}/statm").read_text().split()[1]) * 4096
    assert samples["process_resident_memory_bytes", ()] == pytest.approx(resident, rel=0.5)


@pytest.mark.usefixtures("test_engines_alone")
def test_who_asks_and_says_nothing_holds_up_no_client(told_server: tuple[Connection, str]) -> None:
    connection, address = told_server
    host, port = address.removeprefix("http://").removesuffix("/metrics").split(":")
    with socket.create_connection((host, int(port))), Client(connection, name="test") as client:
        assert client.stats()["clients"] == 1
    assert read(address)["portrait_uptime_seconds", ()] > 0


def test_frames_of_several_devices_are_told_apart() -> None:
    counters = Counters(["cuda:0", "cuda:1"])
    counters.drew(3, 0.5, "cuda:1")
    held: dict[str, int | float | str] = dict.fromkeys(
        ("clients", "open_renders", "frames_waiting", "frames_under_way", "requests_waiting", "tunings", "portraits",
         "portrait_bytes", "reference_bytes"), 0,
    )  # fmt: skip
    address = serve_metrics(metrics_endpoint("0", keys=False), lambda timeout_s: counters.state(held), look_at("cpu"))
    assert values(read(address), "portrait_frames_drawn_total") == {"cuda:0": 0, "cuda:1": 3}


def test_a_service_that_does_not_answer_is_told_as_such() -> None:
    def hang(timeout_s: float) -> State:
        raise TimeoutError

    address = serve_metrics(metrics_endpoint("0", keys=False), hang, look_at("cpu"))
    for path, status in (("", 503), ("/else", 404)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address + path, timeout=600)
        assert refused.value.code == status
        refused.value.close()


@pytest.mark.parametrize("place", ["0.0.0.0:0", "*:0", "[::]:9464", "10.0.0.1:9464", "a-machine:9464"])
def test_other_machines_need_keys(place: str) -> None:
    with pytest.raises(PortraitError, match="which needs keys") as refused:
        metrics_endpoint(place, keys=False)
    assert refused.value.code == ErrorCode.NOT_ALLOWED and "--keys" in refused.value.remedy
    assert not metrics_endpoint(place, keys=True).loopback


def test_a_server_without_keys_does_not_start_to_tell_others(serve: Callable[..., subprocess.Popen[bytes]]) -> None:
    server = serve("--metrics", "0.0.0.0:9464")
    assert server.wait() == 1 and server.stdout is not None
    said = server.stdout.read().decode()
    assert "which needs keys" in said and "--new-keys" in said


@pytest.mark.parametrize("place", ["", "some", ":", "127.0.0.1:", "127.0.0.1:65536", "99999", "[::1]", "a:b:c"])
def test_what_is_no_place(place: str) -> None:
    with pytest.raises(PortraitError, match="no place for metrics"):
        metrics_endpoint(place, keys=True)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = str(other.getsockname()[1])
        with pytest.raises(PortraitError, match=r"cannot be told at .*in use"):
            serve_metrics(metrics_endpoint(place, keys=False), lambda timeout_s: Counters().state({}), look_at("cpu"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait serve --metrics`: what the service does, for Prometheus, over HTTP."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any, Final, cast

from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from portrait_server.networks.device import Device, free_memory
from portrait_server.service.counters import Distribution, State
from portrait_server.service.sockets.endpoints import Endpoint, listen, tcp_endpoint

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 5.0
"""How long the service's own thread may take to say what it does; it answers in milliseconds unless it hangs."""
READ_SECONDS: Final = 5.0
"""How long one who asks may take, because others wait for them."""
PATH: Final = "/metrics"

_TOTALS: Final = {
    "frames_sent": "Frames that were sent to clients.",
    "drawing_seconds": "Seconds that threads drew.",
    "images_received": "Photographs that clients handed over.",
}
_OF_DEVICE: Final = "frames_drawn."
"""What counters of single devices begin with, where there are several."""
_NOW: Final = {
    "clients": ("clients", "Clients that are connected."),
    "open_renders": ("open_renders", "Renders that clients wait for."),
    "frames_waiting": ("frames_waiting", "Frames of open renders that are not begun."),
    "frames_under_way": ("frames_under_way", "Frames that are drawn, or will be, and that clients have not consumed."),
    "requests_waiting": ("requests_waiting", "Photographs whose faces are to be found, portraits to be prepared."),
    "tunings": ("tunings", "Tunings that run or wait."),
    "portraits": ("prepared_portraits", "Portraits that are ready to be drawn."),
    "portrait_bytes": ("prepared_portrait_bytes", "Memory that they take, with layers that frames are drawn from."),
    "reference_bytes": ("photograph_bytes", "Memory that photographs take."),
    "uptime_seconds": ("uptime_seconds", "Seconds since the service was started."),
}
"""By their names in `State.counters`: the metric's name and what it is."""


def metrics_endpoint(text: str, keys: bool) -> Endpoint:
    """Where ``PORT`` or ``HOST:PORT`` listens; a port alone, on this machine's loopback.

    Args:
        keys: whether the server has keys of its own: without, nothing of it may be reached from other machines.

    Raises:
        PortraitError: NOT_ALLOWED for what is no address, or one that others reach without keys.
    """
    try:
        endpoint = tcp_endpoint(f"tcp://{text if ':' in text else f'127.0.0.1:{text}'}")
    except PortraitError as error:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"{text!r} is no place for metrics.", "Write PORT, or HOST:PORT as in 127.0.0.1:9464."
        ) from error  # fmt: skip
    if not endpoint.loopback and not keys:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"Metrics at {text} could be read from other machines, which needs keys.",
            "Give the port alone, and let a Prometheus on this machine read them; or give the server keys with --keys "
            "(see --new-keys).",
        )  # fmt: skip
    return endpoint


def serve_metrics(endpoint: Endpoint, state: Callable[[float], State], device: Device) -> str:
    """Answers `GET /metrics` from now on, on a thread of its own, one question after another; it ends with the process.

    The service never waits for it.

    Args:
        endpoint: where, see `metrics_endpoint`.
        state: asks the service, within so many seconds. Raises: TimeoutError.
        device: whose memory is told.

    Returns:
        ``http://HOST:PORT/metrics``.

    Raises:
        PortraitError: NOT_ALLOWED where it cannot listen there.
    """
    try:
        listener, address = listen(endpoint.address)
    except OSError as error:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"Metrics cannot be told at {endpoint.address}: {error.strerror}.",
            "Choose another port, or 0 for a free one.",
        ) from error  # fmt: skip
    registry = CollectorRegistry()
    registry.register(_ServiceCollector(state, device))
    ProcessCollector(registry=registry)
    threading.Thread(target=_Server(listener, registry).serve_forever, name="metrics", daemon=True).start()
    return f"http{address.removeprefix('tcp')}{PATH}"


class _Server(TCPServer):
    def __init__(self, listener: socket.socket, registry: CollectorRegistry) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.registry = registry

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("Metrics could not be told", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_SECONDS
    server_version, sys_version = "TalkingPortraits", ""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self.send_error(404, f"There is {PATH} alone")
            return
        encode, kind = choose_encoder(self.headers.get("Accept", ""))
        try:
            told = encode(cast(_Server, self.server).registry)
        except TimeoutError:
            self.send_error(503, "The service does not answer")
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


class _ServiceCollector(Collector):
    def __init__(self, state: Callable[[float], State], device: Device) -> None:
        self._state = state
        self._device = device

    def collect(self) -> Iterator[Metric]:
        state = self._state(ANSWER_SECONDS)
        drawn = CounterMetricFamily(
            "portrait_frames_drawn", "Frames that engines drew for clients who waited for them.", labels=["device"]
        )
        of_devices = {name.removeprefix(_OF_DEVICE): count for name, count in state.counters.items()
                      if name.startswith(_OF_DEVICE)}  # fmt: skip
        for device, count in (of_devices or {self._device.name: state.counters["frames_drawn"]}).items():
            drawn.add_metric([device], count)
        yield drawn
        for name, meaning in _TOTALS.items():
            yield CounterMetricFamily(f"portrait_{name}", meaning, state.counters[name])
        for name, (told, meaning) in _NOW.items():
            yield GaugeMetricFamily(f"portrait_{told}", meaning, state.counters[name])
        renders = CounterMetricFamily("portrait_renders", "Renders that ended.", labels=["outcome"])
        for outcome, count in state.renders.items():
            renders.add_metric([outcome], count)
        errors = CounterMetricFamily("portrait_errors", "Errors that clients were told.", labels=["code"])
        for code in ErrorCode:  # those that have not come, too: a rate needs a first value
            errors.add_metric([code], state.errors.get(code, 0))
        yield from (renders, errors)
        yield _histogram("portrait_batch_frames", "Frames that were drawn in one call.", state.batch_frames)
        yield _histogram("portrait_render_seconds", "From a render's request to its last frame.", state.render_seconds)
        yield from self._of_the_device()
        release = GaugeMetricFamily("portrait_release", "The server's release; always 1.", labels=["version"])
        release.add_metric([__version__], 1)
        yield release

    def _of_the_device(self) -> Iterator[Metric]:
        labels, values = ["device", "model"], [self._device.name, self._device.model]
        total = GaugeMetricFamily("portrait_device_memory_bytes", "Memory of the device.", labels=labels)
        free = GaugeMetricFamily("portrait_device_free_bytes", "Of it, what nobody uses.", labels=labels)
        for metric, count in ((total, self._device.total_bytes), (free, free_memory(self._device.name))):
            if count is not None:
                metric.add_metric(values, count)
            yield metric


def _histogram(name: str, meaning: str, values: Distribution) -> HistogramMetricFamily:
    buckets = [("+Inf" if bound == float("inf") else str(float(bound)), count) for bound, count in values.up_to]
    return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=values.total)

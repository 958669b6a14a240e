# SPDX-License-Identifier: GPL-3.0-or-later
"""A phone as a live source: a thread that hears one port, from when it is started until it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from portrait_shared.errors import PortraitError

from ..source import Sample
from . import words
from .addresses import own_addresses, plain_address, with_port
from .facial_mocap import HELLOS, PORT
from .formats import DEFAULT_PORTS
from .peers import Peers
from .stream import Counts
from .udp import UdpSocket

__all__ = ["DEFAULT_PORTS", "Phone"]

DEFAULT_PORT: Final = DEFAULT_PORTS["Live Link Face"]
_LOOK_SECONDS: Final = 0.1
_STRANGERS_A_SECOND: Final = 500
_QUIET_SECONDS: Final = 0.5
_HELLO_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 5.0
_FAULTS: Final = 20


class Phone:
    """Hears one phone; see `LiveSource`. The format is told by what comes.

    Attributes:
        choices: others that send faces, as a button names them; `choose` hears one of them instead.
        addresses: what to type into the phone, the likeliest first: "192.168.1.20:11111".
    """

    def __init__(
        self, port: int = DEFAULT_PORT, peer: str = "", host: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is opened before `start`.

        Args:
            port: on which it is heard; 0 for any that is free.
            peer: the phone's address, where one is chosen beforehand; with iFacialMocap's port it is also asked to send.
            host: the address of this machine on which it is heard, empty for all of them.
            clock: seconds, rising.
        """
        self.title = "Phone"
        self._port, self._host = port, host
        self._clock = clock
        self._counts = Counts()
        self._peers = Peers(self._counts, plain_address(peer.strip()) if peer.strip() else "")
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._socket: UdpSocket | None = None
        self._began = 0.0
        self._fault = ""
        self._from_port = 0
        self._hello_at = float("-inf")
        self._addresses: tuple[str, ...] | None = None

    def start(self) -> None:
        """Opens the port and begins to hear.

        Raises:
            PortraitError: see `UdpSocket`.
        """
        if self._thread is not None:
            return
        self._socket = UdpSocket(self._host, self._port)
        self._began = self._clock()
        self._fault, self._addresses = "", None
        self._stop.clear()
        self._thread = threading.Thread(target=self._hear, args=(self._socket,), name="phone", daemon=True)
        self._thread.start()

    def take(self) -> list[Sample]:
        """What has come since the last call, in the order of the phone's clock; never waits for more.

        `Sample.seconds` is when it was sent, on the scale of `time.monotonic`.
        """
        with self._lock:
            stream = self._peers.stream
            return stream.take(self._clock()) if stream is not None else []

    def stop(self) -> None:
        """Closes the port. May be called again, and from any thread."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP_SECONDS)

    def choose(self, choice: str) -> None:
        """Hears this one from now on, and nobody else: one of `choices`, or an address."""
        with self._lock:
            titles = {other.title: other.address for other in self._peers.phones(self._clock())}
            address = titles.get(choice, choice).strip()
            if address:
                self._peers.choose(plain_address(address))

    @property
    def choices(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(other.title for other in self._peers.phones(self._clock()))

    @property
    def addresses(self) -> tuple[str, ...]:
        if self._addresses is None:
            self._addresses = (self._host,) if self._host else own_addresses()
        return tuple(with_port(address, self.port) for address in self._addresses)

    @property
    def port(self) -> int:
        """The one that is heard, or will be."""
        return self._socket.port if self._socket is not None else self._port

    @property
    def line(self) -> str:
        addresses = self.addresses
        with self._lock:
            return words.line(self._peers, addresses, self._clock())

    @property
    def problem(self) -> str:
        with self._lock:
            if self._fault:
                return self._fault
            return words.problem(self._peers, self._counts, self._began, self.port, self._clock())

    @property
    def ended(self) -> bool:
        return bool(self._fault)

    @property
    def counts(self) -> Counts:
        """What became of all packets so far."""
        with self._lock:
            return replace(self._counts)

    def _hear(self, socket: UdpSocket) -> None:
        """The thread's whole work."""
        faults, looked, second, strangers = 0, float("-inf"), 0.0, 0
        try:
            while not self._stop.is_set():
                now = self._clock()
                if now - looked >= _LOOK_SECONDS:
                    looked = now
                    self._say_hello(socket, now)
                    if socket.narrow and self._is_quiet(now):
                        socket.widen()
                if now - second >= 1.0:
                    second, strangers = now, 0
                try:
                    strangers += self._take_one(socket)
                    faults = 0
                except OSError as error:  # the network went, or the machine slept
                    faults += 1
                    if faults >= _FAULTS:
                        self._fail(f"The network cannot be heard any more ({error}). Press the button again.")
                        return
                    self._stop.wait(_LOOK_SECONDS)
                    socket.widen()
                if strangers > _STRANGERS_A_SECOND and not socket.narrow:
                    self._narrow(socket)
        except PortraitError as error:
            self._fail(f"{error.message} {error.remedy}")
        finally:
            socket.close()

    def _take_one(self, socket: UdpSocket) -> int:
        """Takes a packet, if one comes; 1 for one of somebody who is not heard."""
        try:
            found = socket.receive()
        except ValueError:
            with self._lock:
                self._counts.oversized += 1
            return 1
        if found is None:
            return 0
        data, address, port = found
        with self._lock:
            if not self._peers.receive(address, data, self._clock()):
                return 1
            self._from_port = port
        return 0

    def _narrow(self, socket: UdpSocket) -> None:
        """Under a flood of others, lets the system keep them out, as long as the phone goes on from where it sends."""
        with self._lock:
            stream, address, port = self._peers.stream, self._peers.chosen, self._from_port
            heard = stream is not None and self._clock() - stream.last_packet < _QUIET_SECONDS
        if heard and port:
            socket.narrow_to(address, port)

    def _is_quiet(self, now: float) -> bool:
        with self._lock:
            stream = self._peers.stream
            return stream is None or now - stream.last_packet >= _QUIET_SECONDS

    def _say_hello(self, socket: UdpSocket, now: float) -> None:
        """Asks iFacialMocap and Facemotion3d to send, where a phone was chosen and their port is heard."""
        with self._lock:
            address, stream = self._peers.chosen, self._peers.stream
        silent = stream is None or now - stream.last_packet >= _HELLO_SECONDS
        if address and silent and socket.port == PORT and now - self._hello_at >= _HELLO_SECONDS:
            self._hello_at = now
            for port, data in HELLOS:
                socket.send(data, address, port)

    def _fail(self, fault: str) -> None:
        with self._lock:
            self._fault = fault

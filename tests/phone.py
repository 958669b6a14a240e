# SPDX-License-Identifier: GPL-3.0-or-later
"""A phone: plays a performance as UDP packets of one app after the other. It knows nothing of what hears them.

`python -m tests.phone --address 127.0.0.1 --port 11111 --format live-link --file take.csv`; without a file it makes a
performance of its own. Losses, doubles, packets in another order and delays are by chance, the same for the same seed.
"""

from __future__ import annotations

import argparse
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.phone_packets import (
    FORMATS,
    PORTS,
    made_performance,
    packets_of,
    recorded_performance,
)


@dataclass(frozen=True)
class Weather:
    """What the network does to packets.

    Attributes:
        lost, doubled, swapped: how many of them, 0 to 1; swapped ones come after the next.
        jitter: seconds that a packet is late at most, each by its own chance.
        seed: of all this.
    """

    lost: float = 0.0
    doubled: float = 0.0
    swapped: float = 0.0
    jitter: float = 0.0
    seed: int = 1

    def arrivals(self, sent: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
        """(When, what) comes, of (when, what) was sent, in the order of arrival."""
        chance = random.Random(self.seed)
        coming: list[tuple[float, int, bytes]] = []
        for number, (when, data) in enumerate(sent):
            if chance.random() < self.lost:
                continue
            until_next = sent[number + 1][0] - when if number + 1 < len(sent) else 0.0
            delay = chance.random() * self.jitter
            if chance.random() < self.swapped:
                delay += 1.1 * until_next
            coming.append((when + delay, 2 * number, data))
            if chance.random() < self.doubled:
                coming.append((when + delay + 0.3 * until_next, 2 * number + 1, data))
        yield from ((when, data) for when, _, data in sorted(coming))


class Phone:
    """Sends to one address.

    Attributes:
        sent: how many packets so far.
    """

    def __init__(self, port: int, address: str = "127.0.0.1", source: str = "") -> None:
        """Opens a socket; `source` is the address that it sends from, of this machine's, any where it is empty."""
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        if source:
            self.socket.bind((source, 0))
        self._to = (address, port)
        self.sent = 0

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self._to)
        self.sent += 1

    def play(
        self, packets: Sequence[tuple[float, bytes]], rate: float = 1.0, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Sends (when, what), in order; `rate` is how much faster than that, 0 for as fast as it goes."""
        began = time.monotonic()
        first = packets[0][0] if packets else 0.0
        for when, data in packets:
            if stop():
                return
            if rate:
                time.sleep(max(began + (when - first) / rate - time.monotonic(), 0.0))
            self.send(data)

    def close(self) -> None:
        self.socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="the machine that hears")
    parser.add_argument("--port", type=int, help="its port; that of the format unless told otherwise")
    parser.add_argument("--format", choices=FORMATS, default="live-link")
    parser.add_argument("--file", type=Path, help="a take of Live Link Face (.csv); a made performance without it")
    parser.add_argument("--seconds", type=float, default=30.0, help="of a made performance")
    parser.add_argument("--subject", default="iPhone", help="the phone's name, where the format has one")
    parser.add_argument("--from", dest="source", default="", help="the address that it sends from, of this machine's")
    parser.add_argument("--speed", type=float, default=1.0, help="0 for as fast as it goes")
    parser.add_argument("--loop", action="store_true", help="again and again, until it is ended")
    for name in ("lost", "doubled", "swapped", "jitter"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.time() % 86_400
    moments = recorded_performance(options.file) if options.file else made_performance(options.seconds, start=start)
    sent = [(m.seconds, data) for m in moments for data in packets_of(options.format, m, options.subject)]
    weather = Weather(options.lost, options.doubled, options.swapped, options.jitter, options.seed)
    phone = Phone(options.port or PORTS[options.format], options.address, options.source)
    while True:
        phone.play(list(weather.arrivals(sent)), options.speed)
        if not options.loop:
            break
    print(f"{phone.sent} packets sent")


if __name__ == "__main__":
    main()

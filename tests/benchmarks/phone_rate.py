# SPDX-License-Identifier: GPL-3.0-or-later
"""What a phone costs: microseconds of the processor for a moment of each format, and for a packet of a stranger.

`python -m tests.benchmarks.phone_rate`, in an environment with bpy. A moment at 60/s may cost 16,667 µs of one core.
"""

from __future__ import annotations

import argparse
import threading
import time

from blender_addon.live.phones.peers import Peers
from blender_addon.live.phones.receiver import Phone
from blender_addon.live.phones.stream import Counts, Stream
from tests.phone import Phone as Sender
from tests.phone_packets import FORMATS, live_link, made_performance, packets_of


def reading(name: str, seconds: float) -> float:
    """µs to read, place and order a moment."""
    moments = [packets_of(name, moment) for moment in made_performance(seconds)]
    stream, now = Stream(Counts()), 1000.0
    began = time.process_time()
    for packets in moments:
        now += 1 / 60
        for data in packets:
            stream.receive(data, now)
        stream.take(now)
    return (time.process_time() - began) / len(moments) * 1e6


def strangers(count: int) -> float:
    """µs for a packet of somebody who is not heard."""
    peers = Peers(Counts(), "192.168.1.5")
    data = live_link(made_performance(1.0)[0])
    began = time.process_time()
    for number in range(count):
        peers.receive("192.168.1.6", data, 1000.0 + number / 1e5)
    return (time.process_time() - began) / count * 1e6


def listening(seconds: float, sends: bool) -> float:
    """Percent of a core for the thread that hears 60 packets a second, or none."""
    source = Phone(0, host="127.0.0.1")
    source.start()
    sender = Sender(source.port)
    packets = [(m.seconds, live_link(m)) for m in made_performance(seconds)]
    player = threading.Thread(target=lambda: sender.play(packets) if sends else time.sleep(seconds))
    player.start()
    began, cost = time.monotonic(), time.process_time()
    while player.is_alive():
        source.take()
        time.sleep(1 / 30)
    used = time.process_time() - cost
    passed = time.monotonic() - began
    source.stop()
    sender.close()
    return 100 * used / passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a performance in each format")
    options = parser.parse_args()
    for name in FORMATS:
        print(f"{name:14} {reading(name, options.seconds):8.0f} µs a moment")
    print(f"{'a stranger':14} {strangers(100_000):8.1f} µs a packet")
    print(f"{'waiting':14} {listening(5.0, sends=False):8.2f} % of a core")
    print(f"{'60 a second':14} {listening(5.0, sends=True):8.2f} % of a core, sending included")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a client's small frames take beside another client's large ones, against the time that they take alone.

Alone and beside are measured by turns on the same server, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage
from skimage.data import astronaut

AIM = 2.0
SIDE = 256
COMMAND = [sys.executable, str(Path(__file__).parents[1] / "server" / "serve_with_test_engines.py")]
TCP_COMMAND = ["sh", "-c", 'exec "$0" "$@" --bind tcp://127.0.0.1:0', *COMMAND]


class Neighbour(threading.Thread):
    """Renders large frames until it is told to stop."""

    def __init__(self, connection: Connection, side: int, engine: str, encoding: Literal["png", "raw"]) -> None:
        super().__init__(daemon=True)
        self._connection, self._side, self._engine, self._encoding = connection, side, engine, encoding
        self.drawing, self._enough = threading.Event(), threading.Event()
        self.frames = 0

    def run(self) -> None:
        with Client(self._connection, name="neighbour") as client:
            portrait, points = prepared(client, 512, 2000, self._engine)
            stream = client.render(
                portrait, points, range(2000), size=(self._side, self._side), encoding=self._encoding
            )
            while not self._enough.is_set():
                if stream.next(0.05) is not None:
                    self.frames += 1
                if stream.state == "running":
                    self.drawing.set()
            stream.cancel()

    def end(self) -> None:
        self._enough.set()
        self.join()


def prepared(client: Client, side: int, frames: int, engine: str) -> tuple[PortraitHandle, np.ndarray]:
    portrait = client.prepare([ReferenceImage(cv2.resize(astronaut(), (side, side)))], engine=engine)
    points = np.repeat(portrait.points[None], frames, 0)
    points[:, 48:68, 1] += np.linspace(1, 9, frames, dtype=np.float32)[:, None] * side / 512
    return portrait, points


def measure(client: Client, portrait: PortraitHandle, points: np.ndarray, frames: int) -> tuple[float, float]:
    """Seconds that all frames take, and the longest gap between two."""
    start = last = time.perf_counter()
    gap = 0.0
    for _ in client.render(portrait, points, range(frames)):
        now = time.perf_counter()
        gap, last = max(gap, now - last), now
    return last - start, gap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 4096, 8000])
    parser.add_argument("--engine", default="warp", help="`paint` draws in no time: it shows what sending takes")
    parser.add_argument("--frames", type=int, default=40, help="small ones in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--neighbours", type=int, default=1, help="how many draw large frames")
    parser.add_argument("--raw", action="store_true", help="large frames are sent as pixels, not as PNG")
    parser.add_argument("--tcp", action="store_true", help="over loopback TCP with keys")
    asked = parser.parse_args()
    server = ServerProcess(TCP_COMMAND if asked.tcp else COMMAND, device="cpu")
    connection = server.start()
    try:
        with Client(connection, name="small") as client:
            portrait, points = prepared(client, SIDE, asked.frames, asked.engine)
            measure(client, portrait, points, asked.frames)
            for side in asked.sides:
                alone, beside, gaps, drawn = [], [], [], 0
                for _ in range(asked.rounds):
                    alone.append(measure(client, portrait, points, asked.frames)[0])
                    encoding: Literal["png", "raw"] = "raw" if asked.raw else "png"
                    neighbours = [Neighbour(connection, side, asked.engine, encoding) for _ in range(asked.neighbours)]
                    for neighbour in neighbours:
                        neighbour.start()
                    for neighbour in neighbours:
                        neighbour.drawing.wait()
                    took, gap = measure(client, portrait, points, asked.frames)
                    beside.append(took)
                    gaps.append(gap)
                    for neighbour in neighbours:
                        neighbour.end()
                        drawn += neighbour.frames
                ratio = statistics.median(b / a for a, b in zip(alone, beside, strict=True))
                print(
                    f"{asked.frames} frames of {SIDE}x{SIDE}: {statistics.median(alone):.2f} s alone, "
                    f"{statistics.median(beside):.2f} beside {asked.neighbours} of {side}x{side} ({drawn} frames), longest gap "
                    f"{max(gaps):.2f} s; ratio {ratio:.2f} (aim {AIM}); load {os.getloadavg()[0]:.1f} "
                    f"on {os.cpu_count()} cores",
                    flush=True,
                )
    finally:
        server.stop()


if __name__ == "__main__":
    main()

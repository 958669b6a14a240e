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

import cv2
import numpy as np
from portrait_shared.client import Client, PortraitHandle, ReferenceImage
from portrait_shared.connection import Connection
from portrait_shared.launcher import ServerProcess
from skimage.data import astronaut

AIM = 2.0
SIDE, FRAMES = 256, 40


class Neighbour(threading.Thread):
    """Renders large frames until it is told to stop."""

    def __init__(self, connection: Connection, side: int, engine: str) -> None:
        super().__init__(daemon=True)
        self._connection, self._side, self._engine = connection, side, engine
        self.drawing, self._enough = threading.Event(), threading.Event()
        self.frames = 0

    def run(self) -> None:
        with Client(self._connection, name="neighbour") as client:
            portrait, points = prepared(client, 512, 2000, self._engine)
            stream = client.render(portrait, points, range(2000), size=(self._side, self._side))
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


def measure(client: Client, portrait: PortraitHandle, points: np.ndarray) -> tuple[float, float]:
    """Seconds that all frames take, and the longest gap between two."""
    start = last = time.perf_counter()
    gap = 0.0
    for _ in client.render(portrait, points, range(FRAMES)):
        now = time.perf_counter()
        gap, last = max(gap, now - last), now
    return last - start, gap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 4096, 8000])
    parser.add_argument("--engine", default="warp")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    server = ServerProcess([sys.executable, "-m", "portrait_server"], device="cpu")
    connection = server.start()
    try:
        with Client(connection, name="small") as client:
            portrait, points = prepared(client, SIDE, FRAMES, asked.engine)
            measure(client, portrait, points)
            for side in asked.sides:
                alone, beside, gaps, drawn = [], [], [], 0
                for _ in range(asked.rounds):
                    alone.append(measure(client, portrait, points)[0])
                    neighbour = Neighbour(connection, side, asked.engine)
                    neighbour.start()
                    neighbour.drawing.wait()
                    took, gap = measure(client, portrait, points)
                    beside.append(took)
                    gaps.append(gap)
                    neighbour.end()
                    drawn += neighbour.frames
                ratio = statistics.median(b / a for a, b in zip(alone, beside, strict=True))
                print(
                    f"{FRAMES} frames of {SIDE}x{SIDE}: {statistics.median(alone):.2f} s alone, "
                    f"{statistics.median(beside):.2f} beside {side}x{side} ({drawn} frames), longest gap "
                    f"{max(gaps):.2f} s; ratio {ratio:.2f} (aim {AIM}); load {os.getloadavg()[0]:.1f} "
                    f"on {os.cpu_count()} cores",
                    flush=True,
                )
    finally:
        server.stop()


if __name__ == "__main__":
    main()

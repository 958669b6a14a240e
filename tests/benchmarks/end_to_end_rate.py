# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames/s of the warp engine through server and client, against the same engine called directly."""

from __future__ import annotations

import argparse
import sys
import time

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
import cv2
import numpy as np
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Reference
from portrait_server.engines.registry import create_engine
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage
from skimage.data import astronaut

AIM = 0.9


def speech(points: np.ndarray, frames: int) -> np.ndarray:
    """(frames, 70, 3): a mouth that opens and a head that sways."""
    rows = np.repeat(points[None].astype(np.float32), frames, axis=0)
    phase = np.linspace(0, 8 * np.pi, frames, dtype=np.float32)[:, None]
    scale = float(np.ptp(points[:17, 0])) / 100
    rows[:, 55:60, 1] += 4 * scale * (1 - np.cos(phase))
    rows[:, 65:68, 1] += 4 * scale * (1 - np.cos(phase))
    rows[:, :, 0] += 3 * scale * np.sin(phase / 2)
    return rows


def served_seconds(client: Client, portrait: PortraitHandle, rows: np.ndarray, encoding: str) -> float:
    start = time.perf_counter()
    for _ in client.render(portrait, rows, range(len(rows)), encoding=encoding):
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    server = ServerProcess([sys.executable, "-m", "portrait_server"], device="cpu")
    with Client(server) as client:
        for side in (256, 512):
            photo = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_AREA)
            points = create_detector("mediapipe").detect(photo)[0].points
            rows = speech(points, asked.frames)
            engine = create_engine("warp", "cpu")
            own = engine.prepare([Reference(photo, points)])
            portrait = client.prepare([ReferenceImage(photo, points)], engine="warp")
            engine.render(own, rows[:4], (side, side), False)
            served_seconds(client, portrait, rows[:8], "raw")
            bare, raw, png = [], [], []
            for _ in range(asked.rounds):  # by turns, so that a busy machine slows all alike
                start = time.perf_counter()
                for first in range(0, len(rows), engine.batch_size):
                    engine.render(own, rows[first : first + engine.batch_size], (side, side), False)
                bare.append(time.perf_counter() - start)
                raw.append(served_seconds(client, portrait, rows, "raw"))
                png.append(served_seconds(client, portrait, rows, "png"))
            bare_s, raw_s, png_s = (float(np.median(seconds)) for seconds in (bare, raw, png))
            print(
                f"warp at {side}x{side}: bare {asked.frames / bare_s:.1f}, through the server raw "
                f"{asked.frames / raw_s:.1f}, PNG {asked.frames / png_s:.1f} frames/s; "
                f"ratio raw {bare_s / raw_s:.2f} (aim {AIM}), PNG {bare_s / png_s:.2f}"
            )


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the background behind a person takes to be made, on one core: in seconds, and in units of a step that is known.

`python tests/benchmarks/plate_time.py [--sides 512,1024,2048,4096]`

The unit is a matte of the same photo (`detectors.matte.person_matte`), measured in the same run: a busy or a slow
machine takes longer for both. The largest memory that the process had is told too.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import cv2
import numpy as np
import skimage.data
from portrait_server.detectors.matte import person_matte
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.drawing.plate import build_plate
from portrait_server.geometry.head_mesh import build_head_mesh


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", default="512,1024,2048,4096")
    sides = [int(side) for side in parser.parse_args().sides.split(",")]
    cv2.setNumThreads(1)
    detector = MediaPipeDetector()
    print(f"{'size':>6} {'seconds':>8} {'mattes':>7} {'GiB':>5}")
    for side in sides:
        photo = cv2.resize(skimage.data.astronaut(), (side, side), interpolation=cv2.INTER_CUBIC)
        (face,) = detector.detect(photo)
        matte = person_matte(photo)
        mesh = build_head_mesh(face.points, face.mesh478, photo, matte)
        unit = _least(lambda photo=photo: person_matte(photo))
        taken = _least(lambda photo=photo, matte=matte, mesh=mesh: build_plate(photo, matte, mesh))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{side:6} {taken:8.2f} {taken / unit:7.1f} {memory:5.2f}", flush=True)


def _least(work: Callable[[], np.ndarray], rounds: int = 3) -> float:
    """Seconds of processor time, the least of some."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    main()

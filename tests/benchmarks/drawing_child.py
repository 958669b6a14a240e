# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws when it is asked to: the process that `two_checkouts.py` starts in each checkout. It answers a line with a line."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

COMPARED = 12  # pictures, evenly spread over those of a round


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    import portrait_server  # first, as in a server: it says how many threads NumPy may start

    def answer(**said: object) -> None:
        print(json.dumps(said), file=answers, flush=True)

    answer(code=str(Path(portrait_server.__file__).resolve()))
    draw(sys.argv[1], Path(sys.argv[2]), answer)


def draw(engine_name: str, folder: Path, answer: Callable[..., None]) -> None:
    import numpy as np
    import skimage.data
    from portrait_server.detectors.registry import create_detector
    from portrait_server.engines.base import Reference
    from portrait_server.engines.registry import create_engine

    engine = create_engine(engine_name, "cpu")
    image = np.ascontiguousarray(skimage.data.astronaut())
    shared_points = folder / "points.npy"  # of whoever is first, so that both draw from the same
    if not shared_points.exists():
        np.save(shared_points, create_detector("mediapipe").detect(image)[0].points.astype(np.float32))
    points = np.load(shared_points)
    portraits: dict[int, object] = {}
    for line in sys.stdin:
        order = json.loads(line)
        references, side = order["references"], order["side"]
        if references not in portraits:
            portraits[references] = engine.prepare([Reference(image, points)] * references)
        portrait, track = portraits[references], performance(points, order["frames"])
        if order["save"]:
            chosen = track[:: max(1, len(track) // COMPARED)]
            pictures = [engine.render(portrait, row[None], (side, side), False)[0] for row in chosen]
            path = folder / f"{os.getpid()}-{side}-{references}.npy"
            np.save(path, np.stack(pictures))
            answer(pictures=str(path))
            continue
        start, begun = time.perf_counter(), time.process_time()
        for first in range(0, len(track), engine.batch_size):
            engine.render(portrait, track[first : first + engine.batch_size], (side, side), False)
        answer(seconds=time.perf_counter() - start, processor_s=time.process_time() - begun)


def performance(points: np.ndarray, frames: int) -> np.ndarray:
    """A head (70, 3) that turns, nods, sways, speaks, blinks and looks around: (frames, 70, 3) float32."""
    import numpy as np

    size = float(np.ptp(points[:68, :2], axis=0).max())
    neck = (points[0] + points[16]) / 2 + np.array([0, 0.35 * size, 0])
    rows = []
    for phase in np.linspace(0, 2 * np.pi, frames, endpoint=False) + 0.1:
        row = points.astype(float)
        row[55:60, 1] += 0.04 * size * (1 - np.cos(3 * phase))  # the lower lip
        row[65:68, 1] += 0.04 * size * (1 - np.cos(3 * phase))
        row[68:70, 0] += 0.01 * size * np.sin(4 * phase)  # the pupils
        lids = max(0.0, np.cos(2 * phase)) ** 4
        for above, below in ((37, 41), (38, 40), (43, 47), (44, 46)):
            row[above] += 0.8 * lids * (row[below] - row[above])
        yaw, pitch = np.radians([18 * np.sin(phase), 8 * np.sin(2 * phase)])
        about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        rows.append((row - neck) @ (about_y @ about_x).T + neck + [0.03 * size * np.sin(phase), 0, 0])
    return np.stack(rows).astype(np.float32)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""How much faster two workers on a local Ray cluster draw a job than one, each with one thread.

Timed is what `portrait job render --ray local` does from the workers' being ready, in the mean, to the last frame: before
that each draws alone. Both are measured in turn, so that whatever else the machine does weighs on both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
import cv2
import numpy as np
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.on_ray import render_on_ray
from portrait_server.farm.ray_placement import Wish
from portrait_server.farm.writing import write_job
from portrait_shared.track import LandmarkTrack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1024, help="of the frames (default: 1024)")
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--engine", default="fewshot")
    asked = parser.parse_args()
    print(f"Load before: {os.getloadavg()[0]:.2f}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        job = made_job(Path(temporary), asked)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(asked.rounds):
            for workers in (1, 2) if turn % 2 == 0 else (2, 1):
                seconds[workers].append(timed(job, workers, Path(temporary) / f"{turn}-{workers}"))
                rate = asked.frames / seconds[workers][-1]
                print(
                    f"{workers} worker{'s' * (workers > 1)}: {rate:.2f} frames/s (load {os.getloadavg()[0]:.2f})",
                    flush=True,
                )
        one, two = (statistics.median(seconds[workers]) for workers in (1, 2))
        print(
            f"{asked.engine}, {asked.side}x{asked.side}, {asked.frames} frames, medians of {asked.rounds}: one worker "
            f"{asked.frames / one:.2f} frames/s, two {asked.frames / two:.2f}; two / one = {one / two:.2f}"
        )


def made_job(folder: Path, asked: argparse.Namespace) -> FarmJob:
    """A photo whose head turns a little and speaks."""
    photo = cv2.resize(skimage.data.astronaut()[:256, 96:352], (asked.side, asked.side), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / "photo.png"), photo[..., ::-1])
    detector = create_detector("mediapipe", "cpu")
    rest = detector.detect(photo)[0].points
    detector.close()
    points = np.repeat(rest[None], asked.frames, axis=0).astype(np.float32)
    phase = np.linspace(0, 12, asked.frames)[:, None]
    points[:, :, 0] += asked.side / 60 * np.sin(phase)
    points[:, 55:60, 1] += asked.side / 60 * (1 - np.cos(3 * phase))
    LandmarkTrack(points, (asked.side, asked.side), 24).save(folder / "track.npz")
    LandmarkTrack(rest[None].astype(np.float32), (asked.side, asked.side), 24).save(folder / "photo.npz")
    request = FrameRequest(
        (folder / "track.npz",), (folder / "photo.png",), (folder / "photo.npz",), engine=asked.engine
    )
    return write_job(folder / "job", request, device="cpu")


def timed(job: FarmJob, workers: int, output: Path) -> float:
    """Seconds from when the workers were ready, in the mean, until the last frame was there."""
    ready: list[float] = []

    def note(text: str) -> None:
        assert text.startswith("Ready: "), text
        ready.append(time.perf_counter())

    frames = list(render_on_ray(job, job.frames, output, "local", Wish(workers, device="cpu"), note=note))
    end = time.perf_counter()
    assert len(frames) == len(job.frames) and len(ready) == workers
    return end - statistics.mean(ready)


if __name__ == "__main__":
    main()

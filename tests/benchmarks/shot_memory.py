# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of a long 4K shot: all its frames are read in order, some drawn and encoded; resident memory at each tenth."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
from portrait_server.engines.registry import create_engine
from portrait_server.media.png import encode_png
from portrait_server.shots.drawing import FrameDrawer
from portrait_server.shots.reader import ShotReader
from portrait_server.shots.rendering import OtherFrames
from portrait_shared.track import LandmarkTrack

from tests.benchmarks.synthetic_shot import write_shot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=2160, help="of the frames, 16 to 9 (default: 2160)")
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=100, help="one of so many frames is drawn (default: 100)")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.folder is not None:
        return read(asked.folder, asked.every)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found, track = write_shot(folder / "shot.mp4", (asked.height * 16 // 9, asked.height), asked.frames)
        found.save(folder / "points.npz")
        track.save(folder / "track.npz")
        # In a process of its own, whose memory is not that of making the shot.
        subprocess.run([sys.executable, __file__, "--folder", folder, "--every", str(asked.every)], check=True)


def read(folder: Path, every: int) -> None:
    found, track = (LandmarkTrack.load(folder / name) for name in ("points.npz", "track.npz"))
    start = time.perf_counter()
    with ShotReader(folder / "shot.mp4") as shot:
        others = OtherFrames(shot)
        drawer = FrameDrawer(create_engine("warp", "cpu"), found, others)
        for index, frame in enumerate(shot):
            if index % every == 0:
                encode_png(drawer.draw(frame, index, track.points[index]), "", "warp")
            if (index + 1) % max(1, shot.frame_count // 10) == 0:
                seconds = time.perf_counter() - start
                print(f"{index + 1:6} frames, {seconds:6.0f} s: {resident_gib():.2f} GiB", flush=True)
        others.close()
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def resident_gib() -> float:
    """Of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**30


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed frames/s of a filmed shot by `portrait render --plate`, all steps, and the memory that it takes at most."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
from tests.benchmarks.synthetic_shot import write_shot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=1080, help="of the frames, 16 to 9 (default: 1080)")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--engine", default="warp")
    parser.add_argument("--keep", type=Path, help="folder for the shot and the frames")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        size = (asked.height * 16 // 9, asked.height)
        found, track = write_shot(folder / "shot.mp4", size, asked.frames)
        found.save(folder / "points.npz")
        track.save(folder / "track.npz")
        words = ["--plate", "shot.mp4", "--plate-points", "points.npz", "--track", "track.npz", "--output", "frames",
                 "--engine", asked.engine, "--device", "cpu", "--progress"]  # fmt: skip
        command = [sys.executable, "-m", "portrait_server", "render", *words]
        times: list[tuple[float, float]] = []
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("Saved: "):
                    times.append((time.perf_counter(), processor_seconds(process.pid)))
        if process.returncode or len(times) != asked.frames:
            sys.exit(f"portrait render ended with {process.returncode} after {len(times)} frames")
        warm = len(times) // 4  # after that all threads draw, and networks are loaded
        wall, busy = (
            (last - first) / (len(times) - 1 - warm) for first, last in zip(times[warm], times[-1], strict=True)
        )
        cores = len(os.sched_getaffinity(0))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(
            f"{asked.engine}, {size[0]}x{size[1]}: {1 / wall:.2f} changed frames/s on {cores} cores; {busy:.3f} s of "
            f"processor a frame, so {cores / busy:.2f} frames/s where nothing else runs; at most {peak:.2f} GiB"
        )


def processor_seconds(pid: int) -> float:
    """What a process has taken so far, all threads together (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and memory of a long render, frame 100 to frame 5,000: both must be flat. Needs Linux's /proc."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.references import ReferenceImage
from skimage.data import astronaut

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.benchmarks.end_to_end_rate import speech  # noqa: E402

STEP = 100
SIDE = 256


def resident_mib(pid: int) -> float:
    """Memory of a process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--encoding", choices=("png", "raw"), default="png")
    asked = parser.parse_args()
    photo = astronaut()[::2, ::2].copy()
    seconds, server_mib, client_mib = [], [], []
    with Client(ServerProcess([sys.executable, "-m", "portrait_server"], device="cpu")) as client:
        portrait = client.prepare([ReferenceImage(photo)], engine="warp")
        rows = speech(portrait.points, asked.frames)
        last = time.perf_counter()
        for number, _ in enumerate(
            client.render(portrait, rows, range(asked.frames), size=(SIDE, SIDE), encoding=asked.encoding), 1
        ):
            if number % STEP == 0:
                now = time.perf_counter()
                seconds.append(now - last)
                server_mib.append(resident_mib(client.server.pid))
                client_mib.append(resident_mib(os.getpid()))
                last = now
    print(f"{'frame':>6} {'s/100':>7} {'server MiB':>11} {'client MiB':>11}")
    for index in range(0, len(seconds), max(1, len(seconds) // 10)):
        print(f"{(index + 1) * STEP:6d} {seconds[index]:7.2f} {server_mib[index]:11.1f} {client_mib[index]:11.1f}")
    tenth = max(1, len(seconds) // 10)
    early, late = np.median(seconds[1 : 1 + tenth]), np.median(seconds[-tenth:])
    print(
        f"from frame {STEP} to {len(seconds) * STEP}: time ratio {late / early:.2f}, "
        f"server {server_mib[-1] - server_mib[0]:+.1f} MiB (ratio {server_mib[-1] / server_mib[0]:.3f}), "
        f"client {client_mib[-1] - client_mib[0]:+.1f} MiB (ratio {client_mib[-1] / client_mib[0]:.3f})"
    )


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What credentials cost a render: hashes of its files, and the one signature at its end.

    .venv/bin/python tests/benchmarks/signing_cost.py [--frames 240] [--side 512]

A server of its own draws, as for the panel. The share is of the time from the first frame asked for to the last one written.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.client.credentials import renew_credentials, statement_of
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.rendering import store_frames
from portrait_shared.disclosure import USUALLY_SHOWN
from portrait_shared.frames.frame_files import file_digest
from portrait_shared.protocol.references import ReferenceImage

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.benchmarks.gpu_sections.material import reference, track  # noqa: E402

MANY = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=240, help="of the render (%(default)s)")
    parser.add_argument("--side", type=int, default=512, help="of its frames, pixels (%(default)s)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["TALKING_PORTRAITS_SIGNING"] = str(folder / "signing")
        server = ServerProcess([sys.executable, "-m", "portrait_server"], device="cpu", engine="warp")
        with Client(server, name="signing cost") as client:
            measure(client, folder / "frames", asked.frames, asked.side)


def measure(client: Client, folder: Path, count: int, side: int) -> None:
    photo = reference(side)
    portrait = client.prepare([ReferenceImage(photo.image, photo.points)])
    points = track(photo.points, count + 1)[1:]
    list(
        store_frames(client, portrait, points[:2], [1, 2], folder / "first")
    )  # what a first frame takes does not count
    begun = time.perf_counter()
    stored = list(store_frames(client, portrait, points, range(1, count + 1), folder))
    drawn = time.perf_counter() - begun
    contents = [frame.path.read_bytes() for frame in stored]
    begun = time.perf_counter()
    for content in contents:
        file_digest(content)
    hashed = time.perf_counter() - begun
    hashes = {frame.path.name: frame.sha256 for frame in stored}
    sign = partial(client.sign_sequence, statement_of(client, portrait, "", USUALLY_SHOWN), "frames.c2pa")
    first, again = (timed(partial(renew_credentials, folder, "", hashes, sign)) for _ in range(2))
    hashes[stored[0].path.name] = "0" * 64
    changed = timed(partial(renew_credentials, folder, "", hashes, sign))
    print(f"{count} frames of {side} x {side}, {sum(map(len, contents)) / count / 1e3:.0f} KB each")
    for name, seconds in (
        ("drawn and written", drawn), ("of that: hashes of the files", hashed),
        ("signed at the end, with a new key", first), ("… with a key that is there", changed), ("… nothing changed", again),
    ):  # fmt: skip
        print(f"{name:>36} {1000 * seconds:9.1f} ms {100 * seconds / drawn:7.2f} %")
    chance = np.random.default_rng(1)
    many = {f"{number:05d}.png": chance.bytes(32).hex() for number in range(MANY)}
    manifest = sign(many)
    part = {name: "0" * 64 for name in list(many)[:24]}
    print(
        f"{MANY} frames: signed in {1000 * timed(partial(sign, many)):.0f} ms, {len(manifest) / 1e3:.0f} KB; 24 of them "
        f"rendered again, in {1000 * timed(partial(sign, part, manifest, list(many)[24:])):.0f} ms"
    )


def timed(what: partial[object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()

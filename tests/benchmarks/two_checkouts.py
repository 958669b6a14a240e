#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much faster one checkout draws than another, measured by turns in one run, and whether the pictures are the same.

`python tests/benchmarks/two_checkouts.py OLD NEW [--engine fewshot|warp] [--sides 512,1024] [--rounds 5]`

OLD and NEW are folders with the code; both are run by this Python and its packages. One process in each draws the same
frames, in batches as the server asks for them, while the other waits. A busy machine slows both; what a frame takes of
the processors, counted by the system, is then steadier than frames a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

MOST_FRAMES, LEAST_FRAMES = 48, 4
ROUND_PIXELS = 48 * 512 * 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--engine", default="fewshot", choices=("fewshot", "warp"))
    parser.add_argument("--sides", default="512")
    parser.add_argument("--references", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        children = [Child(checkout, asked.engine, Path(folder)) for checkout in (asked.old, asked.new)]
        try:
            for side in map(int, asked.sides.split(",")):
                compare(children, side, asked.references, asked.rounds)
        finally:
            for child in children:
                child.close()


def compare(children: list[Child], side: int, references: int, rounds: int) -> None:
    """Prints the rates of both at frames of one size, their ratio, and how far their pictures are apart."""
    count = int(np.clip(ROUND_PIXELS // side**2, LEAST_FRAMES, MOST_FRAMES))
    order = {"side": side, "frames": count, "references": references}
    pictures = [np.load(child.ask({**order, "save": True})["pictures"], mmap_mode="r") for child in children]
    difference = most_apart(*pictures)
    print(f"{children[0].engine} at {side} x {side}, references: {references}, frames a round: {count}")
    print(
        f"{'round':>6} {'old/s':>8} {'new/s':>8} {'ratio':>6} {'old ms':>8} {'new ms':>8} {'ratio':>6}  processor time"
    )
    rates, work = [], []
    for number in range(rounds):
        # Whoever is first in a round is second in the next.
        turns = children if number % 2 == 0 else children[::-1]
        measured = {child: child.ask({**order, "save": False}) for child in turns}
        old, new = (measured[child] for child in children)
        rates.append((count / old["seconds"], count / new["seconds"]))
        work.append((1000 * old["processor_s"] / count, 1000 * new["processor_s"] / count))
        (a, b), (c, d) = rates[-1], work[-1]
        print(f"{number + 1:6} {a:8.2f} {b:8.2f} {b / a:6.2f} {c:8.1f} {d:8.1f} {c / d:6.2f}", flush=True)
    speed, saved = np.array(rates), np.array(work)
    print(
        f"{'median':>6} {np.median(speed[:, 0]):8.2f} {np.median(speed[:, 1]):8.2f} {_spread(speed[:, 1] / speed[:, 0])};"
        f" processor ms {np.median(saved[:, 0]):.1f} and {np.median(saved[:, 1]):.1f},"
        f" {_spread(saved[:, 0] / saved[:, 1])}; pictures: {difference}\n",
        flush=True,
    )


def _spread(ratios: np.ndarray) -> str:
    return f"ratio {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"


def most_apart(old: np.ndarray, new: np.ndarray) -> str:
    """How far pictures (N, H, W, C) uint8 are apart, in words."""
    most = over = 0
    for a, b in zip(old, new, strict=True):
        apart = np.abs(a.astype(np.int16) - b)
        most, over = max(most, int(apart.max())), over + int((apart.max(-1) > 1).sum())
    total = old.shape[0] * old.shape[1] * old.shape[2]
    return f"at most {most} of 255 apart, {over} of {total} pixels by more than 1"


@dataclass(eq=False)
class Child:
    """A process that draws with the code of a checkout when asked to."""

    checkout: Path
    engine: str
    folder: Path

    def __post_init__(self) -> None:
        root = self.checkout.resolve()
        paths = (root, root / "server", root / "shared")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        command = [
            sys.executable,
            str(Path(__file__).with_name("drawing_child.py").resolve()),
            self.engine,
            str(self.folder),
        ]
        self.process = subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        code = Path(self._read()["code"])
        assert code.is_relative_to(root), f"{code} was loaded, not the code in {root}"

    def ask(self, order: dict[str, object]) -> dict:
        """Has it draw; returns what it says of that."""
        print(json.dumps(order), file=self._stream(self.process.stdin), flush=True)
        return self._read()

    def close(self) -> None:
        self._stream(self.process.stdin).close()
        self.process.wait()

    def _read(self) -> dict:
        line = self._stream(self.process.stdout).readline()
        if not line:
            raise SystemExit(f"The process in {self.checkout} has ended.")
        return json.loads(line)

    def _stream(self, stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream


if __name__ == "__main__":
    main()

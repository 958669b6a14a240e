# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension costs Blender's start: `python tests/benchmarks/extension_start.py [--rounds 5]` with a Python that has bpy.

Each round is a process of its own. Measured is the processor's time of registering as a Blender with a window does it, its
imports included, and of each piece that a timer loads afterwards; the reference is Node Wrangler, which comes with Blender.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_MS = 50.0
REFERENCE = "node_wrangler"


def measured(work: Callable[[], object]) -> float:
    """Milliseconds of the processor that something takes."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e3


def one_round() -> dict[str, float]:
    """In a process that has just begun."""
    import bpy

    addon_utils = importlib.import_module("addon_utils")  # bpy brings it
    bpy.ops.wm.read_factory_settings(use_empty=True)
    found = {"reference": measured(lambda: addon_utils.enable(REFERENCE))}

    def start() -> None:
        from blender_addon import startup

        startup.register(at_once=False)

    found["start"] = measured(start)
    from blender_addon import startup

    while (piece := startup.next_piece()) is not None:
        found[piece] = found.get(piece, 0.0) + measured(startup.go_on)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="what the extension costs Blender's start")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one_round()), flush=True)
        os._exit(0)  # Blender 4's module crashes when Python ends after a class with a property was registered
    # Bytecode is kept, as Blender keeps it: the first round writes it and does not count.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "shared")])
    rounds = []
    for _ in range(asked.rounds + 1):
        command = [sys.executable, __file__, "--one"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        rounds.append(json.loads(done.stdout.splitlines()[-1]))
    middle = {name: statistics.median(each[name] for each in rounds[1:]) for name in rounds[0]}
    reference, start = middle.pop("reference"), middle.pop("start")
    print(f"Node Wrangler {reference:6.1f} ms")
    print(f"at the start  {start:6.1f} ms, {start / reference:.1f} times that (at most {MOST_MS:.0f} ms)")
    print(f"afterwards    {sum(middle.values()):6.1f} ms in {len(middle)} pieces:")
    for name, spent in sorted(middle.items(), key=lambda item: -item[1])[:8]:
        print(f"  {spent:6.1f} ms {name}")
    return 0 if start <= MOST_MS else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check of the project: style, types, room walls, tests, and the extension in other Blenders.

python tests/run_all.py              what CI runs: the oldest and the newest Blender
python tests/run_all.py --all        every Blender
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="test the extension in every supported Blender")
    blenders = "--all" if parser.parse_args().all else "--oldest-and-newest"
    python = str(BIN / "python")
    steps = {
        "ruff": [str(BIN / "ruff"), "check", "."],
        "ruff format": [str(BIN / "ruff"), "format", "--check", "."],
        "mypy": [python, "-m", "mypy"],
        "import-linter": [str(BIN / "lint-imports"), "--no-cache"],
        "other Blenders": [python, "tests/blender/versions.py", blenders],
        "pytest": [python, "-m", "pytest", "tests"],
    }
    failed = []
    for name, command in steps.items():
        started = time.monotonic()
        print(f"== {name}", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        if subprocess.call(command, cwd=PROJECT, env=environment) != 0:
            failed.append(name)
        print(f"== {name}: {'FAILED' if name in failed else 'ok'}, {time.monotonic() - started:.0f} s", flush=True)
    if failed:
        print("FAILED:", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
